"""s3d calibrate: the score below which nothing is said to happen, chosen on data."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.model_options import load_recognizer
from s3d.cli.parser import DATA_HELP, Verbs, add_verb, split_words
from s3d.cli.terminal import print_error, progress_bar
from s3d.errors import InputError
from s3d.files import show_path

if TYPE_CHECKING:
    from s3d.data.video_list import VideoList
    from s3d.infer.threshold import Threshold


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "choose on data from which score a label is believed, and keep that in the model file"
    parser = add_verb(verbs, "calibrate", text, run)
    parser.add_argument("model", metavar="MODEL", help="model.safetensors, which is written to")
    parser.add_argument(
        "data", metavar="DATA", help=f"labelled videos it was not trained on: {DATA_HELP}"
    )
    parser.add_argument(
        "--nothing", nargs="+", metavar="VIDEO", default=[],
        help="files, folders or lists of videos in which nothing happens",
    )  # fmt: skip
    parser.add_argument(
        "--nothing-labels", metavar="A,B", help="labels that mean that nothing happens"
    )
    parser.add_argument(
        "--keep", type=float, default=0.95, metavar="SHARE",
        help="of the windows labelled right, that must reach the threshold [0.95]",
    )  # fmt: skip
    parser.add_argument(
        "--stride", type=float, metavar="SECONDS", help="from window to window [a quarter of one]"
    )
    parser.add_argument("--frames", type=int, metavar="N", help="of a window [the model's clip]")
    parser.add_argument("--rate", type=float, metavar="FPS", help="of its frames [the model's]")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--engine", default="auto", metavar="NAME", help="what runs the network [auto]"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Choose the threshold, write it into the model, and return the exit code.

    A video that cannot be read is named on stderr and left out.
    """
    from s3d.data.find_videos import find_videos
    from s3d.evaluate.calibrate import calibrate, check_keep
    from s3d.infer.scan import ScanRecipe
    from s3d.models.model_file import add_metric, load_model

    check_keep(options.keep)
    recipe = ScanRecipe(options.stride, options.frames, options.rate)
    if not Path(options.model).is_file():
        raise InputError(
            f"{show_path(options.model)}: no such model file to write to. Make one with "
            "`s3d train`, or of published weights with `s3d convert`."
        )
    load_model(options.model)  # Others are converted on the way, and could not be written to.
    quiet = [path for source in options.nothing for path in find_videos(source, Path(source))]
    found = calibrate(
        load_recognizer(options),
        _list(options.data),
        quiet,
        keep=options.keep,
        nothing_labels=split_words(options.nothing_labels),
        recipe=recipe,
        tell=progress_bar("calibrating"),
    )
    for path, reason in found.failures:
        print_error(reason if show_path(path) in reason else f"{path}: {reason}")
    add_metric(options.model, found.threshold.to_metric())
    shown = json.dumps(found.threshold.to_metric(), ensure_ascii=False, indent=1)
    print(shown if options.json else _show(found.threshold, options.model))
    return 0


def _list(data: str) -> VideoList:
    """Return the videos to calibrate on: validation where there is one, else as to evaluate."""
    from s3d.data.videos import list_videos

    listed = list_videos(data, least_classes=1)
    is_split = listed.part is None and any(video.split == "val" for video in listed.videos)
    return listed.take("val" if is_split else listed.evaluated_part)


def _show(found: Threshold, model: str) -> str:
    of = f"of {found.windows:,} windows of {found.videos:,} videos in {show_path(found.data)}"
    rows = [
        ("threshold", f"{found.value:g}"),
        ("right", f"{found.right_share:.1%} {of}"),
        ("kept", f"{found.kept_share:.1%} of these reach the threshold"),
    ]
    if found.false_share is not None:
        quiet = f"of {found.nothing_windows:,} windows in which nothing happens"
        rows.append(("false", f"{found.false_share:.1%} {quiet}"))
    else:
        rows.append(("false", "not known: give videos in which nothing happens with --nothing"))
    rows += [("protocol", found.protocol), ("in", show_path(model))]
    return "\n".join(f"{name:<10}{text}" for name, text in rows)
