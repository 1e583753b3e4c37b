"""Textures and colours: a bank of (64, 64) tiles without seams, and how a shape is painted."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from s3d.data.world.strokes import Floats

SIDE = 64
KINDS = 9
TILES = 160
LUMA = np.array([0.299, 0.587, 0.114])
FLAT = 0
"""The tile that is one tone."""


@lru_cache(maxsize=2)
def make_bank(seed: int = 0) -> Floats:
    """Return the tiles, (TILES, 64, 64) in 0..1: waves, checks, fractals, cells, cloth, grain."""
    rng = np.random.default_rng((seed, 77))
    bank = np.empty((TILES, SIDE, SIDE), np.float32)
    bank[FLAT] = 0.5
    for tile in range(1, TILES):
        drawn = _DRAW[tile % KINDS](rng)
        low, high = np.quantile(drawn, (0.02, 0.98))
        bank[tile] = np.clip((drawn - low) / max(high - low, 1e-6), 0, 1)
    return bank


def make_paint(
    rng: np.random.Generator, dark: Floats, light: Floats, scale: float, texture: int | None = None
) -> Floats:
    """Return the paint of a shape: texture, scale, place in it, and two colours; 10 values.

    Args:
        rng: Where the texture and the place in it come from.
        dark: (3,) RGB in 0..1 where the texture is 0.
        light: (3,) where it is 1.
        scale: Texels a unit of the shape's own coordinates.
        texture: Number of the tile; any if None.
    """
    chosen = int(rng.integers(1, TILES)) if texture is None else texture
    place = rng.uniform(0, SIDE, 2)
    paint = np.empty(10, np.float32)
    paint[0], paint[1], paint[2:4], paint[4:7], paint[7:] = chosen, scale, place, dark, light
    return paint


def draw_colour(rng: np.random.Generator, luma: float, chroma: float = 0.35) -> Floats:
    """Return a colour (3,) of about this lightness."""
    colour: Floats = _colours(rng, np.array([luma]), chroma)[0]
    return colour


def stand_out(rng: np.random.Generator, ground: float, least: float) -> float:
    """Return a lightness in 0..1 that differs from the ground's by at least `least`, up to 0.5."""
    luma = rng.uniform(0.05, 0.95)
    if abs(luma - ground) < least:
        luma = ground + least if ground < 0.5 else ground - least
    return float(luma)


def draw_tones(
    rng: np.random.Generator, contrast: float, count: int | None = None, luma: float | None = None
) -> tuple[Floats, Floats]:
    """Return two colours of a surface, `contrast` apart in lightness.

    Args:
        rng: Decides.
        contrast: 0 to 1.
        count: Of surfaces, whose colours are (count, 3); (3,) if None.
        luma: Their mean lightness; any if None.
    """
    lumas = rng.uniform(0.12, 0.88, count or 1) if luma is None else np.array([luma])
    pairs = _colours(rng, np.repeat(lumas, 2), 0.35).reshape(-1, 2, 3)
    shift = (contrast / 2 * rng.uniform(0.3, 1.0, (len(pairs), 1))).astype(np.float32)
    dark = (pairs[:, 0] - shift).clip(0, 1)
    light = (0.6 * pairs[:, 0] + 0.4 * pairs[:, 1] + shift).clip(0, 1)
    return (dark[0], light[0]) if count is None else (dark, light)


def draw_paints(
    rng: np.random.Generator, contrast: float, scales: tuple[float, float], count: int
) -> Floats:
    """Return the paints of many things, (count, 10), as `make_paint` does."""
    paints = np.empty((count, 10), np.float32)
    paints[:, 0] = rng.integers(1, TILES, count)
    paints[:, 1] = rng.uniform(*scales, count)
    paints[:, 2:4] = rng.uniform(0, SIDE, (count, 2))
    paints[:, 4:7], paints[:, 7:10] = draw_tones(rng, contrast, count)
    return paints


def _colours(rng: np.random.Generator, luma: npt.NDArray[np.float64], chroma: float) -> Floats:
    lean = rng.normal(size=(len(luma), 3)) * (chroma * rng.random((len(luma), 1)))
    lean -= (lean @ LUMA)[:, None]
    return (luma[:, None] + lean).clip(0, 1).astype(np.float32)


_ACROSS = np.arange(SIDE, dtype=np.float32) * np.float32(2 * np.pi / SIDE)


def _wave(rng: np.random.Generator, most: int = 6) -> Floats:
    kx, ky = rng.integers(-most, most + 1), rng.integers(1, most + 1)
    phase = np.float32(rng.uniform(0, 6.28))
    return np.sin(kx * _ACROSS[None] + ky * _ACROSS[:, None] + phase)


def _fractal(rng: np.random.Generator) -> Floats:
    frequency = np.fft.fftfreq(SIDE, 1 / SIDE)
    radius = np.hypot(frequency[:, None], frequency[None, : SIDE // 2 + 1])
    radius[0, 0] = 1
    spectrum = np.fft.rfft2(rng.normal(size=(SIDE, SIDE))) * radius ** -rng.uniform(0.7, 2.2)
    spectrum[0, 0] = 0
    return np.fft.irfft2(spectrum, s=(SIDE, SIDE)).astype(np.float32)


def _cells(rng: np.random.Generator) -> Floats:
    points = rng.uniform(0, SIDE, (int(rng.integers(5, 30)), 2))
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1)[:, :, None]
    apart = np.abs(grid - points)
    apart = np.minimum(apart, SIDE - apart)
    far = np.sort(np.hypot(apart[..., 0], apart[..., 1]), -1)
    edge = far[..., 1] - far[..., 0] if rng.random() < 0.5 else far[..., 0]
    return edge.astype(np.float32)


def _stripes(rng: np.random.Generator) -> Floats:
    count, sharp = rng.integers(1, 9), rng.uniform(0.5, 8)
    line = np.tanh(sharp * np.sin(count * _ACROSS + rng.uniform(0, 6.28)))
    field = np.broadcast_to(line, (SIDE, SIDE)).astype(np.float32)
    return field if rng.random() < 0.5 else field.T


def _bricks(rng: np.random.Generator) -> Floats:
    rows, columns = int(rng.integers(2, 8)), int(rng.integers(1, 6))
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    shifted = x * columns + 0.5 * (np.floor(y * rows) % 2)
    joint = (np.abs(shifted % 1 - 0.5) > 0.44) | (np.abs((y * rows) % 1 - 0.5) > 0.4)
    wall: Floats = (_fractal(rng) - 3.0 * joint).astype(np.float32)
    return wall


_DRAW = (
    _wave,
    lambda rng: _wave(rng) + _wave(rng),
    lambda rng: np.sign(_wave(rng, 4) * _wave(rng, 4)),
    lambda rng: np.tanh(5 * (_wave(rng) * _wave(rng) - 0.35)),
    _fractal,
    _cells,
    _stripes,
    _bricks,
    lambda rng: np.sin(4 * _fractal(rng) / 0.2 + 2 * _wave(rng, 3)),
)
