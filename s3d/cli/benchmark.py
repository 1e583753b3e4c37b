"""s3d benchmark: how fast each engine runs a network here, and which one is taken from now on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s3d.cli.named_model import MODEL_HELP, change_clip, open_named
from s3d.cli.parser import Verbs, add_verb
from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.family import network_name

if TYPE_CHECKING:
    from s3d.clip import ClipSpec
    from s3d.infer.engines.measure import EngineFigures
    from s3d.models.model_file import ModelFile

ALL = "all"


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "measure the engines that can run a network here, and remember the fastest"
    parser = add_verb(verbs, "benchmark", text, run)
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--frames", type=int, metavar="N", help="of a clip [the model's]")
    parser.add_argument("--size", type=int, metavar="PX", help="of a clip [the model's]")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="timed runs of each [5]")
    parser.add_argument(
        "--engine", nargs="+", default=[ALL], metavar="NAME",
        help="only these, beside eager; nothing is then remembered [all]",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, remember the fastest, and return the exit code."""
    if options.runs < 1:
        raise InputError(f"--runs is {options.runs}; at least 1 is needed.")
    from s3d.infer.engines.choose import remember_choice
    from s3d.infer.engines.engine import EAGER, check_engine
    from s3d.infer.engines.measure import measure_engines
    from s3d.models.device import choose_device
    from s3d.models.network import build

    device = choose_device(options.device)
    names = None if ALL in options.engine else list(dict.fromkeys([*options.engine, EAGER]))
    for name in names or ():
        check_engine(name, device)
    model = open_named(options.model, build)
    spec = change_clip(model.spec, options.frames, options.size)
    network = model.network.eval().to(device)
    figures = measure_engines(network, spec, names, options.runs)
    place = remember_choice(network, spec, figures) if names is None else None
    record = _describe(options.model, model, spec, device, options.runs, figures)
    record["remembered_in"] = None if place is None else str(place)
    print(json.dumps(record, indent=1) if options.json else _format(record))
    return 0


def _describe(
    name: str, model: ModelFile, spec: ClipSpec, device: str, runs: int,
    figures: Sequence[EngineFigures],
) -> dict[str, Any]:  # fmt: skip
    """Return all that was found, as plain JSON values."""
    import torch

    from s3d.infer.engines.choose import fastest_equal, package_version
    from s3d.infer.engines.engine import EAGER, KINDS, lacks_compiler, missing_packages
    from s3d.models.device import name_processor

    eager = next((f.latency_ms for f in figures if f.name == EAGER and f.error is None), None)
    rows = [
        {
            **found.to_json(),
            "is_equal": found.is_equal,
            "times_as_fast_as_eager": eager / found.latency_ms
            if eager and found.latency_ms
            else None,
        }
        for found in figures
    ]
    packages = ["torch", *(p for f in figures if f.name in KINDS for p in KINDS[f.name].packages)]
    network = model.network
    return {
        "model": name,
        "network": network_name(network.word),
        "width": network.width,
        "weights": model.source,
        "clip": {"frames": spec.frames, "size_px": list(spec.size_px), "channels": spec.channels},
        "device": device,
        "processor": name_processor(device),
        "threads": torch.get_num_threads(),
        "versions": {package: package_version(package) for package in dict.fromkeys(packages)},
        "runs": runs,
        "engines": rows,
        "not_installed": {
            kind: missing_packages(kind) or ["a C compiler"]
            for kind in KINDS
            if KINDS[kind].device in ("", device)
            and (missing_packages(kind) or lacks_compiler(kind))
        },
        "fastest": fastest_equal(figures),
    }


def _format(record: dict[str, Any]) -> str:
    clip, versions = record["clip"], record["versions"]
    height, width = clip["size_px"]
    lines = [
        f"network  {record['network']}, width {record['width']:g}: {record['weights']}",
        f"clip     {clip['frames']} frames of {width} x {height} px, {clip['channels']} channels",
        f"machine  {record['processor']}, {record['threads']} threads; "
        + ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"medians of {record['runs']} runs, in turn\n",
        f"  {'engine':<13}{'load':>9}{'latency':>12}{'to eager':>10}{'throughput':>14}"
        f"{'memory':>11}{'difference':>12}",
    ]
    lines += [_format_row(row, record["fastest"]) for row in record["engines"]]
    lines += [
        f"  {name:<13} not here: install {' '.join(packages)}"
        for name, packages in record["not_installed"].items()
    ]
    return "\n".join([*lines, "", _format_choice(record)])


def _format_row(row: dict[str, Any], fastest: str) -> str:
    mark = "*" if row["name"] == fastest else " "
    if row["error"] is not None:
        return f"{mark} {row['name']:<13} cannot run: {row['error']}"
    times, memory = row["times_as_fast_as_eager"], row["memory_bytes"]
    cells = (
        f"{row['load_ms']:,.0f} ms", f"{row['latency_ms']:,.1f} ms",
        "-" if times is None else f"{times:.2f} x", f"{row['clips_per_second']:.3g} clips/s",
        "-" if memory is None else f"{memory / 2**20:,.0f} MiB", f"{row['difference']:.0e}",
    )  # fmt: skip
    widths = (9, 12, 10, 14, 11, 12)
    line = "".join(f"{cell:>{wide}}" for cell, wide in zip(cells, widths, strict=True))
    note = "" if row["is_equal"] else "  not equal, not taken"
    return f"{mark} {row['name']:<13}{line}{note}"


def _format_choice(record: dict[str, Any]) -> str:
    clip, place = record["clip"], record["remembered_in"]
    fastest = f"* {record['fastest']}"
    if place is None:
        return f"{fastest} is the fastest of these. Use --engine {record['fastest']} to take it."
    height, width = clip["size_px"]
    kind = f"{record['network']}, {width} x {height} px"
    return f"{fastest} is what auto takes from now on ({kind}: {show_path(place)})"
