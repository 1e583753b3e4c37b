"""A candidate: one network of the family at one width, on clips of one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from s3d.errors import InputError
from s3d.models.family import NETWORKS, network_word

MOST_CANDIDATES = 1000


@dataclass(frozen=True)
class Candidate:
    """Name what is trained.

    Attributes:
        network: A name or word of the family.
        width: Multiplier of the channels.
        frames: Of a clip.
        size_px: Height and width of a clip.
        rate_fps: At which a clip's frames are taken.
    """

    network: str
    width: float
    frames: int
    size_px: int
    rate_fps: float

    @property
    def name(self) -> str:
        """Return a short name that no other candidate has, as "s3d_fast-w0.25-16x64-r8"."""
        clip = f"{self.frames}x{self.size_px}-r{self.rate_fps:g}"
        return f"{self.network}-w{self.width:g}-{clip}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Grid:
    """Name the values that candidates are made of.

    Attributes:
        networks: Names and words of the family.
        widths: Multipliers of the channels.
        frames: Of a clip.
        sizes_px: Of a clip.
        rates_fps: Of a clip.
    """

    networks: tuple[str, ...]
    widths: tuple[float, ...]
    frames: tuple[int, ...]
    sizes_px: tuple[int, ...]
    rates_fps: tuple[float, ...]

    def candidates(self) -> list[Candidate]:
        """Return every combination, those of one network together.

        Raises:
            InputError: There are too many.
        """
        axes = (self.networks, self.widths, self.frames, self.sizes_px, self.rates_fps)
        found = [Candidate(*values) for values in product(*axes)]
        if len(found) > MOST_CANDIDATES:
            raise InputError(
                f"{len(found):,} candidates are asked for; at most {MOST_CANDIDATES:,} make sense. "
                "Name fewer networks, widths, frames, sizes or rates."
            )
        return found


def find_networks(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the networks that names, words and patterns such as "i3d_top_*" mean, each once.

    Raises:
        InputError: One means nothing.
    """
    found: list[str] = []
    for pattern in patterns:
        named = [name for name in NETWORKS if fnmatchcase(name, pattern)]
        if not named:
            network_word(pattern)  # A word is a network too; anything else is refused here.
        found += named or [pattern]
    words: dict[str, str] = {}
    for name in found:
        words.setdefault(network_word(name), name)
    return tuple(words.values())
