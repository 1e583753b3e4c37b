"""s3d evaluate: how often a model is right on labelled videos."""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import TYPE_CHECKING

from s3d.cli.model_options import (
    add_flow_options,
    add_model_options,
    find_flow,
    load_streams,
)
from s3d.cli.parser import DATA_HELP, Verbs, add_verb
from s3d.cli.terminal import progress_bar
from s3d.errors import InputError

if TYPE_CHECKING:
    from s3d.clip import ClipSpec
    from s3d.evaluate.evaluation import Evaluation
    from s3d.infer.recognizer import Recognizer
    from s3d.infer.streams import TwoStreams
    from s3d.models.processes import Processes


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "evaluate", "score a model on labelled videos", run)
    parser.add_argument("data", help=DATA_HELP)
    add_model_options(parser, required=False)
    add_flow_options(parser)
    parser.add_argument("--protocol", default="clip", help="clip, all-frames, 10x3 or cover [clip]")
    parser.add_argument("--reversed", action="store_true", help="play the videos backwards")
    parser.add_argument("--splits", metavar="1,2,3", help="splits to score, each with its model")
    parser.add_argument("--models", metavar="A,B,C", help="their models; or one, {} for the split")
    parser.add_argument("--quarantine", metavar="FILE", help="leave out what `s3d check` listed")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the scores, and return the exit code; under torchrun all processes share the work."""
    from s3d.models.processes import join_processes

    with join_processes(options.device) as processes:
        return _run(options, processes)


def _run(options: argparse.Namespace, processes: Processes) -> int:
    from s3d.infer.views import check_protocol

    check_protocol(options.protocol)
    if options.splits or options.models:
        return _run_splits(options, processes)
    if options.model is None:
        raise InputError("the following arguments are required: --model. See s3d evaluate --help.")
    from s3d.evaluate.table import format_evaluation

    recognizer = processes.in_turn(lambda: load_streams(options))
    outcome = score(recognizer, options.data, options, processes)
    if options.json:
        text = json.dumps(outcome.to_json(), ensure_ascii=False, indent=1)
    else:
        text = format_evaluation(outcome, *_clips_of(recognizer))
    if processes.is_first:
        print(text)
    return 0


def _run_splits(options: argparse.Namespace, processes: Processes) -> int:
    """Score each split of a data set with its model, and print each and the mean."""
    from s3d.data.videos import name_split
    from s3d.evaluate.splits import SplitEvaluation, pair_models
    from s3d.evaluate.table import format_splits

    if not (options.splits and options.models) or options.model:
        raise InputError("--splits and --models go together, without --model.")
    outcomes = {}
    flow_models = pair_models(options.splits, options.flow_model) if options.flow_model else {}
    for split, model in pair_models(options.splits, options.models).items():
        data = name_split(options.data, split)
        own = {**vars(options), "model": model, "flow_model": flow_models.get(split)}
        recognizer = processes.in_turn(partial(load_streams, argparse.Namespace(**own)))
        outcomes[split] = score(recognizer, data, options, processes)
    outcome = SplitEvaluation(outcomes)
    if options.json:
        text = json.dumps(outcome.to_json(), ensure_ascii=False, indent=1)
    else:
        text = format_splits(outcome, *_clips_of(recognizer))
    if processes.is_first:
        print(text)
    return 0


def _clips_of(recognizer: Recognizer | TwoStreams) -> tuple[ClipSpec, ...]:
    from s3d.infer.streams import TwoStreams

    if isinstance(recognizer, TwoStreams):
        return recognizer.rgb.spec, recognizer.flow.spec
    return (recognizer.spec,)


def score(
    recognizer: Recognizer | TwoStreams,
    data: str,
    options: argparse.Namespace,
    processes: Processes,
) -> Evaluation:
    """Score the part of the data that is there to be scored.

    Args:
        recognizer: The model, or two streams.
        data: What `list_videos` takes.
        options: Hold flow, device, quarantine, protocol and reversed, as the verb has them.
        processes: That share the videos.

    Raises:
        InputError: The data cannot be scored by it.
    """
    from s3d.data.flow.place import FlowPlace
    from s3d.data.quarantine import leave_out
    from s3d.data.videos import list_videos
    from s3d.evaluate.evaluation import evaluate
    from s3d.infer.streams import TwoStreams

    listed = list_videos(data, least_classes=1)
    videos = leave_out(listed.take(listed.evaluated_part), options.quarantine)
    flow: list[str] | None = None
    if options.flow is not None:
        paths = [video.path for video in videos.videos]
        where = FlowPlace.of(data, options.flow)
        taken = processes.first(lambda: find_flow(options, recognizer, paths, where))
        if isinstance(recognizer, TwoStreams):
            videos = videos.without(taken.reasons)
            flow = [taken.paths[video.path] for video in videos.videos]
        else:
            videos = taken.swap_listed(videos)
    return evaluate(
        recognizer,
        videos,
        options.protocol,
        options.reversed,
        progress=progress_bar("scoring") if processes.is_first else None,
        flow=flow,
        processes=processes,
    )
