"""Clips that somebody made are held against the contract before they are scored."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.infer.contract import SLACK, check_contract
from s3d.models.published.sources import FLOW_CLIP, HOWTO100M_CLIP, I3D_CLIP, TORCHVISION_CLIP

SIGNED, UNIT, STANDARD = I3D_CLIP, HOWTO100M_CLIP, TORCHVISION_CLIP
"""Values from -1 to 1, from 0 to 1, and of frames less their mean over their deviation."""


def values(low: float, high: float, channels: int = 3) -> Tensor:
    return torch.linspace(low, high, 2 * channels * 4 * 8 * 8).view(2, channels, 4, 8, 8)


def refusal(clips: Tensor, spec: ClipSpec) -> str:
    with pytest.raises(InputError) as caught:
        check_contract(clips, spec)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("spec", "low", "high"),
    [
        (SIGNED, -1, 1),
        (SIGNED, -1 - 2 * SLACK, 1 + 2 * SLACK),
        (SIGNED, -0.1, 0.1),
        (SIGNED, -0.001, 0.999),
        (UNIT, 0, 1),
        (UNIT, 0.2, 0.3),
        (UNIT, -SLACK, 1 + SLACK),
        (STANDARD, *STANDARD.value_range),
        (STANDARD, -1, 1),
        (STANDARD, 0.1, 1.1),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_clips_that_keep_the_contract_pass(
    spec: ClipSpec, low: float, high: float, dtype: torch.dtype
) -> None:
    inside = values(low, high).clamp(low + 1e-6, high - 1e-6).to(dtype)
    check_contract(inside, spec)
    check_contract(inside.requires_grad_(), spec)
    check_contract(inside.half(), spec)


@pytest.mark.parametrize(
    "shape", [(3, 4, 8, 8), (2, 4, 8, 8, 3), (2, 4, 3, 8, 8), (1, 1, 4, 8, 8), ()]
)
def test_other_axes_are_refused(shape: tuple[int, ...]) -> None:
    line = refusal(torch.zeros(shape), SIGNED)
    assert line == (
        f"clips have shape {shape}; this model takes (batch, 3, time, height, width): rgb."
    )


def test_other_channels_are_refused() -> None:
    line = refusal(values(-1, 1), FLOW_CLIP)
    assert line == (
        "clips have shape (2, 3, 4, 8, 8); this model takes (batch, 2, time, height, width): flow."
    )
    check_contract(values(-1, 1, channels=2), FLOW_CLIP)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_whole_numbers_are_refused(dtype: torch.dtype) -> None:
    line = refusal(torch.zeros(1, 3, 4, 8, 8, dtype=dtype), SIGNED)
    assert line == (
        f"clips are {dtype}; this model takes floats from -1 to 1. "
        "Give uint8 frames to score_frames."
    )


@pytest.mark.parametrize(
    ("clips", "spec", "came", "needed"),
    [
        (values(0, 255), SIGNED, "0 to 255", "-1 to 1"),
        (values(0, 255), UNIT, "0 to 255", "0 to 1"),
        (values(0, 255), STANDARD, "0 to 255", "-1.895 to 2.874"),
        (values(-1, 1), UNIT, "-1 to 1", "0 to 1"),
        (values(*STANDARD.value_range), SIGNED, "-1.895 to 2.874", "-1 to 1"),
        (values(-1.11, 1), SIGNED, "-1.11 to 1", "-1 to 1"),
        (values(-1, 1.11), SIGNED, "-1 to 1.11", "-1 to 1"),
        (values(-0.06, 1), UNIT, "-0.06 to 1", "0 to 1"),
        (values(0, 1.06), UNIT, "0 to 1.06", "0 to 1"),
        (values(-1, 1) * torch.nan, SIGNED, "nan to nan", "-1 to 1"),
        (torch.full((1, 3, 1, 8, 8), torch.inf), UNIT, "inf to inf", "0 to 1"),
    ],
)
def test_values_outside_the_range_are_refused(
    clips: Tensor, spec: ClipSpec, came: str, needed: str
) -> None:
    line = refusal(clips, spec)
    assert line.startswith(f"clips hold values from {came}; this model takes {needed}: (frames ")
    assert line.endswith("Give uint8 frames to score_frames, which does that.")


def test_one_value_that_is_no_number_is_enough() -> None:
    clips = values(-1, 1)
    clips[1, 2, 3, 4, 5] = torch.nan
    assert "clips hold values from nan to nan" in refusal(clips, SIGNED)


def test_the_formula_is_the_contracts_own() -> None:
    assert "(frames / 255 - mean) / std with mean 0.5 and std 0.5. " in refusal(
        values(0, 255), SIGNED
    )
    assert (
        "with mean (0.43216, 0.394666, 0.37645) and std (0.22803, 0.22145, 0.216989). "
    ) in refusal(values(0, 255), STANDARD)
    odd = replace(SIGNED, mean=(0.5, 0.5, 0.4))
    assert "with mean (0.5, 0.5, 0.4) and std 0.5." in refusal(values(0, 255), odd)


@pytest.mark.parametrize("spec", [SIGNED, STANDARD])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.3, 0.9), (0, 0), (1, 1)])
def test_frames_over_255_are_refused_where_values_go_below_0(
    spec: ClipSpec, low: float, high: float
) -> None:
    line = refusal(values(low, high), spec)
    assert line.startswith(f"clips hold values from {low} to {high}, as frames / 255 do; this mod")
    assert line.endswith("If they are right, say check=False.")


def test_no_clips_are_left_to_the_network() -> None:
    check_contract(torch.zeros(0, 3, 4, 8, 8), SIGNED)
