"""From somebody's weights to a model of ours, each tensor used once."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.model_file import ModelFile, fill_network
from s3d.models.network import Network, build
from s3d.models.published.places import Place, collect_state
from s3d.models.published.settings import Layout, Settings, read_settings
from s3d.models.published.sources import SOURCES, Source, guess_source
from s3d.models.published.tensors import Tensors, read_contents
from s3d.models.published.tf_checkpoint import checkpoint_prefix
from s3d.models.published.weights import WEIGHTS, Weights
from s3d.models.style import Style

LABEL_LISTS = {400: "kinetics400", 600: "kinetics600"}
"""The lists that ship with the package, by their length."""

KINETICS_CLASSES = 400
CHARADES_CLASSES = 157
_HASHED_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Conversion:
    """Hold a converted model and what was seen on the way.

    Attributes:
        model: The model.
        source: Its publisher, one of `SOURCES`.
        guessed: The publisher was guessed from the names.
        name: The named weights that the file is, to the last bit; None where it is none of them.
        used: How many tensors were used.
        unused: Names of the others.
    """

    model: ModelFile
    source: str
    guessed: bool
    name: str | None
    used: int
    unused: tuple[str, ...]


def convert(
    path: str | Path,
    source: str | None = None,
    *,
    labels: Sequence[str] | None = None,
    style: dict[str, Any] | None = None,
) -> Conversion:
    """Convert published weights.

    Args:
        path: A PyTorch or safetensors file of a state dict, or a TensorFlow V2 checkpoint by its
            prefix, its index or a data file.
        source: One of `SOURCES`; guessed from the names if None.
        labels: Class names; those of Kinetics where there are 400 or 600 and none are given.
        style: Fields of `Style` that no tensor shows, such as {"time_strides": "none"}.

    Raises:
        InputError: The file cannot be read, a tensor is missing or has the wrong shape, or the
            labels do not fit.
    """
    shown = show_path(path)
    if os.fspath(path) in WEIGHTS and not Path(path).exists():
        raise InputError(
            f"{shown}: published weights need no converting. Use them as --model {shown}."
        )
    contents = read_contents(path)
    known, guessed = _find_source(contents.tensors, source, shown)
    adapted = known.adapt(contents.tensors) if known.adapt else contents.tensors
    tensors = Tensors(adapted, shown)
    network = _fill(tensors, known, contents.arch, style)
    name = identify(path)
    key = next(key for key, value in SOURCES.items() if value is known)
    model = _describe(network, key, name or _by_file_name(path, key, network.num_classes), labels)
    used = len(contents.tensors) - len(tensors.left)
    return Conversion(model, key, guessed, name, used, tensors.left)


def summarise_unused(names: Sequence[str]) -> list[str]:
    """Return the names of tensors that were not used, those that end alike as one."""
    ends = Counter(name.replace("/", ".").rpartition(".")[2] for name in names)
    alone = [name for name in names if ends[name.replace("/", ".").rpartition(".")[2]] < 4]
    return [f"{count} x {end}" for end, count in ends.items() if count >= 4] + alone


def identify(path: str | Path) -> str | None:
    """Return the named weights that a file is, by its content; None where it is none."""
    prefix = checkpoint_prefix(path)
    file = Path(path) if prefix is None else prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    if not file.is_file():
        return None
    digests = _digests(file)
    for name, weights in WEIGHTS.items():
        digest = weights.files[0].digest
        if digest and any(found.startswith(digest) for found in digests):
            return name
    return None


def _digests(file: Path) -> tuple[str, str]:
    """Return a file's sha256 and its id as a git blob, as `Remote.digest` has them."""
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as stream:
        while part := stream.read(_HASHED_AT_ONCE):
            sha256.update(part)
            blob.update(part)
    return f"sha256:{sha256.hexdigest()}", f"git:{blob.hexdigest()}"


def _find_source(tensors: dict[str, Tensor], source: str | None, path: str) -> tuple[Source, bool]:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    guess = guess_source(shapes)
    name = source or guess
    if name is None and any(tensor.startswith("conv1a.") for tensor in shapes):
        raise InputError(
            f"{path}: holds weights of s3d itself already; there is nothing to convert."
        )
    if name is None:
        first = ", ".join(list(shapes)[:2])
        raise InputError(
            f"{path}: nobody's names that are known here (it begins with {first}). "
            f"Known sources: {', '.join(SOURCES)}."
        )
    if name not in SOURCES:
        raise InputError(f"unknown source {name!r}. Known: {', '.join(SOURCES)}.")
    if guess not in (None, name):
        raise InputError(
            f"{path}: its names are those of {guess}, not of {name}. Take --from {guess}."
        )
    return SOURCES[name], source is None


def _fill(tensors: Tensors, source: Source, arch: str, changes: dict[str, Any] | None) -> Network:
    """Return the network that tensors make, with their values."""
    locate, style = source.locate(tensors.shapes), source.style
    if source.settle is not None:
        style = source.settle(tensors.shapes, style, arch)
    settings = read_settings(Layout(tensors.shapes, locate, tensors.path), style)
    network = _build(settings, changes or {}, tensors.path)

    def read(place: Place, leaf: str, shape: tuple[int, ...]) -> Tensor:
        return tensors.take(locate(place, leaf), shape)

    fill_network(network, collect_state(network, read))
    return network


def _build(settings: Settings, changes: dict[str, Any], path: str) -> Network:
    try:
        style = Style.from_json({**asdict(settings.style), **changes})
        with torch.device("meta"):
            return build(
                settings.word,
                num_classes=settings.classes,
                style=style,
                width=settings.width,
                channels=settings.channels,
            )
    except InputError as error:
        raise InputError(f"{path}: makes no network: {error}") from None


def _describe(
    network: Network, key: str, name: str | None, labels: Sequence[str] | None
) -> ModelFile:
    source = SOURCES[key]
    weights = WEIGHTS.get(name or "")
    spec = source.clip_of(network.channels)
    if network.channels != spec.channels:
        raise InputError(
            f"its clips have {network.channels} channels; 3 (rgb) or 2 (flow) are read."
        )
    return ModelFile(
        network,
        _choose_labels(network.num_classes, source, labels),
        spec,
        weights.metrics if weights else (),
        _origin(source, weights),
        source.licence,
    )


def _by_file_name(path: str | Path, key: str, outputs: int) -> str | None:
    """Return the weights that a file's name says it is, where nobody published a checksum."""
    for name, weights in WEIGHTS.items():
        file = weights.files[0]
        fits = SOURCES[key].embeds or outputs == KINETICS_CLASSES
        if weights.source == key and fits and not file.digest and file.file == Path(path).name:
            return name
    return None


def _origin(source: Source, weights: Weights | None) -> str:
    if weights is None:
        return f"converted from {source.page}; the file is none of the published ones known here"
    file = weights.files[0]
    trust = "" if file.digest else f", taken to be {file.file}, of which nobody gives a checksum"
    return f"{weights.title}, converted from {file.url or file.page}{trust}"


def _choose_labels(classes: int, source: Source, labels: Sequence[str] | None) -> tuple[str, ...]:
    if labels is not None:
        if len(labels) != classes:
            raise InputError(f"{len(labels)} labels for {classes} classes; one each is needed.")
        return tuple(labels)
    if source.embeds:
        return ()
    if classes in LABEL_LISTS:
        return read_labels(LABEL_LISTS[classes])
    if classes == CHARADES_CLASSES and source is SOURCES["piergiaj"]:
        return tuple(f"c{number:03}" for number in range(classes))
    return tuple(f"class {number}" for number in range(classes))


def read_labels(name: str) -> tuple[str, ...]:
    """Return a list of class names that ships with the package: kinetics400 or kinetics600."""
    text = (files("s3d.models.published") / "labels" / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
