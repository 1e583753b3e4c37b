"""How a scene is filmed: where the camera goes, where it cuts, what the film does to the light."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from s3d.data.world.strokes import AX, BY, CX, CY, Floats

STILL, PAN, ZOOM, ROLL, HANDHELD = range(5)
CAMERAS = ("still", "pan", "zoom", "roll", "handheld")


@dataclass
class Camera:
    """Hold a camera's way.

    Attributes:
        kind: STILL, PAN, ...
        track: (moments, 4): x and y of what it looks at, log of its zoom, roll in radians.
        squash: Width of the world as a share of its own: frames are squashed to squares.
        cut: The first frame of a second shot; 0 if there is one shot.
        joined: (frames,), 0 where the next frame is of another shot.
    """

    kind: int
    track: Floats
    squash: float = 1.0
    cut: int = 0
    joined: npt.NDArray[np.uint8] = field(default_factory=lambda: np.ones(0, np.uint8))


def draw_camera(rng: np.random.Generator, moments: int, is_calm: bool, difficulty: float) -> Camera:
    """Return some camera.

    Args:
        rng: Decides.
        moments: One more than there are frames.
        is_calm: It stands still more often than not, and does not cut.
        difficulty: 0 it stands still .. 1 as above.
    """
    share = np.linspace(0, 1, moments, dtype=np.float32)
    kinds = [0.6, 0.1, 0.08, 0.04, 0.18] if is_calm else [0.35, 0.25, 0.15, 0.1, 0.15]
    kind = int(rng.choice(5, p=kinds)) if rng.random() < difficulty else STILL
    track = np.zeros((moments, 4), np.float32)
    track[:, :2] += rng.normal(size=2) * 0.04
    track[:, 2] = rng.normal() * 0.15
    if kind == PAN:
        turn, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.9)
        track[:, 0] += np.cos(turn) * far * (share - 0.5)
        track[:, 1] += 0.5 * np.sin(turn) * far * (share - 0.5)
    elif kind == ZOOM:
        track[:, 2] += rng.choice([-1, 1]) * rng.uniform(0.2, 0.8) * (share - 0.5)
    elif kind == ROLL:
        track[:, 3] = rng.choice([-1, 1]) * rng.uniform(0.2, 0.9) * (share - 0.5)
    elif kind == HANDHELD:
        size = rng.uniform(0.004, 0.02)
        walk = np.cumsum(rng.normal(size=(moments, 4)) * size, 0)
        track += (walk * (1, 1, 0.8, 0.8)).astype(np.float32)
    joined = np.ones(moments - 1, np.uint8)
    cut = 0
    if not is_calm and moments > 7 and rng.random() < 0.2 * difficulty:
        cut = int(rng.integers(3, moments - 3))
        joined[cut - 1] = 0
        jump = rng.normal(size=4) * (0.12, 0.08, 0.35, 0.05)
        track[cut:] += jump.astype(np.float32)
    return Camera(kind, track, float(rng.uniform(0.56, 1.0)), cut, joined)


def film_shapes(shapes: Floats, camera: Camera, height: int, width: int) -> Floats:
    """Return shapes (moments, N, FIELDS) with places in pixels instead of frame heights."""
    filmed = shapes.copy()
    zoom = np.exp(camera.track[:, 2])
    cos, sin = np.cos(camera.track[:, 3]) * zoom, np.sin(camera.track[:, 3]) * zoom
    matrix = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    matrix *= np.array([camera.squash * width, height], np.float32)[:, None]
    away = shapes[..., CX : CY + 1] - camera.track[:, None, :2]
    middle = np.array([width / 2, height / 2], np.float32)
    turn = matrix.transpose(0, 2, 1)[:, None]
    filmed[..., CX : CY + 1] = (away[..., None, :] @ turn)[..., 0, :] + middle
    axes = shapes[..., AX : BY + 1].reshape(*shapes.shape[:2], 2, 2)
    filmed[..., AX : BY + 1] = (axes @ turn).reshape(*shapes.shape[:2], 4)
    return filmed


@dataclass(frozen=True)
class Film:
    """Say what happens to the light between the scene and the file.

    Attributes:
        parts: Pictures that a frame is the mean of: blur of motion.
        shutter: Share of a frame's time that these take.
        blur: Blur of the lens, in passes over three pixels.
        gains: (frames, 2): a factor, and what is added.
        noise: Size of the noise, of 1.
        grey: Share of the colour that is lost.
        step: Of a codec's rounding; 0 for none.
        hold: Frames that each frame stands for: a slow or stuttering source.
        seed: Of the noise.
    """

    parts: int
    shutter: float
    blur: float
    gains: Floats
    noise: float
    grey: float
    step: float
    hold: int
    seed: int


def draw_film(rng: np.random.Generator, frames: int, difficulty: float) -> Film:
    """Return some film, the worse the more difficult."""
    gains = np.empty((frames, 2), np.float32)
    gains[:, 0] = 1 + difficulty * rng.uniform(-0.45, 0.25)
    gains[:, 1] = difficulty * rng.uniform(-0.08, 0.12)
    luck = rng.random() / max(difficulty, 1e-3)
    share = np.linspace(-0.5, 0.5, frames, dtype=np.float32)
    if luck < 0.08:
        gains[:, 0] *= 1 + rng.uniform(-0.6, 0.6) * share
    elif luck < 0.16:
        gains[:, 0] *= 1 + rng.normal(size=frames).astype(np.float32) * rng.uniform(0.02, 0.08)
    blurs_motion = rng.random() < 0.3 * difficulty
    return Film(
        parts=2 if blurs_motion else 1,
        shutter=float(rng.uniform(0.3, 1.0)),
        blur=difficulty * float(rng.choice([0, 0, 0.5, 1, 1.5, 2])),
        gains=gains,
        noise=difficulty * float(rng.uniform(0, 0.02 if rng.random() < 0.6 else 0.12)),
        grey=float(rng.choice([0, 0, 0.3, 0.7, 1])),
        step=float(rng.uniform(0.02, 0.2)) if rng.random() < 0.4 * difficulty else 0.0,
        hold=2 if rng.random() < 0.2 * difficulty else 1,
        seed=int(rng.integers(1, 2**31)),
    )
