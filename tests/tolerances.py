"""Every tolerance of the tests, in one place, each with what it allows for."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Tolerance(NamedTuple):
    relative: float
    absolute: float


FLOAT64 = Tolerance(1e-8, 1e-9)
"""The same formula in double precision, summed in another order."""

FLOAT32 = Tolerance(1e-4, 1e-5)
"""The same formula in single precision, summed in another order."""

WINOGRAD = Tolerance(1e-3, 1e-4)
"""Minimal filtering in single precision: points up to 2 and down to 1/2 cost a digit."""

GRADIENT64 = Tolerance(1e-5, 1e-7)
"""Gradients through some fifty batch norms in double precision."""

PARITY = 1e-5
"""Of the norm: published code and ours on the same weights. Rounding is below 1e-6 there. The 1e-3
of shared/parity/README.md is too wide: a stem padded on its wrong side differs by 6e-4."""

ENGINE = 1e-5
"""Of the norm: a network by its modules and as a graph. A kernel shifted by one differs by 1e-1."""

PRINTED_GMACS = 0.06
"""A figure printed with one decimal, and one more that was rounded on its way."""

EXACT_GMACS = 0.006
"""A figure printed with two decimals."""


def assert_close(found: Tensor, wanted: Tensor, tolerance: Tolerance, name: str = "") -> None:
    torch.testing.assert_close(
        found,
        wanted,
        rtol=tolerance.relative,
        atol=tolerance.absolute,
        msg=lambda message: f"{name} {message}",
    )


def share_of_norm(found: Tensor, wanted: Tensor) -> float:
    """Return how far two tensors of one shape differ, as a share of the norm of what is wanted."""
    assert found.shape == wanted.shape
    return float((found - wanted).norm() / wanted.norm().clamp_min(1e-30))
