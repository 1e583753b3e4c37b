"""From the words of a command to its exit code: the verbs, and what is said when one fails."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from s3d import __version__
from s3d.cli import (
    analyze,
    benchmark,
    calibrate,
    check,
    convert,
    convert_boxes,
    cost,
    detect,
    evaluate,
    evaluate_detector,
    explore,
    export,
    features,
    flow,
    list_networks,
    predict,
    quantize,
    sample,
    sample_boxes,
    shard,
    similar,
    train,
    train_detector,
    watch,
)
from s3d.cli.parser import Parser, parse
from s3d.cli.terminal import escape_what_cannot_be_encoded, first_complains, print_error
from s3d.errors import InputError

INTERRUPTED = 130

VERBS = (
    train, evaluate, analyze, explore, predict, watch, calibrate, features, similar, check, flow,
    shard, convert, quantize, export, sample, list_networks, cost, benchmark,
    train_detector, evaluate_detector, detect, convert_boxes, sample_boxes,
)  # fmt: skip
"""In the order of the help."""

EXAMPLES = """examples:
  s3d sample clips                                  write a small data set of real MP4 files
  s3d train clips/train --out run                   train on a folder DIR/<class>/*.*
  s3d evaluate clips/test --model run/model.safetensors
  s3d analyze kernels run/model.safetensors         what a network learnt of time, layer by layer
  s3d predict video.mp4 --model run/model.safetensors
  s3d calibrate run/model.safetensors clips/test    from which score a label is believed
  s3d predict day.mp4 --timeline --out when         what happens when, in a video of hours
  s3d predict video.mp4                             with published weights, downloaded once
  s3d watch 0 --model run/model.safetensors         tell what a camera sees, as it happens
  s3d features videos --at mixed5c --out features   numbers for other models, with their times
  s3d similar kick.mp4 videos --out alike.html      which videos move like this one
  s3d check ucf101:/data/UCF-101                    find broken, doubled and missing videos
  s3d flow videos --out flow                        optical flow, for two streams
  s3d shard ucf101:/data/UCF-101 --out shards       pack into tars; train on shards:shards
  s3d convert S3D_kinetics400.pt --out model.safetensors
  s3d quantize run/model.safetensors clips/train --out int8.safetensors
  s3d export run/model.safetensors --to onnx        a file that needs no s3d
  s3d explore videos --budget-ms 50 --quick --out found    which network suits these videos
  s3d sample-boxes figures                          made-up videos with boxes, to try detection on
  s3d train-detector figures/train.csv --out who    learn who does what, where and when
  s3d evaluate-detector figures/test.csv --model who/model.safetensors
  s3d detect video.mp4 --model who/model.safetensors --out seen.mp4 --json tubes.json
  s3d cost s3d_g --frames 64 --size 224             parameters and multiply-adds
  s3d benchmark model.safetensors                   which engine is the fastest here
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the command's name; those of the process if None.

    Returns:
        The exit code: 0, 2 for what a person can mend, 130 when interrupted.
    """
    escape_what_cannot_be_encoded()
    try:
        parser = make_parser()
        with first_complains():
            options = parse(sys.argv[1:] if arguments is None else arguments, parser)
        if options.verb is None:
            parser.print_help()
            return 0
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except InputError as error:
        return print_error(str(error))
    except BrokenPipeError:
        # The reader of our output has gone; Python must not complain of it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("\ns3d: interrupted; a training run goes on with the same command", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        return print_error(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "))


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command with all its verbs."""
    parser = Parser(
        prog="s3d",
        description="Recognise actions in video: train on a folder, evaluate, label.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"s3d {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    for verb in VERBS:
        verb.add(verbs)
    return parser
