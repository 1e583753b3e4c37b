"""How the sample videos look: textures, colours, shapes, and laying one shape over many frames.

A scene is what train and test never share: a background texture, a palette and a set of shapes.
Nothing here knows about actions or the order of frames; `actions.py` moves things.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Colour = tuple[float, float, float]

TEXTURE_SIDE = 256
SPRITE_SIDE = 64
OVERSAMPLING = 3
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])
LANDMARKS = ("ring", "frame")
TURNING_SHAPES = ("arrow", "bite", "key", "moon", "flag")
PLAIN_SHAPES = ("disc", "square", "triangle", "diamond", "cross", "star", "heart", "hexagon")


@dataclass(frozen=True)
class Scene:
    """What stays the same in all videos of a scene. Colours are RGB in 0..1."""

    texture: str
    texture_seed: int
    ground: Colour
    ground_tint: Colour
    inks: tuple[Colour, ...]
    shapes: tuple[str, ...]
    turning_shapes: tuple[str, ...]
    landmark: str


def draw_scene(seed: tuple[int, ...], difficulty: float) -> Scene:
    """Draw a scene from a seed.

    Args:
        seed: Whole numbers that name the scene.
        difficulty: 0 faint texture and strong colours .. 1 strong texture and weak contrast.
    """
    rng = np.random.default_rng(seed)
    luma = rng.uniform(0.2, 0.8)
    step = 0.04 + 0.24 * difficulty
    texture_luma = np.clip(luma + np.array([-step / 2, step / 2]), 0.04, 0.96)
    away = 1.0 if luma < rng.uniform(0.4, 0.6) else -1.0
    contrast = 0.5 - 0.16 * difficulty
    inks = tuple(_tint(rng, luma + away * contrast * rng.uniform(1.0, 1.3)) for _ in range(4))
    return Scene(
        texture=str(rng.choice(sorted(TEXTURES))),
        texture_seed=int(rng.integers(2**31)),
        ground=_tint(rng, texture_luma[0]),
        ground_tint=_tint(rng, texture_luma[1]),
        inks=inks,
        shapes=tuple(str(s) for s in rng.choice(PLAIN_SHAPES, 4, replace=False)),
        turning_shapes=tuple(str(s) for s in rng.choice(TURNING_SHAPES, 3, replace=False)),
        landmark=str(rng.choice(LANDMARKS)),
    )


def _tint(rng: np.random.Generator, luma: float) -> Colour:
    # Colour without luma, so that contrast holds in grey and survives 4:2:0.
    chroma = rng.normal(size=3)
    chroma -= LUMA_WEIGHTS @ chroma
    colour = np.clip(luma + chroma / np.abs(chroma).max() * rng.uniform(0.05, 0.3), 0.02, 0.98)
    return (float(colour[0]), float(colour[1]), float(colour[2]))


# Textures: (256, 256), 0..1, periodic, so that a drift without end has no seam.


def _wave(kx: int, ky: int, phase: float) -> Floats:
    across = np.arange(TEXTURE_SIDE, dtype=np.float32) * np.float32(2 * np.pi / TEXTURE_SIDE)
    wave: Floats = np.sin(kx * across[None, :] + ky * across[:, None] + np.float32(phase))
    return wave


def _draw_wave(rng: np.random.Generator) -> Floats:
    kx, ky = rng.integers(-7, 8), rng.integers(2, 8)
    return _wave(int(kx), int(ky), rng.uniform(0, 2 * np.pi))


def _noise(rng: np.random.Generator, low: float, high: float) -> Floats:
    frequency = np.fft.fftfreq(TEXTURE_SIDE, 1 / TEXTURE_SIDE)
    radius = np.hypot(frequency[:, None], frequency[None, : TEXTURE_SIDE // 2 + 1])
    spectrum = np.fft.rfft2(rng.normal(size=(TEXTURE_SIDE, TEXTURE_SIDE)))
    spectrum[(radius < low) | (radius > high)] = 0
    return np.fft.irfft2(spectrum, s=(TEXTURE_SIDE, TEXTURE_SIDE)).astype(np.float32)


def _warp(rng: np.random.Generator) -> Floats:
    return np.asarray(np.sin(3 * _draw_wave(rng) + 2 * _draw_wave(rng)), dtype=np.float32)


TEXTURES: dict[str, Callable[[np.random.Generator], Floats]] = {
    "stripes": _draw_wave,
    "plaid": lambda rng: _draw_wave(rng) + _draw_wave(rng),
    "checks": lambda rng: np.sign(_draw_wave(rng) * _draw_wave(rng)),
    "dots": lambda rng: np.tanh(6 * (_draw_wave(rng) * _draw_wave(rng) - 0.4)),
    "waves": _warp,
    "clouds": lambda rng: _noise(rng, 1, 6),
    "blobs": lambda rng: np.tanh(2 * _noise(rng, 3, 9) / 0.06),
    "grain": lambda rng: _noise(rng, 8, 24),
}


@lru_cache(maxsize=128)
def texture_of(name: str, seed: int) -> Floats:
    """Return the texture (256, 256) in 0..1 of that name and seed."""
    texture = TEXTURES[name](np.random.default_rng(seed))
    low, high = texture.min(), texture.max()
    return np.asarray((texture - low) / (high - low), dtype=np.float32)


# Sprites: what part of a small square a shape covers, and its second colour within.


def _polygon(corners: int, x: Floats, y: Floats) -> Bools:
    turn = np.arctan2(x, -y) % (2 * np.pi / corners) - np.pi / corners
    return np.asarray(np.hypot(x, y) * np.cos(turn) < np.cos(np.pi / corners), dtype=np.bool_)


def _star(x: Floats, y: Floats) -> Bools:
    point = np.abs(np.arctan2(x, -y) % (2 * np.pi / 5) / (np.pi / 5) - 1)
    return np.asarray(np.hypot(x, y) < 0.42 + 0.58 * point**1.4, dtype=np.bool_)


def _heart(x: Floats, y: Floats) -> Bools:
    a, b = 1.2 * x, 0.15 - 1.15 * y
    return np.asarray((a**2 + b**2 - 0.8) ** 3 < a**2 * b**3 * 2, dtype=np.bool_)


def _arrow(x: Floats, y: Floats) -> Bools:
    head = (y > -0.95) & (y < 0.1) & (np.abs(x) < 0.75 * (y + 0.95) / 1.05)
    return np.asarray(head | ((np.abs(x) < 0.25) & (y >= 0.1) & (y < 0.95)), dtype=np.bool_)


def _key(x: Floats, y: Floats) -> Bools:
    head = np.hypot(x, y + 0.5) < 0.46
    return np.asarray(head | ((np.abs(x) < 0.17) & (y > -0.5) & (y < 0.95)), dtype=np.bool_)


def _flag(x: Floats, y: Floats) -> Bools:
    cloth = (x > -0.2) & (x < 0.7) & (y > -0.7) & (y < 0.1)
    return np.asarray(cloth | ((np.abs(x + 0.2) < 0.16) & (np.abs(y) < 0.7)), dtype=np.bool_)


SHAPES: dict[str, Callable[[Floats, Floats], Bools]] = {
    "disc": lambda x, y: np.hypot(x, y) < 0.9,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) < 0.75,
    "triangle": lambda x, y: _polygon(3, x, y),
    "diamond": lambda x, y: np.abs(x) / 0.7 + np.abs(y) < 1,
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) < 0.3) & (np.maximum(abs(x), abs(y)) < 0.9),
    "star": _star,
    "heart": _heart,
    "hexagon": lambda x, y: _polygon(6, x, y),
    "arrow": _arrow,
    "bite": lambda x, y: (np.hypot(x, y) < 0.9) & (np.abs(x) > -y * 0.9),
    "key": _key,
    "moon": lambda x, y: (np.hypot(x, y) < 0.9) & (np.hypot(x - 0.4, y) > 0.65),
    "flag": _flag,
    "ring": lambda x, y: abs(np.hypot(x, y) - 0.76) < 0.2,
    "frame": lambda x, y: abs(np.maximum(np.abs(x), np.abs(y)) - 0.64) < 0.2,
}


@lru_cache(maxsize=64)
def sprite_of(name: str) -> Floats:
    """Return how much of each cell the shape covers, (64, 64) in 0..1, with an empty border."""
    side = SPRITE_SIDE * OVERSAMPLING
    across = (np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1
    x, y = np.meshgrid(across, across)
    cover = SHAPES[name](x, y).astype(np.float32)
    split = (SPRITE_SIDE, OVERSAMPLING, SPRITE_SIDE, OVERSAMPLING)
    cells: Floats = cover.reshape(split).mean((1, 3))
    cells[[0, -1]] = 0
    cells[:, [0, -1]] = 0
    return cells


@dataclass(frozen=True)
class Pose:
    """Where a shape is in every frame: each is (T,), or one number for all frames.

    Attributes:
        x: Centre, from 0 at the left edge to 1 at the right one.
        y: Centre, from 0 at the top to 1 at the bottom.
        radius: Half the shape's size, in units of the frame's shorter side.
        angle: In radians, clockwise as seen.
    """

    x: npt.ArrayLike
    y: npt.ArrayLike
    radius: npt.ArrayLike
    angle: npt.ArrayLike = 0.0


def local_axes(pose: Pose, size: tuple[int, int, int]) -> tuple[Floats, Floats]:
    """Return every pixel's place in the shape's own square, -1..1 inside: two (T, H, W).

    Args:
        pose: Where the shape is.
        size: (frames, height, width).
    """
    frames, height, width = size
    x, y, radius, angle = (
        np.broadcast_to(np.asarray(v, dtype=np.float32), (frames,))[:, None]
        for v in (pose.x, pose.y, pose.radius, pose.angle)
    )
    scale = radius * min(height, width)
    right = (np.arange(width, dtype=np.float32) + 0.5 - x * width) / scale
    down = (np.arange(height, dtype=np.float32) + 0.5 - y * height) / scale
    cos, sin = np.cos(angle), np.sin(angle)
    u = (cos * right)[:, None, :] + (sin * down)[:, :, None]
    v = (-sin * right)[:, None, :] + (cos * down)[:, :, None]
    return u, v


def cover_of(shape: str, pose: Pose, size: tuple[int, int, int]) -> Floats:
    """Return how much of each pixel the shape covers, (T, H, W) in 0..1."""
    u, v = (_to_cell(axis) for axis in local_axes(pose, size))
    v *= SPRITE_SIDE
    v += u
    return sprite_of(shape).ravel().take(v)


def _to_cell(axis: Floats) -> npt.NDArray[np.int32]:
    axis = axis * np.float32(SPRITE_SIDE / 2) + np.float32(SPRITE_SIDE / 2)
    return np.clip(axis, 0, SPRITE_SIDE - 1, out=axis).astype(np.int32)


def paint(frames: Floats, cover: Floats, colour: npt.ArrayLike) -> None:
    """Lay a colour over frames (T, H, W, 3), in place, as far as `cover` (T, H, W) says."""
    difference = np.asarray(colour, dtype=np.float32) - frames
    difference *= cover[..., None]
    frames += difference


def lay_ground(scene: Scene, x: Floats, y: Floats, size: tuple[int, int, int]) -> Floats:
    """Return the background, (T, H, W, 3) in 0..1.

    Args:
        scene: Gives texture and colours.
        x: (T,) how far the texture has drifted, in texture widths; it repeats after 1.
        y: The same, downwards.
        size: (frames, height, width).
    """
    _, height, width = size
    texture = texture_of(scene.texture, scene.texture_seed)
    step = TEXTURE_SIDE / (1.5 * max(height, width))
    across = (np.arange(width) * step - x[:, None] * TEXTURE_SIDE).astype(np.int64) % TEXTURE_SIDE
    down = (np.arange(height) * step - y[:, None] * TEXTURE_SIDE).astype(np.int64) % TEXTURE_SIDE
    shade = texture.ravel().take(down[:, :, None] * TEXTURE_SIDE + across[:, None, :])
    low, high = (np.array(c, dtype=np.float32) for c in (scene.ground, scene.ground_tint))
    return low + shade[..., None] * (high - low)
