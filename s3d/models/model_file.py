"""A model is one safetensors file whose header rebuilds everything: network, labels, clip, origin.

The header's `s3d` entry is JSON: format, word, style, width, channels, labels, clip, metrics (each
with the protocol that gave it), source, licence; and ranges, where the network may run in 8 bits.
Nothing in the file can run code, and nothing is allocated before the header and the tensors' shapes
agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
import shutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.files import show_path, write_atomically, write_bytes
from s3d.models.network import Network, build
from s3d.models.outline import build_outline, outline_graph
from s3d.models.quantise import Ranges
from s3d.models.style import Style

Content = TypeVar("Content")

FORMAT = "s3d-model-1"
DETECTOR_FORMAT = "s3d-detector-1"
"""Of the files that `s3d.detect` writes."""
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "format": str,
    "word": str,
    "style": dict,
    "width": (int, float),
    "channels": int,
    "labels": list,
    "clip": dict,
    "metrics": list,
    "source": str,
    "licence": str,
}
_RANGES = "ranges"
"""The one field of the header that may be missing."""

_SIZE = struct.Struct("<Q")
"""Of the header of a safetensors file, in bytes."""
_ALIGNMENT = 8
_DTYPES = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class ModelFile:
    """Hold what a model file holds.

    Attributes:
        network: The network, in eval mode.
        labels: Class names, in the order of the logits; none where these are an embedding.
        spec: The clip it takes.
        metrics: Each what was measured, its value and the protocol.
        source: Where the weights come from.
        licence: Under which licence they may be used.
        ranges: Of its values, by which an engine may run it in 8 bits; the weights are of 32.
    """

    network: Network
    labels: tuple[str, ...]
    spec: ClipSpec
    metrics: tuple[dict[str, Any], ...] = ()
    source: str = ""
    licence: str = ""
    ranges: Ranges | None = None


def save_model(path: str | Path, model: ModelFile, in_half: bool = False) -> None:
    """Write a model file atomically.

    Args:
        path: The file.
        model: What it is to hold.
        in_half: Kernels take 16 bits each, half the room. Norms and biases keep their 32, and what
            is loaded is a network of 32 bits again.

    Raises:
        InputError: The labels, the clip or the ranges do not fit the network, a weight is too large
            for 16 bits, or the disk will not take it.
    """
    network = model.network
    _check_fit(model.labels, model.spec, network.num_classes, network.channels)
    header: dict[str, Any] = {
        "format": FORMAT,
        "word": network.word,
        "style": network.style.to_json(),
        "width": network.width,
        "channels": network.channels,
        "labels": list(model.labels),
        "clip": model.spec.to_json(),
        "metrics": list(model.metrics),
        "source": model.source,
        "licence": model.licence,
    }
    if model.ranges is not None:
        header[_RANGES] = model.ranges.to_json()
        _check_ranges(header[_RANGES], network, model.spec)
    tensors = {k: v.detach().cpu().contiguous() for k, v in weights_of(network).items()}
    if in_half:
        tensors = {name: _halve(name, tensor) for name, tensor in tensors.items()}
    metadata = {"s3d": json.dumps(header, ensure_ascii=False)}
    # Not safetensors' save_file: its files are readable by their owner alone, whatever the umask.
    write_bytes(Path(path), save(tensors, metadata))


def _halve(name: str, tensor: Tensor) -> Tensor:
    """Return a kernel in 16 bits; what has one axis, of a norm or a bias, as it is."""
    if tensor.ndim < 2:
        return tensor
    half = tensor.half()
    if half.isinf().any():
        raise InputError(
            f"{name} holds {tensor.abs().max().item():g}, which 16 bits do not. Save it in 32."
        )
    return half


def add_metric(path: str | Path, entry: Mapping[str, Any]) -> None:
    """Add what was measured to a model file, in the place of an older figure of this metric.

    The tensors are copied as they are, and the file is whole at any time.

    Args:
        path: A model file.
        entry: JSON values: `metric`, `value`, `protocol` and whatever belongs to it.

    Raises:
        InputError: It is no model file, or the disk will not take it.
    """
    shown = show_path(path)
    load_model(path)  # Nothing is written into a file that is not sound.
    with Path(path).open("rb") as file:
        (size,) = _SIZE.unpack(file.read(_SIZE.size))
        header = json.loads(file.read(size))
        begin = file.tell()
    model = _read_header(header["__metadata__"], shown)
    kept = [old for old in model["metrics"] if old.get("metric") != entry["metric"]]
    model["metrics"] = [*kept, dict(entry)]
    header["__metadata__"]["s3d"] = json.dumps(model, ensure_ascii=False)
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)

    def write(beside: Path) -> None:
        with Path(path).open("rb") as old, beside.open("wb") as new:
            old.seek(begin)
            new.write(_SIZE.pack(len(text)) + text)
            shutil.copyfileobj(old, new)
        shutil.copymode(path, beside)

    write_atomically(Path(path), write)


def load_model(path: str | Path) -> ModelFile:
    """Read a model file and rebuild its network, in eval mode, on the CPU.

    Raises:
        InputError: The file is missing, damaged, foreign, or does not agree with itself.
    """
    return read_safetensors(path, _read, "no such model file. Make one with `s3d train`.")


def read_safetensors(
    path: str | Path, read: Callable[[Any, str], Content], missing: str
) -> Content:
    """Return what is read of a safetensors file.

    Args:
        path: The file.
        read: Given the open file and its name for people.
        missing: What is said where there is no such file.

    Raises:
        InputError: The file is missing or damaged.
    """
    shown = show_path(path)
    # os.path, unlike Path, answers for a name that no file can have.
    if not os.path.isfile(path):  # noqa: PTH113
        raise InputError(f"{shown}: {missing}")
    try:
        with safe_open(path, framework="pt") as file:
            return read(file, shown)
    except (SafetensorError, OSError, UnicodeError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{shown}: not a readable safetensors file ({cause}). Copy or train it again."
        ) from None


def weights_of(network: Network) -> dict[str, Tensor]:
    """Return the tensors that a model file keeps: all but the norms' counters of batches."""
    state = network.state_dict()
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def weights_sha256(network: Network) -> str:
    """Return a hash of the weights: a file of the same name may hold others tomorrow."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def fill_network(network: Network, weights: dict[str, Tensor]) -> None:
    """Give a network that was built on the meta device its weights, and put it in eval mode.

    Args:
        network: Built under `torch.device("meta")`.
        weights: Tensors under the names of `weights_of`.
    """
    state = dict(weights)
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            state[f"{name}.num_batches_tracked"] = torch.tensor(0)
            if not network.style.norm_has_scale:
                module.register_buffer("weight", torch.ones(module.num_features), persistent=False)
    network.load_state_dict(state, assign=True)
    network.eval()


def _read(file: Any, path: str) -> ModelFile:
    header = _read_header(file.metadata() or {}, path)
    classes = len(header["labels"]) or _count_logits(file)
    with torch.device("meta"):
        network = _build(header, classes, path)
    wanted = weights_of(network)
    check_tensors(file, {k: tuple(v.shape) for k, v in wanted.items()}, path)
    # A copy: what the file lends is gone when someone writes to it.
    fill_network(network, {k: file.get_tensor(k).to(torch.float32, copy=True) for k in wanted})
    return ModelFile(
        network,
        tuple(header["labels"]),
        ClipSpec.from_json(header["clip"]),
        tuple(header["metrics"]),
        header["source"],
        header["licence"],
        Ranges.from_json(header[_RANGES]) if _RANGES in header else None,
    )


def _count_logits(file: Any) -> int:
    """Return the logits of a network without labels: 0 where the file does not say."""
    name = "head.classifier.bias"
    shape = file.get_slice(name).get_shape() if name in file.keys() else []  # noqa: SIM118
    return int(shape[0]) if len(shape) == 1 else 0


def _read_header(metadata: dict[str, str], path: str) -> dict[str, Any]:
    if "s3d" not in metadata:
        raise InputError(
            f"{path}: a safetensors file, but not a model of s3d (no s3d header). "
            "Models come from `s3d train`."
        )
    try:
        header = json.loads(metadata["s3d"])
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise InputError(f"{path}: the model's header is damaged. Train or copy it again.")
    if header.get("format") == DETECTOR_FORMAT:
        raise InputError(
            f"{path}: a detector, which gives boxes. Use `s3d detect` or `s3d evaluate-detector`."
        )
    if header.get("format") != FORMAT:
        raise InputError(
            f"{path}: model format {reprlib.repr(header.get('format'))}; "
            f"this s3d reads {FORMAT!r}. Use a matching version."
        )
    _check_kinds(header, path)
    return header


def _check_kinds(header: dict[str, Any], path: str) -> None:
    wrong = sorted((set(header) - {_RANGES}) ^ set(_FIELDS))
    wrong += [name for name, kind in _FIELDS.items() if not isinstance(header.get(name), kind)]
    for name, kind in (("labels", str), ("metrics", dict)):
        if not wrong and not all(isinstance(value, kind) for value in header[name]):
            wrong.append(name)
    if wrong:
        raise InputError(
            f"{path}: the model's header is damaged at {reprlib.repr(wrong[0])}. "
            "Train or copy it again."
        )


def _build(header: dict[str, Any], classes: int, path: str) -> Network:
    try:
        style = Style.from_json(header["style"])
        spec = ClipSpec.from_json(header["clip"])
        network = build(
            header["word"],
            num_classes=classes,
            style=style,
            width=header["width"],
            channels=header["channels"],
        )
        _check_fit(tuple(header["labels"]), spec, network.num_classes, network.channels)
        if _RANGES in header:
            _check_ranges(header[_RANGES], network, spec)
    except InputError as error:
        raise InputError(f"{path}: the model's header cannot be used: {error}") from None
    return network


def check_tensors(
    file: Any, wanted: dict[str, tuple[int, ...]], path: str, owner: str = "network"
) -> None:
    """Check, before anything is read, that an open file holds just the tensors of what it names.

    Args:
        file: An open safetensors file.
        wanted: The shape of each tensor by name.
        path: The file's name for people.
        owner: Whose tensors they are, for people.

    Raises:
        InputError: It does not.
    """
    found = set(file.keys())
    if found != set(wanted):
        odd = sorted(found ^ set(wanted))[0]
        state = "is not part of" if odd in found else "is missing for"
        raise InputError(
            f"{path}: tensor {reprlib.repr(odd)} {state} the {owner} its header names."
        )
    for name, shape in wanted.items():
        part = file.get_slice(name)
        if tuple(part.get_shape()) != shape or part.get_dtype() not in _DTYPES:
            raise InputError(
                f"{path}: tensor {name!r} is {part.get_dtype()} {tuple(part.get_shape())}; "
                f"the {owner} its header names needs {shape}."
            )


def _check_fit(labels: tuple[str, ...], spec: ClipSpec, classes: int, channels: int) -> None:
    if labels:
        check_labels(labels, classes)
    if spec.channels != channels:
        raise InputError(f"a clip of {spec.modality} has {spec.channels} channels, not {channels}.")


def check_labels(labels: tuple[str, ...], classes: int) -> None:
    """Check that there is one label for each class.

    Raises:
        InputError: There is not, or one is not Unicode text.
    """
    if not labels or len(labels) != classes or len(set(labels)) != len(labels):
        raise InputError(
            f"{len(set(labels))} different labels for {classes} classes; one each is needed."
        )
    for label in labels:
        if label != label.encode(errors="ignore").decode():
            raise InputError(f"label {reprlib.repr(label)} is not Unicode text; rename it.")


def _check_ranges(values: object, network: Network, spec: ClipSpec) -> None:
    ranges = Ranges.from_json(values)
    outline = build_outline(network)
    ranges.check_names(outline_graph(outline, spec.frames, spec.size_px))
