"""s3d evaluate-detector: what a detector, or detections, are worth on annotated videos."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from s3d.cli.detector_options import add_detector_options, load_finder
from s3d.cli.model_options import tell_line
from s3d.cli.parser import Verbs, add_verb
from s3d.cli.terminal import progress_bar
from s3d.cli.train_detector import BOXES_HELP
from s3d.errors import InputError

if TYPE_CHECKING:
    from s3d.detect.annotations.annotated import Annotated
    from s3d.detect.run.evaluate import ScoreSettings
    from s3d.detect.score.score import DetectionScore

PROTOCOLS = ("voc", "act", "coco")


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "score a detector, or detections: frame-mAP, video-mAP, and what goes wrong"
    parser = add_verb(verbs, "evaluate-detector", text, run)
    parser.add_argument("data", help=BOXES_HELP)
    add_detector_options(parser, required=False)
    parser.add_argument(
        "--detections", metavar="CSV",
        help="in the place of a model: video,frame,x1,y1,x2,y2,label,score, whoever found them",
    )  # fmt: skip
    parser.add_argument("--part", metavar="NAME", help="train, val, test or all [test, if marked]")
    parser.add_argument(
        "--protocol", default="voc", metavar="NAME",
        help="voc: continuous AP, as AVA; act: as JHMDB and UCF-101-24 were scored by the "
        "ACT-detector; coco: 101 points [voc]",
    )  # fmt: skip
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="score every N-th [1]")
    parser.add_argument("--linking", default="online", metavar="HOW", help="online or viterbi")
    parser.add_argument("--trim", action="store_true", help="cut tubes to where the action goes on")
    parser.add_argument("--save", metavar="CSV", help="write what was found, as --detections reads")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the scores, and return the exit code."""
    if options.protocol not in PROTOCOLS:
        raise InputError(
            f"--protocol is {options.protocol!r}; it is one of {', '.join(PROTOCOLS)}."
        )
    if (options.model is None) == (options.detections is None):
        raise InputError("name what is scored: --model MODEL, or --detections CSV, one of them.")
    from s3d.detect.run.evaluate import ScoreSettings
    from s3d.detect.score.match import PROTOCOLS as RULES
    from s3d.detect.tubes.settings import LinkSettings

    linking = LinkSettings(options.linking, trims=options.trim)
    settings = ScoreSettings(options.stride, linking=linking, protocol=RULES[options.protocol])
    if options.detections is not None:
        return _score_detections(options, settings)
    return _score_model(options, settings)


def _score_detections(options: argparse.Namespace, settings: ScoreSettings) -> int:
    from s3d.detect.annotations.found_csv import read_found
    from s3d.detect.run.evaluate import score_found
    from s3d.detect.train.data import read_part

    if options.save is not None:
        raise InputError("--save writes what a model finds; --detections has it already.")
    data = read_part(options.data, options.part, "test")
    found = read_found(options.detections, data)
    score = score_found(data, found, settings)
    _print(options, data, score, {"detections": options.detections}, "")
    return 0


def _score_model(options: argparse.Namespace, settings: ScoreSettings) -> int:
    from s3d.detect.annotations.found_csv import write_found
    from s3d.detect.annotations.relabel import restrict_labels
    from s3d.detect.run.evaluate import evaluate_detector
    from s3d.detect.train.data import read_part

    finder = load_finder(options)
    data = restrict_labels(read_part(options.data, options.part, "test"), finder.labels)
    outcome = evaluate_detector(finder, data, settings, progress_bar("scoring"))
    for _, reason in outcome.failures:
        tell_line(f"left out: {reason}")
    if options.save is not None:
        write_found(options.save, outcome.data, outcome.found)
    speed = outcome.key_frames / max(outcome.seconds, 1e-9)
    facts: dict[str, Any] = {
        "model": options.model,
        "key_frames_per_second": round(speed, 2),
        "failures": [list(failure) for failure in outcome.failures],
    }
    line = f"{outcome.key_frames:,} key frames looked at, {speed:.1f} a second"
    _print(options, data, outcome.score, facts, line)
    return 0


def _print(
    options: argparse.Namespace,
    data: Annotated,
    score: DetectionScore,
    facts: dict[str, Any],
    line: str,
) -> None:
    """Print a score as text or JSON, and what is wrong with the data as lines of their own."""
    from s3d.detect.score.table import detection_summary, format_detection_score

    for problem in data.problems.lines():
        tell_line(problem)
    if not options.json:
        print("\n".join(filter(None, (format_detection_score(score), line))))
        return
    told = {"data": options.data, "linking": options.linking, "problems": data.problems.lines()}
    print(json.dumps({**detection_summary(score), **facts, **told}, ensure_ascii=False, indent=1))
