"""s3d predict: the likeliest classes of videos."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3d.cli.batch_options import add_batch_options, check_batch_options
from s3d.cli.model_options import (
    add_flow_options,
    add_model_options,
    find_flow,
    load_streams,
)
from s3d.cli.parser import Verbs, add_verb
from s3d.cli.predict_many import predict_many
from s3d.cli.predict_timeline import (
    add_timeline_options,
    predict_timelines,
    refuse_timeline_options,
)
from s3d.cli.terminal import print_error
from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.published.weights import DEFAULT

if TYPE_CHECKING:
    from s3d.infer.recognizer import Prediction, Recognizer
    from s3d.infer.streams import TwoStreams

BAR_WIDTH = 24


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "predict", "label videos", run)
    parser.add_argument(
        "videos", nargs="+", metavar="VIDEO",
        help="files to label; with --out also folders, CSV lists, data sets NAME:DIR",
    )  # fmt: skip
    add_model_options(parser, default=DEFAULT)
    add_flow_options(parser)
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes to show [5]")
    parser.add_argument("--protocol", default="cover", help="cover, clip, all-frames, 10x3 [cover]")
    parser.add_argument("--reversed", action="store_true", help="play the videos backwards")
    parser.add_argument("--json", action="store_true", help="print a line of JSON a video")
    parser.add_argument("--all-scores", action="store_true", help="with --out: of every class")
    add_batch_options(parser, out="labels and scores")
    add_timeline_options(parser)


def run(options: argparse.Namespace) -> int:
    """Print the classes of each video, and return the exit code.

    A video that cannot be read is named on stderr, and the others are labelled all the same.
    """
    from s3d.infer.views import check_protocol

    check_protocol(options.protocol)
    if options.timeline:
        return predict_timelines(options)
    refuse_timeline_options(options)
    if options.top < 1:
        raise InputError(f"--top is {options.top}; at least 1 is needed.")
    if check_batch_options(options):
        return predict_many(options)
    from s3d.infer.recognizer import Prediction

    code = 0
    results = _predict(load_streams(options), options)
    for video, result in zip(options.videos, results, strict=True):
        if isinstance(result, Prediction):
            print(_show_json(result, options.top) if options.json else _show(result, options.top))
            continue
        if options.json:
            print(json.dumps({"path": video, "error": str(result)}, ensure_ascii=False))
        code = print_error(str(result))
    return code


def _predict(
    recognizer: Recognizer | TwoStreams, options: argparse.Namespace
) -> Iterator[Prediction | InputError]:
    """Yield what is said of each video, its flow taken from --flow where that is given."""
    from s3d.data.flow.place import FlowPlace
    from s3d.infer.streams import TwoStreams

    videos, how = options.videos, (options.protocol, options.reversed)
    flow = list(videos)
    if options.flow is not None:
        where = FlowPlace(common_folder(videos), Path(options.flow))
        taken = find_flow(options, recognizer, videos, where)
        # A video without flow is named by whoever tries to read it.
        flow = [taken.paths.get(video, video) for video in videos]
    if isinstance(recognizer, TwoStreams):
        return recognizer.predict_each(videos, *how, flow=flow)
    results = recognizer.predict_each(flow, *how)
    return (_name(result, video) for result, video in zip(results, videos, strict=True))


def _name(result: Prediction | InputError, video: str) -> Prediction | InputError:
    """Return a result under the name of the video that was asked for, whatever file gave it."""
    return result if isinstance(result, InputError) else replace(result, path=video)


def common_folder(videos: Sequence[str]) -> Path:
    """Return the deepest folder that all videos are in."""
    return Path(os.path.commonpath([Path(video).absolute().parent for video in videos]))


def _show_json(prediction: Prediction, count: int) -> str:
    top = [{"label": label, "score": round(score, 6)} for label, score in prediction.top(count)]
    values: dict[str, Any] = {"path": prediction.path, "top": top, "views": prediction.views}
    for name, stream in prediction.streams.items():
        label, score = stream.top(1)[0]
        values[name] = {"label": label, "score": round(score, 6)}
    return json.dumps(values, ensure_ascii=False)


def _show(prediction: Prediction, count: int) -> str:
    top = [(show_path(label), score) for label, score in prediction.top(count)]
    wide = max(len(label) for label, _ in top)
    lines = [show_path(prediction.path)]
    for label, score in top:
        bar = "█" * round(score * BAR_WIDTH)
        lines.append(f"  {label:<{wide}}  {score:6.1%}  {bar}".rstrip())
    for name, stream in prediction.streams.items():
        label, score = stream.top(1)[0]
        lines.append(f"  {name} alone: {show_path(label)}, {score:.1%}")
    return "\n".join(lines)
