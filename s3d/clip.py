"""The input contract: what a network was trained to see, carried in its model file.

No torch here, so that the contract can be read and checked anywhere.

    frames  (T, H, W, 3) uint8 RGB       what a decoder gives
    clip    (C, T, H, W) float32         what a network takes: (frames / 255 - mean) / std
"""

from __future__ import annotations

import reprlib
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from s3d.errors import InputError

Resize = Literal["keep", "squash"]
Modality = Literal["rgb", "flow"]
FlowMethod = Literal["tvl1", "dis"]

CHANNELS: dict[str, int] = {"rgb": 3, "flow": 2}
MAX_FRAMES = 4096
MAX_SIZE_PX = 4096
LEAST_FLOW_SIDE_PX = 16
FLOW_BOUND_PX = 20.0
"""Flow of more px is cut off; it is level 255, and its negative level 0."""
LATER_FIELDS = ("flow_method", "flow_side_px")
"""Fields that contracts written before they were there may lack."""


@dataclass(frozen=True)
class ClipSpec:
    """Describe the clip a network takes.

    Attributes:
        frames: Frames in a clip, T.
        rate_fps: Frames a second at which a video is sampled, whatever its own rate.
        resize_px: (height, width) to which a frame is resized before it is cropped.
        size_px: (height, width) of the crop: what the network sees.
        resize: "keep" scales a frame, aspect kept, to the smallest size that covers `resize_px`;
            "squash" scales it to exactly `resize_px`, as the paper does.
        mean: Per channel, subtracted from frames / 255.
        std: Per channel, divides what is left. 0.5 and 0.5 give [-1, 1].
        modality: "rgb" (3 channels) or "flow" (2: horizontal, vertical).
        flow_method: How flow is computed: "tvl1" or "dis".
        flow_side_px: Short side to which frames are resized for that.

    Source: paper section 5 of arXiv 1712.04851 (64 frames, 256 x 256, crop 224); I3D (25 fps).
    """

    frames: int = 64
    rate_fps: float = 25.0
    resize_px: tuple[int, int] = (256, 256)
    size_px: tuple[int, int] = (224, 224)
    resize: Resize = "squash"
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    modality: Modality = "rgb"
    flow_method: FlowMethod = "tvl1"
    flow_side_px: int = 256

    def __post_init__(self) -> None:
        self._check_choices()
        _check_number("frames", self.frames, 1, MAX_FRAMES)
        _check_number("rate_fps", self.rate_fps, 0.01, 1000.0)
        _check_number("flow_side_px", self.flow_side_px, LEAST_FLOW_SIDE_PX, MAX_SIZE_PX)
        for name in ("resize_px", "size_px"):
            pair = getattr(self, name)
            if not isinstance(pair, tuple) or len(pair) != 2:
                shown = reprlib.repr(pair)
                raise InputError(f"ClipSpec {name} is {shown}; it needs (height, width).")
            for value in pair:
                _check_number(name, value, 1, MAX_SIZE_PX)
        if self.size_px[0] > self.resize_px[0] or self.size_px[1] > self.resize_px[1]:
            raise InputError(
                f"ClipSpec crops {self.size_px} from frames resized to {self.resize_px}; "
                "resize_px must be at least size_px."
            )
        for name in ("mean", "std"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or len(values) != self.channels:
                raise InputError(
                    f"ClipSpec {name} is {reprlib.repr(values)}; "
                    f"{self.modality} needs {self.channels} values, one a channel."
                )
        for value in self.mean:
            _check_number("mean", value, -1e6, 1e6)
        for value in self.std:
            _check_number("std", value, 1e-6, 1e6)

    @property
    def channels(self) -> int:
        """Return the channels of a clip: 3 for rgb, 2 for flow."""
        return CHANNELS[self.modality]

    @property
    def span_seconds(self) -> float:
        """Return the time a clip covers, from its first frame to the end of its last."""
        return self.frames / self.rate_fps

    @property
    def value_range(self) -> tuple[float, float]:
        """Return the lowest and highest value a clip made by this contract can hold."""
        low = min((0 - m) / s for m, s in zip(self.mean, self.std, strict=True))
        high = max((1 - m) / s for m, s in zip(self.mean, self.std, strict=True))
        return low, high

    def describe(self) -> str:
        """Return the contract in a few words, for people."""
        height, width = self.size_px
        unit_px = 2 * FLOW_BOUND_PX * self.std[0]
        flow = f"{self.flow_method} flow of frames of {self.flow_side_px} px, {unit_px:.3g} px as 1"
        seen = flow if self.modality == "flow" else self.modality
        return (
            f"{self.frames} frames at {self.rate_fps:g} fps ({self.span_seconds:.2g} s), "
            f"{width} x {height} px, {seen}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the contract as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: object) -> ClipSpec:
        """Rebuild a contract from what `to_json` gave.

        Raises:
            InputError: A field is missing, unknown, of the wrong kind or out of range.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) | set(LATER_FIELDS) != names:
            known = ", ".join(sorted(names))
            raise InputError(f"a clip contract needs exactly the fields {known}.")
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)

    def _check_choices(self) -> None:
        if self.resize not in get_args(Resize):
            shown = reprlib.repr(self.resize)
            raise InputError(f"ClipSpec resize is {shown}; it is 'keep' or 'squash'.")
        if self.modality not in get_args(Modality):
            shown = reprlib.repr(self.modality)
            raise InputError(f"ClipSpec modality is {shown}; it is 'rgb' or 'flow'.")
        if self.flow_method not in get_args(FlowMethod):
            shown = reprlib.repr(self.flow_method)
            raise InputError(f"ClipSpec flow_method is {shown}; it is 'tvl1' or 'dis'.")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    whole = isinstance(low, int)
    is_number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    # The comparison also refuses NaN, and takes whole numbers too big for a float.
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        kind = "a whole number" if whole else "a number"
        shown = reprlib.repr(value)
        raise InputError(f"ClipSpec {name} is {shown}; it needs {kind} from {low} to {high}.")
