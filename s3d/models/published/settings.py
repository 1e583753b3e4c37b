"""Read from published tensors which network they make: its word, style, width and classes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from s3d.errors import InputError
from s3d.models.blocks import INCEPTION, scaled
from s3d.models.family import LAYERS, UNGATED
from s3d.models.published.places import Place
from s3d.models.published.tf_names import Locate
from s3d.models.style import Style

Shapes = Mapping[str, tuple[int, ...]]
GATED = {plain: gated for gated, plain in UNGATED.items()}
MOST_DECIMALS = 6


@dataclass(frozen=True)
class Settings:
    """Hold all that rebuilds a network.

    Attributes:
        word: Its letters.
        style: Its convention.
        width: Multiplier of its channels.
        channels: Channels of a clip.
        classes: Logits it gives.
    """

    word: str
    style: Style
    width: float
    channels: int
    classes: int


class Layout:
    """Published tensors' shapes by place."""

    def __init__(self, shapes: Shapes, locate: Locate, path: str) -> None:
        self.shapes, self.locate, self.path = shapes, locate, path

    def has(self, place: Place, leaf: str = "weight") -> bool:
        """Return whether there is such a tensor."""
        return self.locate(place, leaf) in self.shapes

    def kernel(self, place: Place) -> tuple[int, ...]:
        """Return the shape (C', C, T, H, W) of a place's kernel.

        Raises:
            InputError: It is missing or no such kernel.
        """
        name = self.locate(place, "weight")
        shape = self.shapes.get(name)
        if shape is None:
            raise InputError(f"{self.path}: tensor {name!r} is missing.")
        if len(shape) != 5:
            raise InputError(
                f"{self.path}: tensor {name!r} has shape {shape}; a video network's kernel has 5 "
                "axes. Weights of images are for --init or s3d.build(inflate=...)."
            )
        return shape


def read_settings(layout: Layout, style: Style) -> Settings:
    """Return the network that tensors make.

    Args:
        layout: The tensors' shapes.
        style: The source's convention; what the tensors show to be otherwise is changed.

    Raises:
        InputError: Something is missing, or no width gives these channels.
    """
    classifier = layout.locate(Place("head", None, "classifier"), "weight")
    if not layout.shapes.get(classifier):
        state = "has no axes" if classifier in layout.shapes else "is missing"
        raise InputError(f"{layout.path}: tensor {classifier!r} {state}.")
    letters = [_letter(layout, block) for block in LAYERS]
    stem = layout.kernel(Place("conv1a", None, "space"))
    style = _read_norms(layout, _read_gates(layout, style))
    letters[0], style = _read_stem(layout, stem, letters, style)
    width, fewest = _find_width(layout, style.fewest_channels)
    cubes = 8 if style.stem == "space_to_depth" and letters[0] == "s" else 1
    return Settings(
        "".join(letters),
        replace(style, fewest_channels=fewest),
        width,
        stem[1] // cubes,
        layout.shapes[classifier][0],
    )


def _own(block: str) -> int | None:
    """Return the branch that shows how a block treats time."""
    return 1 if block in INCEPTION else None


def _letter(layout: Layout, block: str) -> str:
    space = layout.kernel(Place(block, _own(block), "space"))
    is_separable = layout.has(Place(block, _own(block), "time"))
    letter = "s" if is_separable else "2" if space[2] == 1 else "3"
    gated = any(layout.has(Place(block, branch, "gate")) for branch in (_own(block), None))
    return GATED[letter] if gated else letter


def _read_gates(layout: Layout, style: Style) -> Style:
    inside = [b for b in INCEPTION if layout.has(Place(b, 1, "gate"))]
    after = [b for b in INCEPTION if layout.has(Place(b, None, "gate"))]
    changes: dict[str, Any] = {}
    if inside or after:
        changes["gate_place"] = (
            "branch_and_concat" if inside and after else "branch" if inside else "concat"
        )
    for place in (Place("conv2c", None, "gate"), *(Place(b, 1, "gate") for b in inside)):
        if layout.has(place):
            changes["gate_has_bias"] = layout.has(place, "bias")
    return replace(style, **changes)


def _read_norms(layout: Layout, style: Style) -> Style:
    changes: dict[str, Any] = {
        "norm_has_scale": layout.has(Place("conv2b", None, "space"), "norm.weight")
    }
    for block in reversed(LAYERS):
        place = Place(block, _own(block), "time")
        if layout.has(place):
            changes["temporal_norm"] = "batch" if layout.has(place, "norm.bias") else "bias"
    return replace(style, **changes)


def _read_stem(
    layout: Layout, kernel: tuple[int, ...], letters: list[str], style: Style
) -> tuple[str, Style]:
    """Return the letter of conv1a and the style of its stem."""
    if letters[0] == "s":
        time = layout.kernel(Place("conv1a", None, "time"))
        return "s", replace(style, stem="separable", stem_frames=time[2])
    if style.stem == "space_to_depth" and kernel[2:] == (2, 4, 4):
        return "s", style
    if kernel[3:] != (7, 7) or kernel[2] not in (1, 3, 5, 7):
        raise InputError(
            f"{layout.path}: its first convolution has shape {kernel}; "
            "a stem of this source is 1, 3, 5 or 7 x 7 x 7."
        )
    if kernel[2] == 1:
        return "2", style
    if kernel[2] == 7 and letters[1] in "3v":
        return "3", style
    return "s", replace(style, stem="full", stem_frames=kernel[2])


def _find_width(layout: Layout, fewest: int) -> tuple[float, int]:
    """Return the simplest width, and the fewest channels, that give the channels there are."""
    pairs = list(_list_channels(layout))
    for least in (fewest, *(n for n in range(16, 0, -1) if n != fewest)):
        width = _simplest_width(pairs, least)
        if width is not None:
            return width, least
    name = layout.locate(Place("conv1a", None, "space"), "weight")
    raise InputError(
        f"{layout.path}: no width makes the channels of its layers (the first, {name!r}, has "
        f"{pairs[0][1]}); these are not the weights of a network of this family."
    )


def _list_channels(layout: Layout) -> Iterator[tuple[int, int]]:
    """Yield each layer's channels at width 1 and as they are."""
    for block, channels in (("conv1a", 64), ("conv2b", 64), ("conv2c", 192)):
        yield channels, layout.kernel(Place(block, None, "space"))[0]
    for block, (b0, b1, b2, b3) in INCEPTION.items():
        for branch, part, channels in (
            (0, "space", b0),
            (1, "reduce", b1[0]),
            (1, "space", b1[1]),
            (2, "reduce", b2[0]),
            (2, "space", b2[1]),
            (3, "space", b3),
        ):
            yield channels, layout.kernel(Place(block, branch, part))[0]


def _simplest_width(pairs: list[tuple[int, int]], fewest: int) -> float | None:
    low, high = 0.0, math.inf
    for channels, found in pairs:
        if found > min(fewest, channels):
            low = max(low, found / channels)
        high = min(high, (found + 1) / channels)
    for decimals in range(MOST_DECIMALS + 1):
        # Where every layer has the fewest there may be, any small enough width will do.
        width: float = max(math.ceil(low * 10**decimals - 1e-9), 1) / 10**decimals
        if width < high and all(scaled(c, width, fewest) == found for c, found in pairs):
            return width
    return None
