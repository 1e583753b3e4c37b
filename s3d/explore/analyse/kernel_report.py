"""The kernels of a network beside what chance gives, and by how much training changed them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from s3d.explore.analyse.kernels import (
    LAYER,
    KernelSpread,
    iterate_kernels,
    mean_squares,
    measure_change,
    measure_kernels,
    outer_ratio,
)
from s3d.explore.analyse.start import make_fresh
from s3d.models.family import network_name
from s3d.models.network import Network

FRESH = 5
"""Fresh networks beside the measured one: in narrow layers chance alone makes taps differ."""


@dataclass(frozen=True)
class KernelReport:
    """Hold the kernels of a network beside those that training begins with.

    Attributes:
        network: Its name, or its word.
        spreads: In order of depth; of a block first the layer, then its branches.
        fresh: For each of them the outer ratios of a few fresh networks: how far chance goes.
        changes: Of each by how much training changed the weights; none where it is not known
            what it began with. This is what training did, beside which chance is large.
    """

    network: str
    spreads: tuple[KernelSpread, ...]
    fresh: tuple[tuple[float, ...], ...]
    changes: tuple[KernelSpread, ...] = ()

    @property
    def layer_changes(self) -> dict[str, KernelSpread]:
        """Return what is known of the change of each layer as a whole."""
        return {change.layer: change for change in self.changes if change.part == LAYER}

    @property
    def layers(self) -> tuple[tuple[KernelSpread, tuple[float, ...]], ...]:
        """Return each layer as a whole, and the outer ratios it may begin with."""
        pairs = zip(self.spreads, self.fresh, strict=True)
        return tuple(pair for pair in pairs if pair[0].part == LAYER)

    def to_json(self) -> dict[str, Any]:
        """Return every number as plain JSON values."""
        return {
            "network": self.network,
            "measured": "raw kernels, norms not folded in",
            "kernels": [
                {
                    "layer": spread.layer,
                    "part": spread.part,
                    "kernel": list(spread.kernel),
                    "weights_an_offset": spread.weights,
                    "outer_ratio": _plain(spread.outer_ratio),
                    "fresh_outer_ratios": [_plain(ratio) for ratio in begun],
                    "change_outer_ratio": _plain(change.outer_ratio) if change else None,
                    "offsets": [
                        {k: _plain(v) for k, v in vars(tap).items()} for tap in spread.offsets
                    ],
                    "change_root_mean_squares": [
                        _plain(tap.root_mean_square) for tap in (change.offsets if change else ())
                    ],
                }
                for spread, begun, change in zip(
                    self.spreads, self.fresh, self._changes_or_none, strict=True
                )
            ],
        }

    def to_rows(self) -> list[dict[str, object]]:
        """Return a row for each kernel and offset, with the same columns."""
        return [
            {
                "layer": spread.layer,
                "part": spread.part,
                "kernel": "x".join(map(str, spread.kernel)),
                "weights": spread.weights,
                **{name: f"{value:.6g}" for name, value in vars(tap).items()},
                "change_root_mean_square": (
                    f"{change.offsets[i].root_mean_square:.6g}" if change else ""
                ),
            }
            for spread, change in zip(self.spreads, self._changes_or_none, strict=True)
            for i, tap in enumerate(spread.offsets)
        ]

    @property
    def _changes_or_none(self) -> tuple[KernelSpread | None, ...]:
        return self.changes or (None,) * len(self.spreads)


def report_kernels(network: Network, start: Network | None = None) -> KernelReport:
    """Measure a network's kernels, and beside them those of fresh networks of its kind.

    Args:
        network: Of any word and style.
        start: What its training began with, where that is known.

    Raises:
        InputError: None of its layers looks along time, or the start is of another kind.
    """
    spreads = measure_kernels(network)
    changes = measure_change(network, start) if start is not None else ()
    fresh = zip(*(_fresh_ratios(network, seed) for seed in range(FRESH)), strict=True)
    return KernelReport(network_name(network.word), spreads, tuple(fresh), changes)


def _fresh_ratios(network: Network, seed: int) -> list[float]:
    fresh = make_fresh(network.word, network.style, network.width, network.channels, seed)
    return [outer_ratio(mean_squares(kernels)) for _, _, kernels in iterate_kernels(fresh)]


def _plain(value: float) -> float | None:
    """Return a number in six digits; None for nan, which JSON has not."""
    return None if math.isnan(value) else float(f"{value:.6g}")
