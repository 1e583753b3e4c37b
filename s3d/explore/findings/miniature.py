"""The trials of the paper in miniature: which networks, on which videos, by which recipe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from s3d.data.synthetic import SampleConfig
from s3d.explore.candidate import Candidate
from s3d.explore.trial import Trial


@dataclass(frozen=True)
class Miniature:
    """Describe it.

    Attributes:
        sample: The videos.
        networks: Of the family, the most telling first.
        seeds: Of the trainings.
        width: Multiplier of the channels.
        frames: Of a clip.
        size_px: Of a clip.
        rate_fps: Of a clip.
        epochs: Of a training.
    """

    sample: SampleConfig
    networks: tuple[str, ...]
    seeds: tuple[int, ...]
    width: float
    frames: int
    size_px: int
    rate_fps: float
    epochs: int

    def candidate(self, network: str) -> Candidate:
        """Return a network as it is trained here."""
        return Candidate(network, self.width, self.frames, self.size_px, self.rate_fps)

    def trials(self, folder: Path, networks: Iterable[str], seeds: Iterable[int]) -> list[Trial]:
        """Return the trials, one seed of all networks before the next.

        Args:
            folder: Holds the videos, in `clips`.
            networks: Which.
            seeds: Which.
        """
        wanted = list(networks)
        return [
            Trial(
                self.candidate(network), seed, self.epochs, str(folder / "clips/train"),
                str(folder / "clips/test"), plays_reversed=True,
            )
            for seed in seeds
            for network in wanted
        ]  # fmt: skip
