"""Write what an exploration came to: `explore.html`, `explore.png` and `explore.csv`."""

from __future__ import annotations

from pathlib import Path

from s3d.explore.report.data import ExploreReport
from s3d.explore.report.page import build_page
from s3d.explore.report.plots import draw_figure
from s3d.explore.report.table import write_csv
from s3d.files import make_folder, write_bytes


def write_explore_report(report: ExploreReport, folder: Path) -> tuple[Path, Path, Path]:
    """Write the page, the picture and the table into a folder.

    All are made in memory first and renamed into place, so that a report of an earlier time stays
    whole until the new one is.

    Args:
        report: What the exploration came to.
        folder: Where to; made if it is missing. `Point.runs` lie below it.

    Returns:
        The paths of `explore.html`, `explore.png` and `explore.csv`.

    Raises:
        InputError: The folder cannot be made or written to.
    """
    make_folder(folder)  # before the work: if it cannot be made, that is known at once
    # names of undecodable bytes hold surrogates, which UTF-8 refuses; the page escapes them
    contents = {
        "explore.png": draw_figure(report),
        "explore.csv": write_csv(report).encode("utf-8", "backslashreplace"),
        "explore.html": build_page(report).encode("utf-8"),
    }
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return folder / "explore.html", folder / "explore.png", folder / "explore.csv"
