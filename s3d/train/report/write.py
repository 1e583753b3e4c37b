"""Write what a run came to: `report.html`, one page with everything in it, and `report.png`."""

from __future__ import annotations

from pathlib import Path

from s3d.files import make_folder, write_bytes
from s3d.train.report.data import RunReport
from s3d.train.report.page import build_page
from s3d.train.report.plots import draw_figure


def write_report(report: RunReport, directory: str | Path) -> Path:
    """Write `report.html` and `report.png` into a folder.

    Both are made in memory first and renamed into place, so that a report of an earlier run stays
    whole until the new one is.

    Args:
        report: What the run came to.
        directory: The run's folder, made if it is missing; the page tells how to use the
            `model.safetensors` in it.

    Returns:
        The path of the page.
    """
    folder = Path(directory)
    # names of undecodable bytes hold surrogates, which UTF-8 refuses; the page escapes them
    page = build_page(report, folder).encode("utf-8")
    picture = draw_figure(report)
    make_folder(folder)
    write_bytes(folder / "report.png", picture)
    write_bytes(folder / "report.html", page)
    return folder / "report.html"
