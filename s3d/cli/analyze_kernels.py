"""s3d analyze kernels: how far the kernels of a network reach in time, layer by layer."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.analyze_options import add_result_options, choose_folder, name_model
from s3d.cli.parser import Verbs, add_verb
from s3d.files import show_path

if TYPE_CHECKING:
    from s3d.explore.analyse.kernel_report import KernelReport


def add(verbs: Verbs) -> None:
    """Add the analysis and its options."""
    text = "box plots of kernel weights per temporal offset, and how they changed in training"
    parser = add_verb(verbs, "kernels", text, run)
    parser.add_argument(
        "model", metavar="MODEL", help="model.safetensors, or published weights by name"
    )
    parser.add_argument(
        "--start", metavar="MODEL",
        help="what its training began with [known of a run of `s3d train` from scratch]",
    )  # fmt: skip
    add_result_options(parser, "kernels")


def run(options: argparse.Namespace) -> int:
    """Measure the kernels, write and print what was found, and return the exit code."""
    from s3d.explore.analyse.kernel_report import report_kernels
    from s3d.explore.analyse.kernels_plot import draw_kernels
    from s3d.explore.analyse.start import find_start
    from s3d.explore.analyse.write import write_analysis
    from s3d.models.open import open_model

    network = open_model(options.model).network
    start = open_model(options.start).network if options.start else None
    report = report_kernels(network, start or find_start(options.model, network))
    folder = choose_folder(options)
    picture = draw_kernels(report, f"{report.network}, {name_model(options.model)}")
    values = {"model": show_path(options.model), **report.to_json()}
    write_analysis(folder, "kernels", values, report.to_rows(), picture)
    shown = json.dumps(values, ensure_ascii=False, indent=1)
    print(shown if options.json else _show(report, folder))
    return 0


def _show(report: KernelReport, folder: Path) -> str:
    title = f"{'layer':<10}{'kernel':<12}{'outer / centre':>14}   fresh networks"
    lines = [f"{title}   training changed" if report.changes else title]
    for spread, begun in report.layers:
        kernel = " x ".join(map(str, spread.kernel))
        fresh = f"{min(begun):.2f} to {max(begun):.2f}"
        line = f"{spread.layer:<10}{kernel:<12}{spread.outer_ratio:>14.2f}   {fresh:<14}"
        change = report.layer_changes.get(spread.layer)
        lines.append(f"{line}{change.outer_ratio:>19.2f}" if change else line.rstrip())
    return "\n".join((*lines, f"in        {show_path(folder)}"))
