"""A laptop is not asked for days: clips shrink where nobody said how large they are to be."""

from __future__ import annotations

from typing import Any

import pytest

from s3d.clip import ClipSpec
from s3d.models.cost import count_cost
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from s3d.models.open import InitModel
from s3d.models.style import TORCHVISION
from s3d.train.config import TrainConfig
from s3d.train.effort import Effort, count_effort, show_seconds, shrink
from s3d.train.plan import Machine, Plan, make_plan
from tests.train.test_plan import CPU, make_info

LONG = ClipSpec(frames=128, rate_fps=15.0, mean=(0.4,) * 3, std=(0.2,) * 3)


def plan_from(spec: ClipSpec, clips: int = 200, machine: Machine = CPU, **options: Any) -> Plan:
    network = build("s3d", num_classes=400, style="torchvision")
    model = ModelFile(network, tuple(map(str, range(400))), spec)
    infos = [make_info(8.0)] * clips
    return make_plan(TrainConfig(init="x", **options), infos, machine, InitModel(model, False))


def test_a_cpu_gets_cheaper_clips_at_the_model_s_rate_and_range() -> None:
    plan = plan_from(LONG, freeze_until="mixed4f")
    spec = plan.spec
    assert (spec.rate_fps, spec.mean, spec.std) == (LONG.rate_fps, LONG.mean, LONG.std)
    assert 16 <= spec.frames < LONG.frames
    assert any("cheaper than its 128 frames at 15 fps" in reason for reason in plan.reasons)


def test_training_every_block_leaves_less_room_than_a_frozen_trunk() -> None:
    def cost(freeze_until: str | None) -> int:
        spec = plan_from(LONG, clips=20, freeze_until=freeze_until).spec
        return count_cost("s3d", spec.frames, spec.size_px).macs

    assert cost(None) < cost("mixed4f")


@pytest.mark.parametrize(
    "options",
    [{"frames": 128}, {"size": 224}, {"machine": Machine("cuda", 8)}],
    ids=str,
)
def test_what_is_asked_for_is_done_and_a_gpu_takes_the_whole_clip(options: dict[str, Any]) -> None:
    assert plan_from(LONG, **options).spec.frames == 128


def test_a_clip_that_is_cheap_stays_as_it_is() -> None:
    small = ClipSpec(frames=16, resize_px=(64, 64), size_px=(56, 56))
    plan = plan_from(small, clips=10)
    assert plan.spec == small
    assert any("clips as it was trained on" in reason for reason in plan.reasons)


def test_frames_shrink_before_pictures() -> None:
    sizes = [(spec.frames, spec.size_px[0], spec.resize_px[0]) for spec in shrink(LONG)]
    assert sizes == [
        (128, 224, 256),
        (64, 224, 256),
        (32, 224, 256),
        (16, 224, 256),
        (16, 160, 183),
        (16, 112, 128),
    ]


def test_effort_is_the_network_s_cost_cut_where_it_is_frozen() -> None:
    spec = ClipSpec(frames=16, size_px=(112, 112))
    total = count_cost("s3d", 16, (112, 112), num_classes=2, style=TORCHVISION).macs
    free = count_effort("sssssssssss", 1.0, TORCHVISION, spec, None)
    frozen = count_effort("sssssssssss", 1.0, TORCHVISION, spec, "mixed4f")
    assert (free.trunk, free.tail) == (0, total)
    assert frozen.trunk + frozen.tail == total
    assert frozen.trunk > 10 * frozen.tail


def test_time_grows_with_clips_and_falls_with_cores() -> None:
    effort = Effort(trunk=50e9, tail=25e9)
    assert effort.fill_seconds(10, cores=2) == pytest.approx(10.0)
    assert effort.train_seconds(10, cores=1) == pytest.approx(30.0)  # forward and twice back


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "1 s"), (59, "59 s"), (600, "10 min"), (7200, "2.0 h")]
)
def test_times_are_told_in_a_word_or_two(seconds: float, shown: str) -> None:
    assert show_seconds(seconds) == shown
