"""What is left open is chosen from the data and the machine, and said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from s3d.data.decode import VideoInfo
from s3d.errors import InputError
from s3d.train.config import TrainConfig
from s3d.train.plan import Machine, Plan, make_plan

CPU = Machine("cpu", 2)


def make_info(seconds: float = 2.0, rate: float = 25.0, height: int = 240) -> VideoInfo:
    frames = round(seconds * rate)
    times = np.arange(frames) / rate
    return VideoInfo("x.mp4", height, 320, frames, rate, seconds, times)


def plan(infos: list[VideoInfo], machine: Machine = CPU, **options: Any) -> Plan:
    return make_plan(TrainConfig(**options), infos, machine)


def test_a_cpu_gets_a_narrow_net_and_a_gpu_the_whole() -> None:
    small, large = plan([make_info()]), plan([make_info()], Machine("cuda", 8))
    assert (small.width, small.spec.frames) == (0.25, 16)
    assert (large.width, large.spec.frames) == (1.0, 32)
    for word in (small.word, large.word):
        assert "s" in word  # whatever it is, it sees the order of frames
    assert small.spec.size_px == (64, 64)
    assert large.spec.size_px == (112, 112)


@pytest.mark.parametrize(
    ("seconds", "native", "rate"),
    [
        (2.0, 25.0, 8.0),  # the whole video
        (30.0, 25.0, 8.0),  # two seconds of a long one
        (0.2, 25.0, 25.0),  # never more frames than are there
        (1000.0, 0.5, 1.0),
    ],
)
def test_the_rate_covers_the_video_but_no_more_than_its_own(
    seconds: float, native: float, rate: float
) -> None:
    assert plan([make_info(seconds, native)]).spec.rate_fps == rate


def test_clips_are_no_larger_than_the_videos() -> None:
    assert plan([make_info(height=48)]).spec.size_px == (48, 48)
    assert plan([make_info(height=20)]).spec.size_px == (32, 32)


@pytest.mark.parametrize(("clips", "epochs"), [(10, 120), (1000, 36), (100_000, 12)])
def test_epochs_follow_from_the_number_of_clips(clips: int, epochs: int) -> None:
    assert plan([make_info()] * clips).epochs == epochs


def test_what_was_asked_for_is_taken_and_needs_no_reason() -> None:
    asked = plan(
        [make_info()], network="i2d", width=0.5, frames=8, rate_fps=5, size=40, resize="keep",
        epochs=3, lr=0.5,
    )  # fmt: skip
    assert (asked.word, asked.width, asked.epochs, asked.lr) == ("2" * 11, 0.5, 3, 0.5)
    assert asked.spec.describe().startswith("8 frames at 5 fps")
    assert asked.spec.resize == "keep"
    assert asked.reasons == ()


def test_every_choice_is_said_with_the_option_that_changes_it() -> None:
    text = " ".join(plan([make_info()]).reasons)
    for option in ("--network", "--width", "--frames", "--rate-fps", "--size", "--epochs"):
        assert option in text


def test_sgd_has_a_rate_of_its_own() -> None:
    assert plan([make_info()]).lr == 2e-3
    assert plan([make_info()], optimizer="sgd").lr == 0.1


def test_one_clip_a_step_is_refused_where_a_norm_would_see_one_value() -> None:
    with pytest.raises(InputError, match="--batch 1 with clips of 4 frames, 32 px"):
        plan([make_info()], batch=1, frames=4, size=32)
    plan([make_info()], batch=1, frames=4, size=64)
    plan([make_info()], batch=2, frames=4, size=32)


@pytest.mark.parametrize("option", [{"network": "s4d"}, {"style": "cubist"}])
def test_unknown_names_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="unknown"):
        plan([make_info()], **option)


def test_json_rebuilds_it() -> None:
    made = plan([make_info()])
    assert Plan.from_json(made.to_json()) == made
    assert replace(made, epochs=1) != made


@pytest.mark.parametrize("values", [None, [], {}, {"word": "s" * 11}])
def test_damaged_json_is_refused(values: Any) -> None:
    with pytest.raises(InputError, match="plan is damaged"):
        Plan.from_json(values)
