"""What a detector is beside its networks: the frames it looks at, and how boxes are proposed.

frames      k-8 ... k ... k+11     around the key frame k, at the clip's rate
features    of a block at stride 16; step `key_step` is the one about the key frame
volume      the same box cut out of every step, `roi_px` places
"""

from __future__ import annotations

import math
import reprlib
from dataclasses import asdict, dataclass, fields
from typing import Any

from s3d.errors import InputError
from s3d.models.style import HALVES_TIME, Style

BLOCKS_AT_16 = ("pool4a", "mixed4b", "mixed4c", "mixed4d", "mixed4e", "mixed4f")
"""The blocks whose output has one place for 16 x 16 px."""

STRIDE_PX = 16
MOST_VALUES = 32
IMAGE_NETS = ("none", "resnet18", "resnet50")
"""What looks at the key frame to propose boxes; "none": the features of the video do."""


@dataclass(frozen=True)
class DetectorShape:
    """Describe a detector.

    Attributes:
        at: The block whose features boxes are cut out of; those behind it run on what is cut.
        roi_px: (height, width), in places of the features, of what is cut out.
        image_net: One of `IMAGE_NETS`.
        image_width: Multiplier of its channels.
        anchor_px: Side of the square of each anchor's area, in px of the input.
        anchor_ratios: Height over width of the anchors.
        proposals: Boxes that are looked at in a frame.
        multi_label: Whether somebody may do several things at once: scores are then each from 0 to
            1; otherwise those of a box sum to 1, with that of nobody doing anything.

    Source: paper section 5.3 (mixed4e, ResNet-50); Gu et al., AVA, arXiv 1705.08421, section 5.
    """

    at: str = "mixed4e"
    roi_px: tuple[int, int] = (14, 14)
    image_net: str = "resnet50"
    image_width: float = 1.0
    anchor_px: tuple[float, ...] = (64.0, 128.0, 256.0)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    proposals: int = 100
    multi_label: bool = False

    def __post_init__(self) -> None:
        if self.at not in BLOCKS_AT_16:
            raise InputError(
                f"block {reprlib.repr(self.at)} cannot be what boxes are cut out of; "
                f"it is one of {', '.join(BLOCKS_AT_16)}."
            )
        if self.image_net not in IMAGE_NETS:
            raise InputError(
                f"image net {reprlib.repr(self.image_net)} is unknown; "
                f"it is one of {', '.join(IMAGE_NETS)}."
            )
        _check("roi_px", self.roi_px, 2, 64)
        if len(self.roi_px) != 2:
            raise InputError(f"a detector's roi_px is {self.roi_px}; it needs (height, width).")
        _check("image_width", (self.image_width,), 0.05, 4.0)
        _check("anchor_px", self.anchor_px, 4.0, 4096.0)
        _check("anchor_ratios", self.anchor_ratios, 0.05, 20.0)
        _check("proposals", (self.proposals,), 1, 2000)

    def to_json(self) -> dict[str, Any]:
        """Return the shape as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: object) -> DetectorShape:
        """Rebuild a shape from what `to_json` gave.

        Raises:
            InputError: A field is missing, unknown, of the wrong kind or out of range.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise InputError(f"a detector needs exactly the fields {', '.join(sorted(names))}.")
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        if not isinstance(plain["multi_label"], bool):
            raise InputError("a detector's multi_label is true or false.")
        return cls(**plain)


def _check(name: str, values: object, low: float, high: float) -> None:
    numbers = values if isinstance(values, tuple) and 0 < len(values) <= MOST_VALUES else (None,)
    kind = int if isinstance(low, int) else (int, float)
    # The comparison also refuses NaN.
    if not all(isinstance(v, kind) and v is not True and low <= v <= high for v in numbers):
        raise InputError(
            f"a detector's {name} is {reprlib.repr(values)}; it needs numbers from {low} to {high}."
        )


def steps_apart(style: Style, at: str) -> int:
    """Return the frames from one step of a block's output to the next."""
    before = [name for name in HALVES_TIME[style.time_strides] if name in _UP_TO[at]]
    return int(2 ** len(before))


_UP_TO = {
    name: ("conv1a", "pool3a", "pool4a", *BLOCKS_AT_16[1 : number + 1])
    for number, name in enumerate(BLOCKS_AT_16)
}


def key_place(frames: int, apart: int) -> int:
    """Return which frame of a window is its key frame: the middle one, or the step before it.

    Args:
        frames: Of a window.
        apart: Frames from one step of the features to the next: a key frame lies on a step.
    """
    return frames // 2 // apart * apart


def count_places(size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) in places of the features of frames of a size."""
    return math.ceil(size_px[0] / STRIDE_PX), math.ceil(size_px[1] / STRIDE_PX)
