"""s3d analyze order: each class with its videos normal and reversed."""

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
    from s3d.explore.analyse.order import ClassOrder, OrderAnalysis

MOST_LINES = 40


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "score videos normal and reversed: what order is worth to each class"
    add_video_options(add_verb(verbs, "order", text, run), "order")


def run(options: argparse.Namespace) -> int:
    """Write the analysis into its folder, print it, and return the exit code."""
    from s3d.explore.analyse.order import analyse_order
    from s3d.explore.analyse.order_plot import draw_order
    from s3d.infer.views import check_protocol

    check_protocol(options.protocol)
    pairs, videos = take_pairs(options), list_data(options)
    recognizer, folder = load_recognizer(options), choose_folder(options)
    bar = progress_bar("scoring both ways")
    found = analyse_order(recognizer, videos, pairs, options.protocol, bar)
    png, values = draw_order(found, name_model(options.model)), found.to_json()
    line = write_results(folder, "order", png, values, found.to_rows())
    if options.json:
        print(json.dumps(values, ensure_ascii=False, indent=1))
    else:
        print("\n".join([format_order(found), line]))
    return 0


def format_order(found: OrderAnalysis) -> str:
    """Return an analysis as lines of text."""
    forward = found.both.forward
    lines = [
        f"data       {show_path(forward.data)}, {len(found.both.truth):,} videos scored both ways",
        f"protocol   {forward.protocol}",
        f"top-1      {found.forward:.1%} normal, {found.backward:.1%} reversed",
    ]
    if found.pairs:
        how = "found" if found.pairs_are_found else "given"
        lines += [
            f"pairs      {len(found.pairs)} {how}; {found.partner_share:.1%} of their reversed "
            "videos are named as the partner",
            f"within     {found.within_forward:.1%} normal, {found.within_backward:.1%} reversed; "
            "chance 50%",
        ]
    else:
        lines.append("pairs      no classes are each other backwards for this model (--pairs)")
    lines += failure_lines(forward.failures)
    rows = [one for group in found.grouped() for one in group]
    lines += ["", _HEAD, *(_class_line(one) for one in rows[:MOST_LINES])]
    if len(rows) > MOST_LINES:
        lines.append(f"{len(rows) - MOST_LINES} more classes are in order.csv")
    return "\n".join([*lines, ""])


_HEAD = f"{'class':<28}{'videos':>7}{'normal':>9}{'reversed':>10}{'within':>9}  named when reversed"


def _class_line(one: ClassOrder) -> str:
    within = "" if one.partner is None else f"{one.within_forward:.0%}"
    named = "the same" if one.named == one.label else one.named
    mark = " (partner)" if one.named == one.partner else ""
    return (
        f"{one.label:<28}{one.videos:>7,}{one.forward:>9.0%}{one.backward:>10.0%}{within:>9}  "
        f"{named} {one.named_share:.0%}{mark}"
    )
