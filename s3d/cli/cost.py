"""s3d cost: what a network weighs, computes and moves, block by block, and its times here."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.cost_table import Record, describe_cost, describe_times, format_cost, format_csv
from s3d.cli.model_options import tell_line
from s3d.cli.named_model import MODEL_HELP, change_clip, is_network, open_named
from s3d.cli.parser import Verbs, add_verb
from s3d.errors import InputError
from s3d.files import show_path, write_bytes, write_text
from s3d.models.style import STYLES
from s3d.page.text import plural

if TYPE_CHECKING:
    from s3d.clip import ClipSpec
    from s3d.explore.roofline import Roofline
    from s3d.models.model_file import ModelFile
    from s3d.models.network import Network

RUNS = 5


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "print a network's parameters, multiply-adds and activations, and its roofline here"
    parser = add_verb(verbs, "cost", text, run)
    parser.add_argument("network", metavar="NETWORK", help=MODEL_HELP)
    parser.add_argument("--frames", type=int, metavar="N", help="of a clip [the model's, or 64]")
    parser.add_argument("--size", type=int, metavar="PX", help="of a clip [the model's, or 224]")
    parser.add_argument("--style", help=f"of a network: {', '.join(STYLES)} [paper]")
    parser.add_argument("--width", type=float, help="of a network: multiplier of its channels [1]")
    parser.add_argument("--classes", type=int, metavar="N", help="of a network [400]")
    parser.add_argument(
        "--measure", action="store_true",
        help="measure this machine's peaks, predict each block's time from them, and time it",
    )  # fmt: skip
    parser.add_argument("--runs", type=int, metavar="N", help=f"timed runs of each [{RUNS}]")
    parser.add_argument(
        "--engine", metavar="NAME", help="what is timed beside eager [auto: the fastest here]"
    )
    parser.add_argument("--plot", metavar="FILE.png", help="draw the roofline and the times")
    parser.add_argument("--csv", metavar="FILE", help="write the blocks as CSV")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the costs of the blocks and their total, and return the exit code."""
    _check(options)
    from s3d.models.cost import count_cost

    model = _open(options)
    spec = change_clip(model.spec, options.frames, options.size)
    if options.measure:
        found = _measure(model.network, spec, options)
        record = describe_cost(options.network, model, spec, found.cost, describe_times(found))
        if options.plot:
            _draw(found, record, Path(options.plot))
    else:
        cost = count_cost(model.network, spec.frames, spec.size_px)
        record = describe_cost(options.network, model, spec, cost)
    if options.csv:
        write_text(Path(options.csv), format_csv(record))
    if options.json:
        print(json.dumps(record, ensure_ascii=False, indent=1))
        return 0
    print(format_cost(record))
    for path in filter(None, (options.csv, options.plot)):
        print(f"in {show_path(path)}")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Check all that can be checked before anything is read or timed."""
    idle = [f"--{name}" for name in ("runs", "engine", "plot") if getattr(options, name)]
    if idle and not options.measure:
        raise InputError(f"{idle[0]} is given, and nothing is timed. Add --measure.")
    if options.runs is not None and options.runs < 1:
        raise InputError(f"--runs is {options.runs}; at least 1 is needed.")
    if options.plot and not options.plot.lower().endswith(".png"):
        raise InputError(f"--plot {show_path(options.plot)}: a PNG is drawn. Name a FILE.png.")
    for path in filter(None, (options.csv, options.plot)):
        if not Path(path).parent.is_dir():
            raise InputError(f"{show_path(path)}: there is no such folder. Make it first.")
    given = [f"--{name}" for name in ("style", "width", "classes") if _is_given(options, name)]
    if not is_network(options.network) and given:
        raise InputError(
            f"{given[0]} is given, and {show_path(options.network)} has its own. Leave it out."
        )


def _is_given(options: argparse.Namespace, name: str) -> bool:
    return getattr(options, name) is not None


def _open(options: argparse.Namespace) -> ModelFile:
    import torch

    from s3d.models.network import build

    def make(name: str) -> Network:
        # To count, shapes are enough: a network of any width comes at once.
        with torch.device("cpu" if options.measure else "meta"):
            return build(
                name,
                num_classes=400 if options.classes is None else options.classes,
                style=options.style,
                width=1.0 if options.width is None else options.width,
            )

    return open_named(options.network, make)


def _measure(network: Network, spec: ClipSpec, options: argparse.Namespace) -> Roofline:
    from s3d.explore.roofline import measure_peaks, measure_roofline
    from s3d.infer.engines.choose import choose_engine
    from s3d.infer.engines.engine import EAGER

    network = network.eval()
    chosen = choose_engine(network, spec, options.engine, tell_line)
    engines = list(dict.fromkeys((chosen.name, EAGER)))
    peaks = measure_peaks()
    return measure_roofline(network, spec, engines, options.runs or RUNS, peaks)


def _draw(found: Roofline, record: Record, path: Path) -> None:
    from s3d.explore.roofline_plot import draw_roofline

    measured = record["measured"]
    machine = f"{measured['processor']}, {plural(measured['threads'], 'thread')}"
    write_bytes(path, draw_roofline(found, record["title"], machine))
