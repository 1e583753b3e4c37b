"""How far the kernels of a network reach in time: their weights at each temporal offset.

What is measured are the raw kernels, as in the paper's box plots. A norm multiplies all of an
output channel's weights by one number, so within a channel the outer taps stand to the centre as
they do after folding. A network begins with all taps alike, or as an image network with the outer
taps at zero; so what training did is seen against a fresh network, not against a rule.

Source: paper section 4.1, the figure of kernel weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from s3d.errors import InputError
from s3d.models.blocks import CubeConv, Inception
from s3d.models.family import LAYERS, network_name
from s3d.models.layers import Conv
from s3d.models.network import Network

WHISKER = 1.5
"""Whiskers end at the last weight within so many interquartile ranges of the box."""
LAYER = "layer"
"""The part that stands for a layer: its kernel, or those of branches 1 and 2 of a block."""
CUBE = 2
"""Frames, rows and columns of the cubes that a stem of space-to-depth makes channels of."""

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OffsetWeights:
    """Describe the weights at one temporal offset.

    Attributes:
        offset: Steps from the kernel's centre; halves where the kernel has an even number of taps.
        lower_whisker: The least weight within 1.5 interquartile ranges of the box.
        lower_quartile: Of the weights.
        median: Of the weights.
        upper_quartile: Of the weights.
        upper_whisker: The largest weight within 1.5 interquartile ranges of the box.
        standard_deviation: Of the weights.
        root_mean_square: Of the weights.
    """

    offset: float
    lower_whisker: float
    lower_quartile: float
    median: float
    upper_quartile: float
    upper_whisker: float
    standard_deviation: float
    root_mean_square: float


@dataclass(frozen=True)
class KernelSpread:
    """Describe the kernels of a layer, or of one branch of it.

    Attributes:
        layer: One of `s3d.models.family.LAYERS`.
        part: "layer", or "branch0" to "branch3" of an Inception block.
        kernel: Taps along time, height, width.
        weights: How many there are at each offset.
        offsets: The weights at each offset, the earliest first.
    """

    layer: str
    part: str
    kernel: tuple[int, int, int]
    weights: int
    offsets: tuple[OffsetWeights, ...]

    @property
    def outer_ratio(self) -> float:
        """Return the root mean square of the outer taps over that of the centre.

        1 where all taps share alike, 0 where the outer ones are zero, nan where all are. Of an even
        number of taps the two in the middle are the centre.
        """
        return outer_ratio({tap.offset: tap.root_mean_square**2 for tap in self.offsets})


def measure_kernels(network: Network) -> tuple[KernelSpread, ...]:
    """Measure the weights at each temporal offset of every layer that looks along time.

    Args:
        network: Of any word and style.

    Returns:
        In order of depth; of an Inception block branches 1 and 2 together, which stand for the
        layer, then each branch that has a temporal kernel.

    Raises:
        InputError: There is no such layer.
    """
    found = tuple(_measure(*part) for part in iterate_kernels(network))
    if not found:
        raise InputError(
            f"{network_name(network.word)} has no temporal kernels: every layer looks at one frame "
            "at a time. Name a model with layers 3 or s, as i3d or s3d (`s3d list`)."
        )
    return found


def measure_change(network: Network, start: Network) -> tuple[KernelSpread, ...]:
    """Measure as `measure_kernels` by how much each weight differs from another network's.

    Args:
        network: After training.
        start: Before it.

    Raises:
        InputError: They are not of one kind, or have no temporal kernels.
    """
    shapes = [
        [(*key, [k.shape for k in kernels]) for *key, kernels in iterate_kernels(one)]
        for one in (network, start)
    ]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"the start is {network_name(start.word)} of width {start.width:g}, the model "
            f"{network_name(network.word)} of width {network.width:g}; their kernels differ in "
            "shape. Name the model that training began with."
        )
    return tuple(
        _measure(layer, part, [a - b for a, b in zip(after, before, strict=True)])
        for (layer, part, after), (_, _, before) in zip(
            iterate_kernels(network), iterate_kernels(start), strict=True
        )
    )


def iterate_kernels(network: Network) -> Iterator[tuple[str, str, list[Weights]]]:
    """Yield layer, part and kernels (C', C, T, H, W) of everything that looks along time."""
    for layer in LAYERS:
        for part, kernels in _parts(network.get_submodule(layer)):
            yield layer, part, kernels


def _parts(block: nn.Module) -> Iterator[tuple[str, list[Weights]]]:
    """Yield the kernels of a layer as a whole and of its branches, where there are any."""
    if not isinstance(block, Inception):
        kernels = _temporal_kernels(block)
        if kernels:
            yield LAYER, kernels
        return
    branches = {f"branch{i}": _temporal_kernels(getattr(block, f"branch{i}")) for i in range(4)}
    both = branches["branch1"] + branches["branch2"]
    if both:
        yield LAYER, both
    yield from ((name, kernels) for name, kernels in branches.items() if kernels)


def _temporal_kernels(module: nn.Module) -> list[Weights]:
    convs = [m for m in module.modules() if isinstance(m, Conv) and m.kernel[0] > 1]
    kernels = [_unfold(c.weight) if isinstance(c, CubeConv) else c.weight for c in convs]
    return [kernel.detach().float().cpu().numpy() for kernel in kernels]


def _unfold(weight: Tensor) -> Tensor:
    """Return a kernel on cubes (C', 8 C, t, h, w) as one on frames (C', C, 2 t, 2 h, 2 w)."""
    after, _, t, h, w = weight.shape
    apart = weight.reshape(after, CUBE, CUBE, CUBE, -1, t, h, w)
    whole = apart.permute(0, 4, 5, 1, 6, 2, 7, 3)
    return whole.reshape(after, -1, CUBE * t, CUBE * h, CUBE * w)


def _measure(layer: str, part: str, kernels: list[Weights]) -> KernelSpread:
    taps, height, width = kernels[0].shape[2:]
    apart = [np.concatenate([kernel[:, :, i].ravel() for kernel in kernels]) for i in range(taps)]
    offsets = tuple(map(_describe, _offsets(taps), apart))
    return KernelSpread(layer, part, (taps, height, width), len(apart[0]), offsets)


def _offsets(taps: int) -> list[float]:
    return [tap - (taps - 1) / 2 for tap in range(taps)]


def _describe(offset: float, weights: Weights) -> OffsetWeights:
    values = weights.astype(np.float64)
    low, middle, high = np.percentile(values, (25, 50, 75))
    reach = WHISKER * (high - low)
    inside = values[(values >= low - reach) & (values <= high + reach)]
    rms = np.sqrt(np.mean(values**2))
    numbers = (inside.min(), low, middle, high, inside.max(), values.std(), rms)
    return OffsetWeights(offset, *map(float, numbers))


def mean_squares(kernels: list[Weights]) -> dict[float, float]:
    """Return the mean square of the weights at each offset."""
    taps = kernels[0].shape[2]
    sums = sum(np.square(kernel).sum((0, 1, 3, 4), dtype=np.float64) for kernel in kernels)
    count = sum(kernel.size for kernel in kernels) / taps
    return dict(zip(_offsets(taps), (np.asarray(sums) / count).tolist(), strict=True))


def outer_ratio(squares: dict[float, float]) -> float:
    """Return the root mean square of the outer taps over that of the centre, as `KernelSpread`.

    Args:
        squares: The mean square of the weights at each offset.
    """
    centre = np.mean([s for offset, s in squares.items() if abs(offset) < 1])
    outer = np.mean([s for offset, s in squares.items() if abs(offset) >= 1])
    return float(np.sqrt(outer / centre)) if centre > 0 else math.nan
