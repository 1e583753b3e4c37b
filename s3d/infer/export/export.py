"""Export a model: the network, its normalisation, labels and clip in a file of another runtime.

frames (batch, time, height, width, channels) uint8 --file--> logits (batch, K), scores (batch, K)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.files import show_path, write_together
from s3d.infer.export.content import Content
from s3d.infer.export.formats import FORMATS, Format, find_format, name_format
from s3d.infer.export.parity import (
    check_difference,
    draw_frames,
    find_reference,
    measure_difference,
)
from s3d.models.family import network_name
from s3d.models.graph import Graph, build_graph
from s3d.models.model_file import ModelFile
from s3d.models.open_time import open_time

KIND = "s3d-export-1"


@dataclass(frozen=True)
class Exported:
    """Hold what came of an export.

    Attributes:
        path: The file that was named.
        files: All files of it.
        size_bytes: Of all together.
        format: One of `FORMATS`.
        difference: The largest one of its logits from the network's, as a share of their norm.
        open_axes: "batch", and "time" where any number of frames can be given.
        least_frames: That number is at least this; None where it is the clip's alone.
        spec: The clip.
        outputs: "logits", and "scores" where there are classes.
        bits: 8 where the model has ranges and the format takes them; else 32.
    """

    path: str
    files: tuple[str, ...]
    size_bytes: int
    format: str
    difference: float
    open_axes: tuple[str, ...]
    least_frames: int | None
    spec: ClipSpec
    outputs: tuple[str, ...]
    bits: int


def export_model(
    model: ModelFile,
    path: str | Path,
    to: str | None = None,
    *,
    frames: int | None = None,
    size_px: int | None = None,
) -> Exported:
    """Write a model as a file of another runtime; it is kept only if it gives the same logits.

    Args:
        model: The model; its network on the CPU.
        path: The file, with the suffix of its format: .onnx, .xml or .pt2.
        to: "onnx", "openvino" or "torch"; None is what the suffix says.
        frames: Of a clip; None is the model's.
        size_px: Height and width of a clip; None is the model's.

    Returns:
        What was written, and how it differs.

    Raises:
        InputError: There is no such format, its runtime is not installed, the place or the clip
            cannot be used, or the file does not give what the network gives. Nothing is left then.
    """
    place = Path(path)
    to = name_format(place) if to is None else to
    kind = find_format(to)
    check_place(place, kind)
    spec = change_clip(model.spec, frames, size_px)
    content = _fill(model, spec, kind)
    difference = 0.0

    def write(folder: Path) -> None:
        nonlocal difference
        difference = _write_and_compare(kind, content, folder / place.name, model, spec)
        check_difference(difference, show_path(place))

    files = kind.files(place)
    write_together(files, write)
    about = json.loads(content.about)
    return Exported(
        str(place),
        tuple(map(str, files)),
        sum(file.stat().st_size for file in files),
        to,
        difference,
        tuple(about["open_axes"]),
        content.graph.least_frames,
        spec,
        tuple(about["outputs"]),
        about["bits"],
    )


def check_place(path: Path, kind: Format) -> None:
    """Check that a file of a format can be there.

    Raises:
        InputError: It cannot.
    """
    shown, name = show_path(path), next(n for n, one in FORMATS.items() if one is kind)
    if not path.name or path.is_dir():
        raise InputError(f"{shown or 'an empty name'}: no file can be there. Name a file.")
    if path.suffix != kind.suffix:
        wanted = show_path(path.with_suffix(kind.suffix))
        raise InputError(f"{shown}: a file of {name} ends in {kind.suffix}. Name it {wanted}.")
    if not path.parent.is_dir():
        folder = show_path(path.parent)
        raise InputError(f"{shown}: there is no folder {folder}. Make it, or choose another.")


def change_clip(spec: ClipSpec, frames: int | None, size_px: int | None) -> ClipSpec:
    """Return a clip of another length or size, its margin in proportion.

    Raises:
        InputError: One is out of range.
    """
    if frames is not None:
        spec = replace(spec, frames=frames)
    if size_px is None:
        return spec
    margins = [resized / size for resized, size in zip(spec.resize_px, spec.size_px, strict=True)]
    resized = [round(size_px * margin) for margin in margins]
    return replace(spec, size_px=(size_px, size_px), resize_px=(resized[0], resized[1]))


def _fill(model: ModelFile, spec: ClipSpec, kind: Format) -> Content:
    shape = (1, spec.channels, spec.frames, *spec.size_px)
    graph = build_graph(model.network, shape, spec=spec)
    graph = replace(open_time(graph, model.network), batch=None)
    ranges = model.ranges if kind.takes_ranges else None
    about = describe_export(model, spec, graph, 32 if ranges is None else 8)
    return Content(graph, json.dumps(about), bool(model.labels), ranges)


def describe_export(model: ModelFile, spec: ClipSpec, graph: Graph, bits: int) -> dict[str, Any]:
    """Return what a file says of itself, as plain JSON values."""
    return {
        "format": KIND,
        "network": network_name(model.network.word),
        "labels": list(model.labels),
        "clip": spec.to_json(),
        "input": "frames: uint8 (batch, time, height, width, channels), RGB as decoded, resized "
        "and cropped; normalisation is inside",
        "outputs": ["logits", "scores"] if model.labels else ["logits"],
        "open_axes": ["batch"] if graph.least_frames is None else ["batch", "time"],
        "least_frames": graph.least_frames,
        "bits": bits,
        "metrics": list(model.metrics),
        "source": model.source,
        "licence": model.licence,
    }


def _write_and_compare(
    kind: Format, content: Content, path: Path, model: ModelFile, spec: ClipSpec
) -> float:
    """Write a file and return by how much what it gives differs from the model."""
    reference = find_reference(model, spec, content.ranges is not None)
    samples = draw_frames(spec, content.graph.least_frames)
    try:
        kind.write(content, path)
        run, said = kind.read(path)
        found = measure_difference(run, reference, samples)
    except RuntimeError as error:  # Of a runtime, to which a full disk is one too.
        cause = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{show_path(path.name)}: cannot be written and run ({cause[-1][:200]}). Free some "
            "room, or export to another format."
        ) from error
    return found if said == content.about else float("inf")
