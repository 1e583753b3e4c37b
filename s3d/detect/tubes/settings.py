"""How boxes become tubes: what may be chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from s3d.errors import InputError

Method = Literal["online", "viterbi"]
METHODS: tuple[Method, ...] = ("online", "viterbi")


@dataclass(frozen=True)
class LinkSettings:
    """Hold how boxes are linked.

    Attributes:
        method: "online" links frame by frame, "viterbi" looks at the whole video.
        iou: The least overlap of boxes of one person that follow each other. 0.2 is right for boxes
            in every frame to every 4th; with one in 8 or fewer, 0.1 keeps people together longer.
        patience_frames: A box follows one that is that many frames earlier, or fewer; with boxes in
            every g-th frame alone it must be g or more.
        overlap_weight: What an IoU of 1 is worth against a score of 1 (viterbi).
        trims: Whether only the stretches stay in which the action goes on; scores need to be above
            0.5 there.
        alpha: What it costs to begin or end, in scores: more makes stretches fewer (trims).
        least_score: Boxes with less are left out, 0 to 1.
        least_frames: Tubes that span fewer frames are left out.
        top_boxes: A tube's score is the mean of that many of its best boxes.
        box_iou: Boxes of one class and frame that overlap a better one by more are left out; 1
            keeps all.
        tube_iou: So with tubes.
    """

    method: Method = "online"
    iou: float = 0.2
    patience_frames: int = 25
    overlap_weight: float = 1.0
    trims: bool = False
    alpha: float = 3.0
    least_score: float = 0.01
    least_frames: int = 1
    top_boxes: int = 20
    box_iou: float = 0.5
    tube_iou: float = 0.5

    def __post_init__(self) -> None:
        """Check all of it.

        Raises:
            InputError: A value cannot be used.
        """
        if self.method not in METHODS:
            raise InputError(f"method of linking is {self.method!r}. Known: {', '.join(METHODS)}.")
        for name in ("iou", "least_score", "box_iou", "tube_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; it needs to be 0 to 1.")
        for name in ("patience_frames", "least_frames", "top_boxes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it needs to be 1 or more.")
        for name in ("overlap_weight", "alpha"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value}; it needs to be 0 or more.")
