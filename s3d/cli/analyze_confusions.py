"""s3d analyze confusions: which confusions the order of frames explains."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from s3d.cli.analyze_options import choose_folder, name_model
from s3d.cli.analyze_videos import (
    add_video_options,
    failure_lines,
    list_data,
    take_pairs,
    write_results,
)
from s3d.cli.model_options import load_recognizer
from s3d.cli.parser import Verbs, add_verb
from s3d.cli.terminal import progress_bar
from s3d.files import show_path

if TYPE_CHECKING:
    from s3d.explore.analyse.confusions import Confusion, ConfusionAnalysis

MOST_LINES = 30


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "say of each pair of classes that is confused whether order explains it"
    add_video_options(add_verb(verbs, "confusions", text, run), "confusions")


def run(options: argparse.Namespace) -> int:
    """Write the analysis into its folder, print it, and return the exit code."""
    from s3d.explore.analyse.confusions import analyse_confusions
    from s3d.explore.analyse.confusions_plot import draw_confusions
    from s3d.infer.views import check_protocol

    check_protocol(options.protocol)
    pairs, videos = take_pairs(options), list_data(options)
    recognizer, folder = load_recognizer(options), choose_folder(options)
    bar = progress_bar("scoring both ways")
    found = analyse_confusions(recognizer, videos, pairs, options.protocol, bar)
    png, values = draw_confusions(found, name_model(options.model)), found.to_json()
    rows = [one.to_row() for one in found.confusions]
    line = write_results(folder, "confusions", png, values, rows)
    if options.json:
        print(json.dumps(values, ensure_ascii=False, indent=1))
    else:
        print("\n".join([format_confusions(found), line]))
    return 0


def format_confusions(found: ConfusionAnalysis) -> str:
    """Return an analysis as lines of text."""
    from s3d.explore.analyse.confusions import VERDICTS

    forward, total = found.both.forward, len(found.both.truth)
    wrong = int((found.both.named_forward != found.both.truth).sum())
    lines = [
        f"data       {show_path(forward.data)}, {total:,} videos scored both ways",
        f"protocol   {forward.protocol}",
        f"wrong      {wrong:,} of {total:,}",
        *(f"           {found.count(one):,}: {one}" for one in VERDICTS if found.count(one)),
        *failure_lines(forward.failures),
        "",
        _HEAD if found.confusions else "no video is taken for another class",
        *(_pair_line(one) for one in found.confusions[:MOST_LINES]),
    ]
    if len(found.confusions) > MOST_LINES:
        lines.append(f"{len(found.confusions) - MOST_LINES} more are in confusions.csv")
    if not all(one.is_settled for one in found.confusions):
        lines.append("* not settled: name the classes that are each other backwards with --pairs")
    return "\n".join([*lines, ""])


_HEAD = f"{'classes':<44}{'mistaken':>10}{'reversed':>10}{'looks':>7}{'order':>7}  verdict"


def _pair_line(one: Confusion) -> str:
    total = sum(one.videos)
    mistaken = f"{sum(one.mistaken)}/{total}"
    backward = f"{sum(one.mistaken_reversed)}/{total}"
    mark = "" if one.is_settled else " *"
    return (
        f"{f'{one.a}, {one.b}':<44}{mistaken:>10}{backward:>10}{one.looks.share:>7.0%}"
        f"{one.order.share:>7.0%}  {one.verdict}{mark}"
    )
