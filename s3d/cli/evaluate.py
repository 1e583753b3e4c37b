"""s3d evaluate: how often a model is right on labelled videos."""

from __future__ import annotations

import argparse
import json

from s3d.cli.model_options import add_model_options, load_recognizer
from s3d.cli.parser import Verbs, add_verb
from s3d.cli.terminal import progress_bar


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "evaluate", "score a model on labelled videos", run)
    parser.add_argument("data", help="folder DIR/<class>/*.* or CSV with path,label")
    add_model_options(parser)
    parser.add_argument("--protocol", default="clip", help="clip, all-frames, 10x3 or cover [clip]")
    parser.add_argument("--reversed", action="store_true", help="play the videos backwards")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the scores, and return the exit code."""
    from s3d.infer.views import check_protocol

    check_protocol(options.protocol)
    from s3d.data.videos import list_videos
    from s3d.evaluate.evaluation import evaluate
    from s3d.evaluate.table import format_evaluation

    recognizer = load_recognizer(options)
    videos = list_videos(options.data, least_classes=1)
    progress = progress_bar("scoring")
    outcome = evaluate(recognizer, videos, options.protocol, options.reversed, progress=progress)
    if options.json:
        print(json.dumps(outcome.to_json(), ensure_ascii=False, indent=1))
    else:
        print(format_evaluation(outcome, recognizer.spec))
    return 0
