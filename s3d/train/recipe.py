"""A recipe: how the paper trained for one of its results, and what it got.

What the paper prints, published code has, or is our guess is told apart in `Recipe.notes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from s3d.errors import InputError
from s3d.train.config import TrainConfig

CLIPS_A_GPU = 6
"""The paper's; its norms see so many."""

PAPER = TrainConfig(
    init="none",
    frames=64,
    rate_fps=25.0,
    size=224,
    resize="squash",
    steps=80_000,
    batch=336,
    lr=0.1,
    optimizer="sgd",
    schedule="step",
    warmup=0.0,
    weight_decay=1e-7,
    norm_decay=0.999,
    dropout=0.2,
    label_smoothing=0.0,
    ema=0.0,
    jitter=0.0,
    balance=False,
    keep="last",
    cache_gb=0.0,
)
"""The training of Kinetics: synchronous SGD with momentum 0.9 on 56 GPUs of 6 clips, 80,000 steps,
the rate a tenth after 60,000 and 70,000 (printed); 25 frames a second, the decays and dropout (of
published code). Nothing is done to a clip but that it is cropped."""

FINE_TUNING = replace(
    PAPER,
    init=None,
    frames=None,
    rate_fps=None,
    size=None,
    resize=None,
    steps=8_000,
    batch=48,
    lr=0.01,
    decay_at="0.75",
    val_share=0.0,
)
"""That of UCF-101 and HMDB-51 from a model of Kinetics, whose network and clip stay: 8 GPUs, 6,000
steps at 0.01, then 2,000 at 0.001 (once), on all of the training list."""
FINE_TUNING_NOTES = (
    "once: 8 GPUs, 6,000 steps at 0.01, then 2,000 at 0.001; clips a GPU are those of Kinetics",
    "network, clip and frame rate are those of the model that it starts from",
    "all of the training list is trained on, and the last weights are kept",
    "of published code: 25 frames a second, weight decay 1e-7, norm decay 0.999, dropout 0.2",
)
SOMETHING = replace(
    PAPER, network="s3d_g", init="googlenet-imagenet", rate_fps=12.0, steps=10_000, batch=96
)
"""That of Something-Something: 16 GPUs, 10,000 steps (printed)."""
SOMETHING_NOTES = (
    "as printed: 10,000 steps on 16 GPUs at 0.1",
    "not printed: clips a GPU (6 are taken, as on Kinetics), the decay (that of Kinetics)",
    "frames come at 12 a second and all are taken; mirroring would change the labels",
    "as printed: 64 frames squashed to 256 x 256 px, a random crop of 224; SGD of momentum 0.9",
    "of published code: weight decay 1e-7, norm decay 0.999, dropout 0.2",
)


@dataclass(frozen=True)
class Figure:
    """Hold a figure of the paper, and ours beside it.

    Attributes:
        network: Which one.
        metric: What was measured, under which protocol.
        paper: The printed value, in per cent.
        ours: Ours; "not run" where nobody ran it.
    """

    network: str
    metric: str
    paper: float
    ours: str = "not run"


@dataclass(frozen=True)
class Recipe:
    """Hold a recipe.

    Attributes:
        title: The result it is of.
        dataset: The name of its data set, to which a folder is added: "kinetics400:DIR".
        data: What of it is needed, for people.
        hardware: What the paper used.
        config: Every option as printed; data, out and, where a run of another recipe is what it
            starts from, init are for the person to name.
        figures: The paper's, and ours.
        notes: Whence each choice is.
        needs_init: Whether it starts from a model that must be named.
        clips: Training clips in the data set, to turn steps into epochs.
    """

    title: str
    dataset: str
    data: str
    hardware: str
    config: TrainConfig
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    clips: int
    needs_init: bool = False

    @property
    def shown_clips(self) -> int:
        """Return how many clips are shown in all."""
        assert self.config.steps is not None
        return self.config.steps * self.config.batch

    def train_hours(self, clips_per_second: float) -> float:
        """Return the hours that training takes at a rate; decoding is taken to keep up."""
        return self.shown_clips / clips_per_second / 3600


def fit_recipe(
    recipe: Recipe, asked: TrainConfig, world: int, clips_a_gpu: int = CLIPS_A_GPU
) -> tuple[TrainConfig, tuple[str, ...]]:
    """Fit a recipe to the processes there are: the batch stays, in as many parts as it takes.

    Args:
        recipe: As printed.
        asked: The recipe's options with what a person changed.
        world: Processes that train together.
        clips_a_gpu: Clips that a process takes at a time.

    Returns:
        The options to train with, and a line a decision.

    Raises:
        InputError: It starts from a model, and none is named.
    """
    if recipe.needs_init and asked.init is None:
        raise InputError(
            f"{recipe.title}: starts from a model of Kinetics. Name it with --init, as in "
            "--init kinetics/model.safetensors."
        )
    lines = []
    fitted = asked
    if asked.accumulate == recipe.config.accumulate:
        parts = math.ceil(asked.batch / (world * clips_a_gpu))
        fitted = replace(fitted, accumulate=parts)
        lines.append(
            f"{asked.batch} clips a step on {_count(world, 'process', 'processes')}, "
            f"{clips_a_gpu} at a time: in {_count(parts, 'part')} (--clips-a-gpu)"
        )
    if asked.batch != recipe.config.batch and asked.lr == recipe.config.lr:
        assert recipe.config.lr is not None
        lr = recipe.config.lr * asked.batch / recipe.config.batch
        fitted = replace(fitted, lr=lr)
        lines.append(
            f"learning rate {lr:g}, not {recipe.config.lr:g}: scaled with the batch of "
            f"{asked.batch}, not {recipe.config.batch} (--lr)"
        )
    return fitted, tuple(lines)


def describe_recipe(recipe: Recipe, rates: Mapping[str, float]) -> str:
    """Return a recipe as lines of text: its data, hardware, hours and figures.

    Args:
        recipe: Which one.
        rates: Clips a second that a training step of S3D-G was measured to do, by the hardware.
    """
    config = recipe.config
    assert config.steps is not None
    lines = [
        recipe.title,
        f"  data       {recipe.data}",
        f"  hardware   {recipe.hardware} (the paper's)",
        f"  training   {config.steps:,} steps of {config.batch} clips, {config.optimizer} at "
        f"{config.lr:g}, a tenth after {config.decay_at} of them; "
        f"{recipe.shown_clips / recipe.clips:.0f} epochs",
        *(
            f"  hours      {recipe.train_hours(rate):,.0f} on {hardware}, computed from "
            f"{rate:.3g} clips a second measured for a training step of S3D-G"
            for hardware, rate in rates.items()
        ),
        *(f"  note       {note}" for note in recipe.notes),
        *(
            f"  figure     {figure.network}: {figure.metric} {figure.paper:g} (paper), "
            f"{figure.ours} (ours)"
            for figure in recipe.figures
        ),
    ]
    return "\n".join(lines)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
