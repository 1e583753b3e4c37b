"""s3d evaluate-detector: what a detector is worth on annotated videos."""

from __future__ import annotations

import argparse
import json

from s3d.cli.detector_options import add_detector_options, load_finder
from s3d.cli.model_options import tell_line
from s3d.cli.parser import Verbs, add_verb
from s3d.cli.terminal import progress_bar
from s3d.cli.train_detector import BOXES_HELP
from s3d.errors import InputError

PROTOCOLS = ("voc", "act", "coco")


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "score a detector: frame-mAP, video-mAP, and what goes wrong"
    parser = add_verb(verbs, "evaluate-detector", text, run)
    parser.add_argument("data", help=BOXES_HELP)
    add_detector_options(parser)
    parser.add_argument("--part", metavar="NAME", help="train, val, test or all [test, if marked]")
    parser.add_argument(
        "--protocol", default="voc", metavar="NAME",
        help="voc: continuous AP, as AVA; act: as JHMDB and UCF-101-24 were scored by the "
        "ACT-detector; coco: 101 points [voc]",
    )  # fmt: skip
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="score every N-th [1]")
    parser.add_argument("--linking", default="online", metavar="HOW", help="online or viterbi")
    parser.add_argument("--trim", action="store_true", help="cut tubes to where the action goes on")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the scores, and return the exit code."""
    if options.protocol not in PROTOCOLS:
        raise InputError(
            f"--protocol is {options.protocol!r}; it is one of {', '.join(PROTOCOLS)}."
        )
    from s3d.detect.annotations.relabel import restrict_labels
    from s3d.detect.run.evaluate import ScoreSettings, evaluate_detector
    from s3d.detect.score.match import PROTOCOLS as RULES
    from s3d.detect.score.table import detection_summary, format_detection_score
    from s3d.detect.train.data import read_part
    from s3d.detect.tubes.settings import LinkSettings

    linking = LinkSettings(options.linking, trims=options.trim)
    settings = ScoreSettings(options.stride, linking=linking, protocol=RULES[options.protocol])
    finder = load_finder(options)
    data = restrict_labels(read_part(options.data, options.part, "test"), finder.labels)
    for line in data.problems.lines():
        tell_line(line)
    outcome = evaluate_detector(finder, data, settings, progress_bar("scoring"))
    for _, reason in outcome.failures:
        tell_line(f"left out: {reason}")
    speed = outcome.key_frames / max(outcome.seconds, 1e-9)
    if options.json:
        summary = {
            **detection_summary(outcome.score),
            "model": options.model,
            "data": options.data,
            "linking": options.linking,
            "key_frames_per_second": round(speed, 2),
            "failures": [list(failure) for failure in outcome.failures],
            "problems": data.problems.lines(),
        }
        print(json.dumps(summary, ensure_ascii=False, indent=1))
    else:
        print(format_detection_score(outcome.score))
        print(f"{outcome.key_frames:,} key frames looked at, {speed:.1f} a second")
    return 0
