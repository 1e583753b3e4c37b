"""What an exploration can be told: one frozen dataclass, whose fields are the command's options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from s3d.errors import InputError
from s3d.explore.candidate import find_networks
from s3d.train.config import check_range

GRID = (
    "i2d,i3d_bottom_1,i3d_bottom_4,i3d_top_4,i3d_top_8,i3d,"
    "s3d_bottom_1,s3d_bottom_4,s3d_top_4,s3d_fast,s3d,s3d_g"
)
"""Both kinds of layer at both ends of the network, and where the paper's curves bend."""
QUICK_GRID = "i2d,s3d_fast,s3d_top_4,i3d_top_4,s3d_bottom_1,s3d"
QUICK_MINUTES = 18.0
"""Of training; what else there is to do leaves `--quick` below half an hour."""

T = TypeVar("T", int, float)


def _option(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True)
class ExploreConfig:
    """Describe an exploration; None leaves a choice to the data, as `s3d train` makes it.

    Attributes:
        data: As `s3d train` takes it.
        out: The exploration's folder; what is in it is used again.
    """

    data: str = ""
    out: str = _option("", "folder of the exploration; what is there is used again", metavar="DIR")
    budget_ms: float | None = _option(None, "most milliseconds a clip may take here")
    budget_gmacs: float | None = _option(None, "most billions of multiply-adds of a clip")

    networks: str | None = _option(
        None, "names, words or patterns with commas, as i2d,s3d_top_*", metavar="A,B"
    )
    widths: str | None = _option(None, "multipliers of the channels, with commas", metavar="A,B")
    frames: str | None = _option(None, "frames of a clip, with commas", metavar="A,B")
    sizes: str | None = _option(
        None, "height and width of a clip in px, with commas", metavar="A,B"
    )
    rates: str | None = _option(None, "frames a second of a clip, with commas", metavar="A,B")

    seeds: int = _option(0, "trainings of each network; 0: 3, or 1 for --quick")
    folds: int = _option(
        0, "leave each of so many parts out in turn, whole sources together; 0: one split"
    )
    scored: str | None = _option(
        None, "score these videos instead of a part held out", metavar="DATA"
    )
    epochs: int | None = _option(None, "times each clip is seen, the same for all")
    minutes: float | None = _option(None, "about so long all trainings may take together")
    halving: bool = _option(
        False, "train all a little, the better half longer, and so on: successive halving"
    )
    quick: bool = _option(False, "few networks, one seed, halving, below half an hour on a laptop")
    beyond: bool = _option(False, "train what exceeds the budget too, for the figure")
    protocol: str = _option("clip", "clip, all-frames, 10x3 or cover")
    reversed: bool = _option(False, "score the videos played backwards too")
    quarantine: str | None = _option(
        None, "leave out the files that this list of `s3d check` names", metavar="FILE"
    )
    engine: str = _option("auto", "by which latency is measured (`s3d benchmark`)")
    device: str = _option("auto", "auto, cpu or cuda", choices=("auto", "cpu", "cuda"))
    workers: int | None = _option(None, "trials at a time (cores; 1 on a GPU)")
    ray: str | None = _option(
        None, "trials on Ray: auto is this machine, HOST:PORT a cluster", metavar="ADDRESS"
    )

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            check_range(name, getattr(self, name), low, high)
        for option in fields(self):
            choices = option.metadata.get("choices")
            value = getattr(self, option.name)
            if choices and value not in choices:
                raise InputError(f"{option.name} is {value!r}; it is one of {', '.join(choices)}.")
        if (self.budget_ms is None) == (self.budget_gmacs is None):
            raise InputError("name one budget: --budget-ms 200, or --budget-gmacs 40.")
        if self.epochs is not None and self.minutes is not None:
            raise InputError("--epochs and --minutes both say how long. Leave one of them out.")
        if self.folds == 1 or (self.folds and self.scored):
            raise InputError(
                "--folds takes 2 or more and scores the parts left out; leave --scored away, "
                "or --folds."
            )
        find_networks(self.network_patterns)
        for name in ("widths", "frames", "sizes", "rates"):
            getattr(self, f"{name}_asked")

    @property
    def network_patterns(self) -> tuple[str, ...]:
        """Return what was asked for, or the grid."""
        text = self.networks or (QUICK_GRID if self.quick else GRID)
        return tuple(part for part in (p.strip() for p in text.split(",")) if part)

    @property
    def widths_asked(self) -> tuple[float, ...]:
        """Return the multipliers of the channels; none where the data is to say."""
        return _read_numbers("widths", self.widths, float, 0.01, 8)

    @property
    def frames_asked(self) -> tuple[int, ...]:
        """Return the frames of a clip; none where the data is to say."""
        return _read_numbers("frames", self.frames, int, 1, 4096)

    @property
    def sizes_asked(self) -> tuple[int, ...]:
        """Return the sizes of a clip in px; none where the data is to say."""
        return _read_numbers("sizes", self.sizes, int, 32, 2048)

    @property
    def rates_asked(self) -> tuple[float, ...]:
        """Return the rates of a clip; none where the data is to say."""
        return _read_numbers("rates", self.rates, float, 0.01, 1000)

    @property
    def seed_count(self) -> int:
        """Return how often each network is trained on the same videos."""
        return self.seeds or (1 if self.quick else 3)

    @property
    def halves(self) -> bool:
        """Return whether the worse half is dropped early."""
        return self.halving or self.quick

    @property
    def minutes_asked(self) -> float | None:
        """Return how long all trainings may take; None where epochs say it."""
        if self.minutes is None and self.quick and self.epochs is None:
            return QUICK_MINUTES
        return self.minutes


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("budget_ms", 1e-3, 1e7),
    ("budget_gmacs", 1e-6, 1e7),
    ("seeds", 0, 1000),
    ("folds", 0, 1000),
    ("epochs", 1, 1_000_000),
    ("minutes", 0.01, 1e6),
    ("workers", 1, 1024),
)


def _read_numbers(
    name: str, text: str | None, kind: Callable[[str], T], low: float, high: float
) -> tuple[T, ...]:
    try:
        values = tuple(kind(part) for part in (text or "").split(",") if part.strip())
    except ValueError:
        values = ()
    if text is not None and not (values and all(low <= value <= high for value in values)):
        raise InputError(
            f"--{name} is {text!r}; it needs numbers from {low:g} to {high:g} with commas."
        )
    return tuple(dict.fromkeys(values))
