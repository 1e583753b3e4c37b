"""Where published codes of one network differ: every choice, named.

The paper leaves details open and each implementation settled them its own way. Weights only give
the published answers under the style they were trained with. No torch here.
"""

from __future__ import annotations

import difflib
import reprlib
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from s3d.errors import InputError

Stem = Literal["separable", "full", "space_to_depth"]
TemporalNorm = Literal["batch", "bias"]
TemporalInit = Literal["random", "identity"]
GatePlace = Literal["temporal", "branch", "concat", "branch_and_concat"]
Padding = Literal["symmetric", "symmetric_ceil", "ceil", "same", "static"]
TimeStrides = Literal["paper", "late", "none"]
Head = Literal["windows", "pairs", "global"]

HALVES_TIME: dict[str, tuple[str, ...]] = {
    "paper": ("conv1a", "pool4a", "pool5a"),
    "late": ("pool3a", "pool4a", "pool5a"),
    "none": (),
}
"""Which blocks have stride 2 in time, by `Style.time_strides`."""

_CHOICES: dict[str, tuple[object, ...]] = {
    "stem": get_args(Stem),
    "temporal_norm": get_args(TemporalNorm),
    "temporal_init": get_args(TemporalInit),
    "gate_place": get_args(GatePlace),
    "padding": get_args(Padding),
    "time_strides": get_args(TimeStrides),
    "head": get_args(Head),
    "stem_frames": tuple(range(1, 16)),
    "separable_branches": ((1, 2), (0, 1, 2, 3)),
    "gate_has_bias": (True, False),
    "pool_comes_first": (True, False),
    "pool_follows_letter": (True, False),
    "temporal_first": (True, False),
    "last_pool": (2, 3),
    "fewest_channels": tuple(range(1, 17)),
    "norm_has_scale": (True, False),
}


LATER_FIELDS = {
    "temporal_first",
    "pool_follows_letter",
    "last_pool",
    "time_strides",
    "fewest_channels",
}
"""Fields that the first model files do not have."""


@dataclass(frozen=True)
class Style:
    """Name every choice in which published codes differ.

    Attributes:
        stem: What "s" and "g" mean for conv1a: "separable" is 1x7x7 then 7x1x1; "full" one
            convolution of stem_frames x7x7; "space_to_depth" 2x2x2 pixels to 24 channels, then
            2x4x4.
        stem_frames: Temporal size of a "separable" or "full" stem.
        temporal_norm: After a temporal convolution: "batch" norm, or a "bias" and no norm.
        temporal_init: Temporal kernels start "random", or as "identity" (1 at the centre tap).
        separable_branches: Branches of an Inception block with a temporal convolution: (1, 2) in
            published code; (0, 1, 2, 3) by the paper's footnote 5.
        temporal_first: The temporal convolution stands before the spatial one, not after it.
        gate_place: A gate follows each "temporal" convolution, each "branch", the "concat", or
            each branch and the concat ("branch_and_concat"); of conv2c always what comes last.
        gate_has_bias: The gate's matrix has a bias.
        pool_comes_first: Branch 3 pools, then projects; else it projects, then pools.
        pool_follows_letter: Branch 3 of a 2D block pools 1x3x3; else always 3x3x3.
        last_pool: Kernel of pool5a in every direction: 2 or 3.
        time_strides: Time is halved in conv1a, pool4a and pool5a ("paper"); in pool3a, pool4a and
            pool5a ("late"); or nowhere ("none"). In the last two pool3a is 3x3x3.
        norm_has_scale: Batch norms have a learnt scale (gamma).
        norm_epsilon: Batch norm's epsilon.
        padding: "symmetric" (k // 2 on both sides; pool5a drops what is odd), "symmetric_ceil"
            (pool5a keeps it, so that shapes are the paper's: 7 becomes 4), "ceil" (the same for
            convolutions; pools with a stride have none and keep what is odd), "same"
            (TensorFlow's: what is odd goes after), "static" (MIL-NCE's: symmetric, but for pools
            with a stride, whose padding follows from kernel and stride alone).
        fewest_channels: A width below 1 leaves a layer at least as many.
        head: "windows" averages 2x7x7 windows at stride 1, then classifies each; "pairs" the same
            over two time steps and the whole frame; "global" averages everything first.
        dropout: Share of values dropped before the classifier, in training.

    Source: the paper, sections 3 to 5; tensorflow/models slim s3dg.py and official/projects/s3d;
    torchvision; MIL-NCE; IBM/action-recognition-pytorch.
    """

    stem: Stem = "separable"
    stem_frames: int = 7
    temporal_norm: TemporalNorm = "batch"
    temporal_init: TemporalInit = "random"
    separable_branches: tuple[int, ...] = (0, 1, 2, 3)
    temporal_first: bool = False
    gate_place: GatePlace = "temporal"
    gate_has_bias: bool = True
    pool_comes_first: bool = True
    pool_follows_letter: bool = True
    last_pool: int = 2
    time_strides: TimeStrides = "paper"
    norm_has_scale: bool = True
    norm_epsilon: float = 1e-3
    padding: Padding = "symmetric_ceil"
    fewest_channels: int = 16
    head: Head = "windows"
    dropout: float = 0.2

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            # By repr too: to Python 1, 1.0 and True are equal, to a kernel's size they are not.
            if not any(value == one and repr(value) == repr(one) for one in allowed):
                shown = ", ".join(map(repr, allowed))
                raise InputError(f"Style {name} is {reprlib.repr(value)}; it is one of {shown}.")
        for name in ("norm_epsilon", "dropout"):
            value = getattr(self, name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not 0 <= value < 1:
                raise InputError(
                    f"Style {name} is {reprlib.repr(value)}; it needs a number from 0 to below 1."
                )

    def to_json(self) -> dict[str, Any]:
        """Return the style as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: object) -> Style:
        """Rebuild a style from what `to_json` gave.

        Fields that came later may be missing: they are then as they always were.

        Raises:
            InputError: A field is missing, unknown or out of range.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or not names - LATER_FIELDS <= set(values) <= names:
            raise InputError(f"a style needs exactly the fields {', '.join(sorted(names))}.")
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)


PAPER = Style()
TORCHVISION = Style(separable_branches=(1, 2), padding="symmetric")
SLIM = Style(
    stem="full",
    stem_frames=3,
    temporal_norm="bias",
    temporal_init="identity",
    separable_branches=(1, 2),
    gate_place="branch",
    gate_has_bias=False,
    pool_follows_letter=False,
    norm_has_scale=False,
    padding="same",
)
GARDEN = Style(
    stem="full",
    stem_frames=3,
    separable_branches=(1, 2),
    gate_place="concat",
    pool_comes_first=False,
    norm_has_scale=False,
    padding="same",
    fewest_channels=1,
    head="global",
)
DEEPMIND = Style(norm_has_scale=False, separable_branches=(1, 2), padding="same", dropout=0.5)
MIL_NCE = Style(
    stem="space_to_depth",
    separable_branches=(1, 2),
    gate_place="branch",
    norm_epsilon=1e-5,
    padding="static",
    head="global",
    dropout=0.0,
)
IBM = Style(
    stem="full",
    stem_frames=3,
    separable_branches=(1, 2),
    time_strides="late",
    padding="symmetric",
    head="global",
)
GOOGLENET = Style(padding="ceil")
"""The paper's network on the grid of torchvision's GoogLeNet, from which it can be inflated."""

STYLES: dict[str, Style] = {
    "paper": PAPER,
    "torchvision": TORCHVISION,
    "slim": SLIM,
    "garden": GARDEN,
    "deepmind": DEEPMIND,
    "mil_nce": MIL_NCE,
    "ibm": IBM,
    "googlenet": GOOGLENET,
}


def find_style(style: str | Style) -> Style:
    """Return a style given by name or as it is.

    Raises:
        InputError: The name is not one of `STYLES`.
    """
    if isinstance(style, Style):
        return style
    if not isinstance(style, str):
        raise InputError(f"style is {reprlib.repr(style)}; it needs a name or a Style.")
    if style in STYLES:
        return STYLES[style]
    near = difflib.get_close_matches(style[:30], STYLES, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise InputError(f"unknown style {reprlib.repr(style)}.{hint} Known: {', '.join(STYLES)}.")
