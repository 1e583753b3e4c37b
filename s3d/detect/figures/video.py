"""One made-up video: a scene, the figures in it, and where each does what."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from s3d.data.actions import Stage, add_noise, drift
from s3d.data.made_folder import check_number
from s3d.data.scenes import Floats, Scene, draw_scene, lay_ground, paint
from s3d.detect.figures.config import LONGEST, MOST_FIGURES, RATES_FPS, BoxSampleConfig
from s3d.detect.figures.figure import Figure, boxes_of, draw_figure
from s3d.detect.tube import TrueTube

TRIES = 40
CROWDED_SHARE = 0.15
"""Of the videos, in which figures may touch."""


def render_box_video(
    seed: int, config: BoxSampleConfig, scene: Scene | None = None
) -> tuple[npt.NDArray[np.uint8], int, list[TrueTube]]:
    """Draw one video without writing it.

    Args:
        seed: The same seed gives the same video.
        config: Gives size, length, difficulty and actions.
        scene: Texture, colours and shapes; drawn from the seed if none is given.

    Returns:
        frames (T, H, W, 3) uint8 RGB, their rate in frames a second, and a tube for each figure
        that acts: its boxes are those of what is drawn, edge to edge, and its track is "1", "2" ...

    Raises:
        InputError: The seed is not a whole number from 0.
    """
    stage, rate_fps = _set_stage(seed, config, scene)
    figures = _draw_figures(stage, config)
    frames = lay_ground(stage.scene, *drift(stage), stage.size)
    covers = [figure.cover(stage.size) for figure in figures]
    for figure, cover in zip(figures, covers, strict=True):
        paint(frames, cover, figure.colour)
    frames *= 255
    add_noise(stage, frames)
    pixels = np.clip(frames, 0, 255, out=frames).astype(np.uint8)
    tubes = [
        _tube_of(figure, cover, number, config)
        for number, (figure, cover) in enumerate(zip(figures, covers, strict=True), 1)
        if figure.action
    ]
    return pixels, rate_fps, tubes


def find_tubes(
    seed: int, config: BoxSampleConfig, scene: Scene | None = None
) -> tuple[int, list[TrueTube]]:
    """Return the number of frames and the tubes of a video without drawing its frames.

    Args:
        seed: As for `render_box_video`.
        config: The same.
        scene: The same.
    """
    stage, _ = _set_stage(seed, config, scene)
    tubes = [
        _tube_of(figure, figure.cover(stage.size), number, config)
        for number, figure in enumerate(_draw_figures(stage, config), 1)
        if figure.action
    ]
    return stage.size[0], tubes


def _set_stage(seed: int, config: BoxSampleConfig, scene: Scene | None) -> tuple[Stage, int]:
    check_number("seed", seed, 0, 2**64 - 1)
    rng = np.random.default_rng((seed, 10))
    rate_fps = int(rng.choice(RATES_FPS))
    # Up, so that a clip of `seconds` never has to loop.
    frames = math.ceil(config.seconds * rng.uniform(1.0, LONGEST) * rate_fps)
    stage = Stage(
        size=(frames, config.height_px, config.width_px),
        seconds=(np.arange(frames) / rate_fps).astype(np.float32),
        scene=scene or draw_scene((seed, 12), config.difficulty),
        difficulty=config.difficulty,
        rng=np.random.default_rng((seed, 11)),
    )
    return stage, rate_fps


def _draw_figures(stage: Stage, config: BoxSampleConfig) -> list[Figure]:
    """Draw those that act, first, and perhaps one that does nothing."""
    rng = stage.rng
    # Two thirds of the videos have as many as asked for.
    count = config.figures + int(rng.choice([-1, 0, 0, 0, 0, 1]))
    count = min(max(count, 1), len(config.actions), MOST_FIGURES)
    actions = [str(action) for action in rng.choice(config.actions, count, replace=False)]
    if rng.uniform() < 0.6 * stage.difficulty:
        actions.append("")
    inks = [stage.scene.inks[place] for place in rng.permutation(len(stage.scene.inks))]
    least_px = -0.1 * min(stage.size[1:]) if rng.uniform() < CROWDED_SHARE else 1.0
    figures: list[Figure] = []
    for number, action in enumerate(actions):
        tries = (draw_figure(action, stage, inks[number % len(inks)]) for _ in range(TRIES))
        figures.append(_first_apart(tries, figures, stage.size, least_px))
    return figures


def _tube_of(figure: Figure, cover: Floats, number: int, config: BoxSampleConfig) -> TrueTube:
    frames, boxes = boxes_of(cover * figure.acts[:, None, None])
    return TrueTube(config.actions.index(figure.action), frames, boxes, str(number))


def _first_apart(
    tries: Iterable[Figure], others: list[Figure], size: tuple[int, int, int], least_px: float
) -> Figure:
    """Return the first figure that is that far from the others, else the one that is farthest."""
    best, best_px = None, -math.inf
    for figure in tries:
        gap_px = min((figure.gap(other, size) for other in others), default=math.inf)
        if best is None or gap_px > best_px:
            best, best_px = figure, gap_px
        if gap_px >= least_px:
            break
    assert best is not None
    return best
