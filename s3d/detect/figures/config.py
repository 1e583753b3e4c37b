"""What a made-up data set for detection is to hold."""

from __future__ import annotations

from dataclasses import dataclass

from s3d.data.made_folder import check_actions, check_number
from s3d.errors import InputError

FIGURE_ACTIONS: tuple[str, ...] = (
    "move_left",
    "move_right",
    "grow",
    "shrink",
    "rotate_clockwise",
    "rotate_anticlockwise",
)
"""What figures can do. Of each pair the second is the first played backwards, so that a frame tells
at most the pair; only their order tells which of the two."""

MOST_FIGURES = 4
RATES_FPS = (10, 12, 15, 20)
LONGEST = 1.2
"""Longest video, as a multiple of the shortest."""
MOST_PIXELS = 40_000_000
"""Of a video, that is drawn in memory, with 12 bytes for each."""


@dataclass(frozen=True)
class BoxSampleConfig:
    """Describe a made-up data set for detection.

    Attributes:
        train_videos: Videos to learn from.
        test_videos: Videos in scenes that are not in train.
        seed: The same seed gives the same bytes.
        difficulty: 0 plain, large and clear .. 1 busy, small and faint. The harder, the more
            figures are seen, without a box, before and after they act, or do nothing at all.
        actions: Names out of FIGURE_ACTIONS.
        height_px: Of every video, even.
        width_px: Of every video, even.
        seconds: Shortest video; the longest is 1.2 times as long.
        figures: How many act in most videos; in some it is one fewer or one more. No two in a
            video do the same.
    """

    train_videos: int
    test_videos: int
    seed: int = 0
    difficulty: float = 0.5
    actions: tuple[str, ...] = FIGURE_ACTIONS
    height_px: int = 96
    width_px: int = 128
    seconds: float = 2.4
    figures: int = 2

    def __post_init__(self) -> None:
        check_number("train_videos", self.train_videos, 1, 1_000_000)
        check_number("test_videos", self.test_videos, 0, 1_000_000)
        check_number("seed", self.seed, 0, 2**63 - 1)
        check_number("difficulty", self.difficulty, 0.0, 1.0)
        check_number("seconds", self.seconds, 0.5, 20.0)
        check_number("figures", self.figures, 1, MOST_FIGURES)
        for name, side in (("height_px", self.height_px), ("width_px", self.width_px)):
            check_number(name, side, 48, 512)
            if side % 2:
                raise InputError(f"{name} is {side}; H.264 needs an even number.")
        if self.seconds * LONGEST * RATES_FPS[-1] * self.height_px * self.width_px > MOST_PIXELS:
            raise InputError(
                f"videos of {self.width_px}x{self.height_px} px and {self.seconds:g} s are too "
                "large to be drawn in memory; ask for smaller or shorter ones."
            )
        check_actions(self.actions, FIGURE_ACTIONS)
        if self.figures > len(self.actions):
            raise InputError(
                f"{self.figures} figures are to do different things, of {len(self.actions)} "
                "actions; ask for fewer figures or more actions."
            )

    def count_videos(self, split: str) -> int:
        """Return how many videos a split has."""
        return {"train": self.train_videos, "test": self.test_videos}[split]
