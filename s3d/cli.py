"""The command line: a verb parses, calls one function, prints.

What a person gets wrong is one line on stderr and exit code 2. Heavy imports wait until a verb
needs them, so that help comes at once.
"""

from __future__ import annotations

import argparse
import difflib
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, get_args, get_type_hints

from s3d import __version__
from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.family import LAYERS, LETTERS, NETWORKS

USER_ERROR = 2
INTERRUPTED = 130
BAR_WIDTH = 24

EXAMPLES = """examples:
  s3d sample clips                                  write a small data set of real MP4 files
  s3d train clips/train --out run                   train on a folder DIR/<class>/*.*
  s3d evaluate clips/test --model run/model.safetensors
  s3d predict video.mp4 --model run/model.safetensors
  s3d cost s3d_g --frames 64 --size 224             parameters and multiply-adds
"""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}. See {self.prog} --help.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the command's name; those of the process if None.

    Returns:
        The exit code: 0, 2 for what a person can mend, 130 when interrupted.
    """
    _let_print_anything()
    try:
        parser = _make_parser()
        words = _guard_dashes(sys.argv[1:] if arguments is None else arguments, parser)
        _check_verb(words, parser)
        options, unknown = parser.parse_known_args(words)
        if unknown:
            raise _unknown_option(unknown[0], options, parser)
        if options.verb is None:
            parser.print_help()
            return 0
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except InputError as error:
        return _fail(str(error))
    except BrokenPipeError:
        # The reader of our output has gone; Python must not complain of it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("\ns3d: interrupted; a training run goes on with the same command", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        return _fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "))


def _fail(message: str) -> int:
    print(f"s3d: {show_path(' '.join(message.split()))}", file=sys.stderr)
    return USER_ERROR


def _let_print_anything() -> None:
    """Let names and bars that the terminal's encoding lacks be printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _guard_dashes(words: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """Let a file whose name begins with a dash be named like any other."""
    known = {s for p in _subparsers(parser).values() for a in p._actions for s in a.option_strings}

    def is_file(word: str) -> bool:
        is_option = not word.startswith("-") or word.partition("=")[0] in {*known, "--"}
        # os.path, since Path.exists raises for a name too long to be one.
        return not is_option and os.path.exists(word)  # noqa: PTH110

    return [f"./{word}" if is_file(word) else word for word in words]


def _check_verb(words: Sequence[str], parser: argparse.ArgumentParser) -> None:
    verbs = _subparsers(parser)
    word = next(iter(words), "-")
    if word.startswith("-") or word in verbs:
        return
    near = difflib.get_close_matches(word, verbs, n=2)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise InputError(f"unknown verb {word!r}.{hint} Known: {', '.join(verbs)}.")


def _unknown_option(
    word: str, options: argparse.Namespace, parser: argparse.ArgumentParser
) -> InputError:
    sub = _subparsers(parser).get(options.verb or "", parser)
    known = [s for action in sub._actions for s in action.option_strings]
    near = difflib.get_close_matches(word.partition("=")[0], known, n=2)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    kind = "option" if word.startswith("-") else "argument"
    return InputError(f"unknown {kind} {word!r}.{hint} See {sub.prog} --help.")


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="s3d",
        description="Recognise actions in video: train on a folder, evaluate, label.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"s3d {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser)
    for add in (_add_train, _add_evaluate, _add_predict, _add_sample, _add_list, _add_cost):
        add(verbs)
    return parser


def _add_verb(
    verbs: Any, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(run=run)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="FILE", help="model.safetensors of a run")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")


def _add_fields(parser: argparse.ArgumentParser, cls: type, skipped: Sequence[str] = ()) -> None:
    """Add an option for each field of a dataclass that has a help text."""
    hints = get_type_hints(cls)
    for option in fields(cls):
        if option.name in skipped or "help" not in option.metadata:
            continue
        kinds = [k for k in (*get_args(hints[option.name]), hints[option.name]) if k in _PLAIN]
        default = "chosen" if option.default is None else option.default
        extra: dict[str, Any] = {"help": f"{option.metadata['help']} [{default}]"}
        if kinds[0] is bool:
            extra["action"] = argparse.BooleanOptionalAction
        else:
            extra["type"] = kinds[0]
            extra["metavar"] = option.metadata.get("metavar", kinds[0].__name__.upper())
        flag = "--" + option.name.replace("_", "-")
        parser.add_argument(flag, dest=option.name, default=option.default, **extra)


_PLAIN = (bool, int, float, str)


def _add_train(verbs: Any) -> None:
    from s3d.train.config import TrainConfig

    parser = _add_verb(verbs, "train", "train a recogniser on a folder or list of videos", _train)
    parser.add_argument(
        "data", help="folder DIR/<class>/*.* or CSV with path,label[,group][,split]"
    )
    parser.add_argument("--quiet", action="store_true", help="show nothing")
    _add_fields(parser, TrainConfig, skipped=("data",))


def _train(options: argparse.Namespace) -> int:
    from s3d.train.config import TrainConfig

    names = [option.name for option in fields(TrainConfig)]
    config = TrainConfig(**{name: getattr(options, name) for name in names})
    if not config.out:
        raise InputError("--out is missing: name a folder for the run, as in --out run.")
    from s3d.train.train import train

    train(config, options.quiet)
    return 0


def _add_evaluate(verbs: Any) -> None:
    parser = _add_verb(verbs, "evaluate", "score a model on labelled videos", _evaluate)
    parser.add_argument("data", help="folder DIR/<class>/*.* or CSV with path,label")
    _add_model(parser)
    parser.add_argument("--protocol", default="clip", help="clip, all-frames, 10x3 or cover [clip]")
    parser.add_argument("--reversed", action="store_true", help="play the videos backwards")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _evaluate(options: argparse.Namespace) -> int:
    from s3d.infer.views import check_protocol

    check_protocol(options.protocol)
    from s3d.data.videos import list_videos
    from s3d.evaluate.evaluation import evaluate
    from s3d.evaluate.table import format_evaluation
    from s3d.infer.recognizer import load

    recognizer = load(options.model).to(_device(options.device))
    videos = list_videos(options.data, least_classes=1)
    outcome = evaluate(
        recognizer, videos, options.protocol, options.reversed, progress=_progress("scoring")
    )
    if options.json:
        print(json.dumps(outcome.to_json(), ensure_ascii=False, indent=1))
    else:
        print(format_evaluation(outcome, recognizer.spec))
    return 0


def _add_predict(verbs: Any) -> None:
    parser = _add_verb(verbs, "predict", "label videos", _predict)
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="files to label")
    _add_model(parser)
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes to show [5]")
    parser.add_argument("--protocol", default="cover", help="cover, clip, all-frames, 10x3 [cover]")
    parser.add_argument("--reversed", action="store_true", help="play the videos backwards")
    parser.add_argument("--json", action="store_true", help="print a line of JSON a video")


def _predict(options: argparse.Namespace) -> int:
    from s3d.infer.views import check_protocol

    check_protocol(options.protocol)
    if options.top < 1:
        raise InputError(f"--top is {options.top}; at least 1 is needed.")
    from s3d.infer.recognizer import Prediction, load

    recognizer = load(options.model).to(_device(options.device))
    code = 0
    results = recognizer.predict_each(options.videos, options.protocol, options.reversed)
    for video, result in zip(options.videos, results, strict=True):
        if isinstance(result, Prediction):
            print(_show_json(result, options.top) if options.json else _show(result, options.top))
            continue
        if options.json:
            print(json.dumps({"path": video, "error": str(result)}, ensure_ascii=False))
        code = _fail(str(result))
    return code


def _show_json(prediction: Any, count: int) -> str:
    top = [{"label": label, "score": round(score, 6)} for label, score in prediction.top(count)]
    values = {"path": prediction.path, "top": top, "views": prediction.views}
    return json.dumps(values, ensure_ascii=False)


def _show(prediction: Any, count: int) -> str:
    top = [(show_path(label), score) for label, score in prediction.top(count)]
    wide = max(len(label) for label, _ in top)
    lines = [show_path(prediction.path)]
    for label, score in top:
        bar = "█" * round(score * BAR_WIDTH)
        lines.append(f"  {label:<{wide}}  {score:6.1%}  {bar}".rstrip())
    return "\n".join(lines)


def _add_sample(verbs: Any) -> None:
    text = "write a small data set of MP4 files whose actions only the order of frames tells apart"
    parser = _add_verb(verbs, "sample", text, _sample)
    parser.add_argument("directory", metavar="DIR", help="a new or empty folder")
    parser.add_argument("--train-clips", type=int, default=100, metavar="N", help="a class [100]")
    parser.add_argument("--test-clips", type=int, default=25, metavar="N", help="a class [25]")
    parser.add_argument("--difficulty", type=float, default=0.5, metavar="D", help="0 to 1 [0.5]")
    parser.add_argument("--actions", metavar="A,B", help="some of the actions, with commas [all]")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same files [0]"
    )


def _sample(options: argparse.Namespace) -> int:
    from s3d.data.synthetic import ACTIONS, SampleConfig, write_sample

    names = options.actions.split(",") if options.actions else ACTIONS
    config = SampleConfig(
        options.train_clips,
        options.test_clips,
        seed=options.seed,
        difficulty=options.difficulty,
        actions=tuple(name.strip() for name in names),
    )
    summary = write_sample(Path(options.directory), config, _progress("drawing"))
    print(
        f"{summary.train_clips} videos to learn from in {summary.directory / 'train'}, "
        f"{summary.test_clips} of unseen scenes in {summary.directory / 'test'}"
    )
    return 0


def _add_list(verbs: Any) -> None:
    _add_verb(verbs, "list", "show the networks of the family", _list)


def _list(options: argparse.Namespace) -> int:
    print("\n".join(f"{letter}: {text}" for letter, text in LETTERS.items()))
    short = [layer.removeprefix("conv").removeprefix("mixed") for layer in LAYERS]
    print(f"\n{'network':<14}{' '.join(short)}")
    for name, word in NETWORKS.items():
        print(f"{name:<14}{' '.join(f' {letter}' for letter in word)}")
    print(f"\nAny word of {len(LAYERS)} such letters is a network too.")
    return 0


def _add_cost(verbs: Any) -> None:
    parser = _add_verb(verbs, "cost", "print a network's parameters and multiply-adds", _cost)
    parser.add_argument("network", help="a name or 11-letter word (`s3d list`)")
    parser.add_argument("--frames", type=int, default=64, metavar="N", help="of a clip [64]")
    parser.add_argument("--size", type=int, default=224, metavar="PX", help="of a clip [224]")
    parser.add_argument(
        "--style", default="paper", help="paper, slim, torchvision, mil_nce [paper]"
    )
    parser.add_argument("--width", type=float, default=1.0, help="multiplier of the channels [1]")
    parser.add_argument("--classes", type=int, default=400, metavar="N", help="classes [400]")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _cost(options: argparse.Namespace) -> int:
    from s3d.models.family import network_word

    network_word(options.network)
    if options.frames < 1 or options.size < 1:
        raise InputError("--frames and --size are whole numbers from 1 (size from 32).")
    from s3d.models.cost import count_cost

    cost = count_cost(
        options.network,
        options.frames,
        (options.size, options.size),
        num_classes=options.classes,
        style=options.style,
        width=options.width,
    )
    rows = [(b.name, " x ".join(map(str, b.shape)), b.parameters, b.macs) for b in cost.blocks]
    if options.json:
        keys = ("block", "shape", "parameters", "macs")
        blocks = [dict(zip(keys, row, strict=True)) for row in rows]
        total = {"parameters": cost.parameters, "macs": cost.macs}
        print(json.dumps({"network": options.network, **total, "blocks": blocks}, indent=1))
        return 0
    print(f"{'block':<9}{'output C x T x H x W':<24}{'parameters':>12}{'multiply-adds':>16}")
    for name, shape, parameters, macs in rows:
        print(f"{name:<9}{shape:<24}{parameters:>12,}{macs / 1e9:>14.3f} G")
    print(f"{'total':<33}{cost.parameters:>12,}{cost.macs / 1e9:>14.3f} G")
    return 0


def _device(name: str) -> str:
    from s3d.models.device import choose_device

    return choose_device(name)


def _progress(what: str) -> Callable[[int, int], None] | None:
    """Return what shows progress on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bar: Any = None

    def tell(done: int, total: int) -> None:
        nonlocal bar
        bar = bar or tqdm(total=total, desc=what, leave=False, dynamic_ncols=True)
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return tell


if __name__ == "__main__":
    sys.exit(main())
