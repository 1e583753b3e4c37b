"""A detector is one safetensors file whose header rebuilds everything, as a model is.

The header's `s3d` entry is JSON: format, shape, labels, streams (word, style, width, channels and
clip of each network), metrics (each with the protocol that gave it), source, licence.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.detect.network.detector import Detector
from s3d.detect.network.shape import DetectorShape
from s3d.errors import InputError
from s3d.files import write_bytes
from s3d.models.model_file import (
    DETECTOR_FORMAT,
    check_labels,
    check_tensors,
    fill_network,
    read_safetensors,
)
from s3d.models.network import Network, build
from s3d.models.style import Style

_FIELDS: dict[str, type] = {
    "format": str,
    "shape": dict,
    "labels": list,
    "streams": dict,
    "metrics": list,
    "source": str,
    "licence": str,
}
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class DetectorFile:
    """Hold what a detector's file holds.

    Attributes:
        detector: In eval mode.
        labels: Class names, in the order of the scores.
        metrics: Each what was measured, its value and the protocol.
        source: Where the weights come from.
        licence: Under which licence they may be used.
    """

    detector: Detector
    labels: tuple[str, ...]
    metrics: tuple[dict[str, Any], ...] = ()
    source: str = ""
    licence: str = ""


def save_detector(path: str | Path, model: DetectorFile) -> None:
    """Write a detector's file atomically.

    Raises:
        InputError: The labels do not fit, or the disk will not take it.
    """
    detector = model.detector
    check_labels(model.labels, detector.num_classes)
    header = {
        "format": DETECTOR_FORMAT,
        "shape": detector.shape.to_json(),
        "labels": list(model.labels),
        "streams": {
            name: _describe(network, detector.specs[name])
            for name, network in detector.streams.items()
            if isinstance(network, Network)
        },
        "metrics": list(model.metrics),
        "source": model.source,
        "licence": model.licence,
    }
    tensors = {k: v.detach().cpu().contiguous() for k, v in _weights(detector).items()}
    write_bytes(Path(path), save(tensors, {"s3d": json.dumps(header, ensure_ascii=False)}))


def load_detector(path: str | Path) -> DetectorFile:
    """Read a detector's file and rebuild it, in eval mode, on the CPU.

    Raises:
        InputError: The file is missing, damaged, foreign, or does not agree with itself.
    """
    missing = "no such detector. Make one with `s3d train-detector`."
    return read_safetensors(path, _read, missing)


def build_detector(
    streams: Mapping[str, Mapping[str, Any]], shape: DetectorShape, num_classes: int
) -> Detector:
    """Build a detector of fresh weights.

    Args:
        streams: For "rgb", "flow" or each: word, style, width, channels and clip, as JSON values.
        shape: What it is beside its networks.
        num_classes: Without that of nobody doing anything.

    Raises:
        InputError: A value cannot be used.
    """
    networks, specs = {}, {}
    for name, facts in streams.items():
        if not isinstance(facts, Mapping) or set(facts) != set(_STREAM):
            raise InputError(f"a stream needs exactly the fields {', '.join(_STREAM)}.")
        networks[name] = build(
            facts["word"],
            num_classes=1,
            style=Style.from_json(facts["style"]),
            width=facts["width"],
            channels=facts["channels"],
        )
        specs[name] = ClipSpec.from_json(facts["clip"])
    return Detector(networks, specs, shape, num_classes)


_STREAM = ("word", "style", "width", "channels", "clip")


def _describe(network: Network, spec: ClipSpec) -> dict[str, Any]:
    style = network.style.to_json()
    values = (network.word, style, network.width, network.channels, spec.to_json())
    return dict(zip(_STREAM, values, strict=True))


def _weights(detector: Detector) -> dict[str, Tensor]:
    return {k: v for k, v in detector.state_dict().items() if not k.endswith(_COUNTER)}


def _read(file: Any, path: str) -> DetectorFile:
    header = _read_header(file.metadata() or {}, path)
    labels = tuple(header["labels"])
    try:
        check_labels(labels, len(labels))
        with torch.device("meta"):
            shape = DetectorShape.from_json(header["shape"])
            detector = build_detector(header["streams"], shape, len(labels))
    except InputError as error:
        raise InputError(f"{path}: the detector's header cannot be used: {error}") from None
    wanted = {name: tuple(tensor.shape) for name, tensor in _weights(detector).items()}
    check_tensors(file, wanted, path, "detector")
    # A copy: what the file lends is gone when someone writes to it.
    _fill(detector, {k: file.get_tensor(k).to(torch.float32, copy=True) for k in wanted})
    return DetectorFile(
        detector, labels, tuple(header["metrics"]), header["source"], header["licence"]
    )


def _fill(detector: Detector, weights: dict[str, Tensor]) -> None:
    """Give a detector that was built on the meta device its weights."""
    for name, network in detector.streams.items():
        assert isinstance(network, Network)
        head = f"streams.{name}."
        own = {k.removeprefix(head): v for k, v in weights.items() if k.startswith(head)}
        fill_network(network, own)
    state = {**detector.state_dict(), **weights}
    zero = torch.tensor(0)
    state = {k: zero.clone() if k.endswith(_COUNTER) else v for k, v in state.items()}
    detector.load_state_dict(state, assign=True)
    if detector.image is not None:
        detector.image.set_constants()
    detector.eval()


def _read_header(metadata: dict[str, str], path: str) -> dict[str, Any]:
    try:
        header = json.loads(metadata["s3d"]) if "s3d" in metadata else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != DETECTOR_FORMAT:
        raise InputError(
            f"{path}: a safetensors file, but not a detector of s3d. Detectors come from "
            "`s3d train-detector`; what `s3d train` makes gives no boxes."
        )
    wrong = sorted(set(header) ^ set(_FIELDS))
    wrong += [name for name, kind in _FIELDS.items() if not isinstance(header.get(name), kind)]
    wrong += [n for n in ("metrics",) if not wrong and not _holds(header[n], dict)]
    wrong += [n for n in ("labels",) if not wrong and not _holds(header[n], str)]
    if wrong:
        raise InputError(
            f"{path}: the detector's header is damaged at {reprlib.repr(wrong[0])}. "
            "Train or copy it again."
        )
    return header


def _holds(values: list[Any], kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)
