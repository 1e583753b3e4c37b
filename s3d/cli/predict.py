"""s3d predict: the likeliest classes of videos."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from s3d.cli.batch_options import add_batch_options, check_batch_options
from s3d.cli.model_options import add_model_options, load_recognizer
from s3d.cli.parser import Verbs, add_verb
from s3d.cli.predict_many import predict_many
from s3d.cli.terminal import print_error
from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.published.weights import DEFAULT

if TYPE_CHECKING:
    from s3d.infer.recognizer import Prediction

BAR_WIDTH = 24


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "predict", "label videos", run)
    parser.add_argument(
        "videos", nargs="+", metavar="VIDEO",
        help="files to label; with --out also folders, CSV lists, data sets NAME:DIR",
    )  # fmt: skip
    add_model_options(parser, default=DEFAULT)
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes to show [5]")
    parser.add_argument("--protocol", default="cover", help="cover, clip, all-frames, 10x3 [cover]")
    parser.add_argument("--reversed", action="store_true", help="play the videos backwards")
    parser.add_argument("--json", action="store_true", help="print a line of JSON a video")
    parser.add_argument("--all-scores", action="store_true", help="with --out: of every class")
    add_batch_options(parser, out="labels and scores")


def run(options: argparse.Namespace) -> int:
    """Print the classes of each video, and return the exit code.

    A video that cannot be read is named on stderr, and the others are labelled all the same.
    """
    from s3d.infer.views import check_protocol

    check_protocol(options.protocol)
    if options.top < 1:
        raise InputError(f"--top is {options.top}; at least 1 is needed.")
    if check_batch_options(options):
        return predict_many(options)
    from s3d.infer.recognizer import Prediction

    recognizer = load_recognizer(options)
    code = 0
    results = recognizer.predict_each(options.videos, options.protocol, options.reversed)
    for video, result in zip(options.videos, results, strict=True):
        if isinstance(result, Prediction):
            print(_show_json(result, options.top) if options.json else _show(result, options.top))
            continue
        if options.json:
            print(json.dumps({"path": video, "error": str(result)}, ensure_ascii=False))
        code = print_error(str(result))
    return code


def _show_json(prediction: Prediction, count: int) -> str:
    top = [{"label": label, "score": round(score, 6)} for label, score in prediction.top(count)]
    values = {"path": prediction.path, "top": top, "views": prediction.views}
    return json.dumps(values, ensure_ascii=False)


def _show(prediction: Prediction, count: int) -> str:
    top = [(show_path(label), score) for label, score in prediction.top(count)]
    wide = max(len(label) for label, _ in top)
    lines = [show_path(prediction.path)]
    for label, score in top:
        bar = "█" * round(score * BAR_WIDTH)
        lines.append(f"  {label:<{wide}}  {score:6.1%}  {bar}".rstrip())
    return "\n".join(lines)
