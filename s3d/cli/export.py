"""s3d export: a model as a file of another runtime."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.parser import Verbs, add_verb
from s3d.errors import InputError
from s3d.files import show_path

if TYPE_CHECKING:
    from s3d.infer.export.export import Exported


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "export", "write a model as a file that needs no s3d", run)
    parser.add_argument("model", help="model.safetensors of a run, or published weights by name")
    parser.add_argument(
        "--to", metavar="FORMAT", help="onnx, openvino or torch [what --out ends in]"
    )
    parser.add_argument(
        "--out", metavar="FILE", help="ends in .onnx, .xml or .pt2 [named as the model, here]"
    )
    parser.add_argument("--frames", type=int, metavar="N", help="of a clip [the model's]")
    parser.add_argument("--size", type=int, metavar="PX", help="of a clip [the model's]")


def run(options: argparse.Namespace) -> int:
    """Write the file, say how near it is to the network, and return the exit code."""
    if options.to is None and options.out is None:
        raise InputError("--to is missing: onnx, openvino or torch. See s3d export --help.")
    from s3d.infer.export.export import check_place, export_model
    from s3d.infer.export.formats import FORMATS, find_format, name_format
    from s3d.models.open import open_model

    to = options.to or name_format(Path(options.out))
    find_format(to)
    # A name of published weights has dots, as "s3d-howto100m-1.0"; a file has a suffix.
    stem = Path(options.model).stem if Path(options.model).is_file() else options.model
    out = Path(options.out or f"{Path(stem).name}{FORMATS[to].suffix}")
    check_place(out, FORMATS[to])
    model = open_model(options.model)
    exported = export_model(model, out, to, frames=options.frames, size_px=options.size)
    for name, text in _describe(exported, model.ranges is not None):
        print(f"{name:<9}{show_path(text)}")
    return 0


def _describe(exported: Exported, has_ranges: bool) -> list[tuple[str, str]]:
    spec, least = exported.spec, exported.least_frames
    height, width = spec.size_px
    time = (
        f"{spec.frames}, fixed" if least is None else f"any from {least}, {spec.frames} as trained"
    )
    return [
        (
            "input",
            f"frames, uint8 (batch, time, height, width, channels): batch any, time {time}, "
            f"{height}, {width}, {spec.channels}",
        ),
        ("output", " and ".join(exported.outputs)),
        *([("bits", _tell_bits(exported))] if has_ranges else []),
        ("checked", f"differs from the network by {exported.difference:.1e} of the norm"),
        *(("file", file) for file in exported.files),
        ("size", f"{exported.size_bytes / 1e6:.1f} MB"),
    ]


def _tell_bits(exported: Exported) -> str:
    if exported.bits == 8:
        return "8, as `s3d quantize` scored it; held against the engine it was scored by"
    return f"32: {exported.format} takes no ranges, which stay in the model file"
