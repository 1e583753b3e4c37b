"""TV-L1: known motions, the minimum of a slow solver written from the paper, and OpenCV."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.data.flow import tvl1
from s3d.data.flow.tvl1 import TvL1, estimate_tvl1, median_3x3, pyramid_sizes, solve
from s3d.errors import InputError
from tests.data.moving import error_px, move

MOTIONS = [
    ((1.3, -0.7), 0.0, 1.0, 0.07),
    ((-4.6, 2.3), 0.0, 1.0, 0.05),
    ((0.4, 0.2), 2.0, 1.0, 0.06),
    ((0.5, -0.3), 0.0, 1.03, 0.06),
]
SIZE = (96, 128)
# One linear problem, solved as far as it goes.
CONVEX = TvL1(scales=1, warps=1, epsilon=1e-9, steps=(3000,))


def flow_of(frames: np.ndarray, settings: TvL1 | None = None) -> np.ndarray:
    pictures = torch.from_numpy(frames)
    return estimate_tvl1(pictures[:1], pictures[1:], settings)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("shift", "degrees", "zoom", "most_px"), MOTIONS)
def test_known_motion_is_found(
    shift: tuple[float, float], degrees: float, zoom: float, most_px: float
) -> None:
    frames, truth = move(SIZE, shift, degrees, zoom)
    assert error_px(flow_of(frames), truth) < most_px


@pytest.mark.parametrize(("shift", "degrees", "zoom", "most_px"), MOTIONS)
def test_error_is_not_above_opencvs(
    shift: tuple[float, float], degrees: float, zoom: float, most_px: float
) -> None:
    cv2 = pytest.importorskip("cv2")
    frames, truth = move(SIZE, shift, degrees, zoom)
    theirs = cv2.optflow.DualTVL1OpticalFlow_create().calc(*frames, None)
    ours = flow_of(frames)
    assert error_px(ours, truth) < error_px(theirs, truth) + 0.01
    assert error_px(ours, theirs) < most_px + 0.03


def forward_gradient(u: Tensor) -> tuple[Tensor, Tensor]:
    return F.pad(u.diff(dim=-1), (0, 1)), F.pad(u.diff(dim=-2), (0, 0, 0, 1))


def divergence(x: Tensor, y: Tensor) -> Tensor:
    """Zach et al. (2007), the negative adjoint of the forward gradient."""
    return (x - F.pad(x, (1, 0))[..., :-1]) + (y - F.pad(y, (0, 0, 1, 0))[..., :-1, :])


def linear_term(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    padded = F.pad(second[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    across = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    return second - first, torch.stack([across, down])


def solve_slowly(first: Tensor, second: Tensor, s: TvL1, rounds: int) -> Tensor:
    """Alternate between v and u, equations 8 to 15 of Zach et al. (2007)."""
    offset, gradient = linear_term(first, second)
    square = (gradient**2).sum(0) + 1e-9
    u, x, y = (torch.zeros_like(gradient) for _ in range(3))
    bound = s.lam * s.theta
    for _ in range(rounds):
        rho = offset + (gradient * u).sum(0)
        step = torch.where(
            rho < -bound * square, bound, torch.where(rho > bound * square, -bound, -rho / square)
        )
        u = u + step * gradient + s.theta * divergence(x, y)
        across, down = forward_gradient(u)
        length = 1 + s.tau / s.theta * (across**2 + down**2).sqrt()
        x, y = ((p + s.tau / s.theta * d) / length for p, d in ((x, across), (y, down)))
    return u


def relaxed_energy(first: Tensor, second: Tensor, u: Tensor, s: TvL1) -> float:
    """Return what is minimised, with the best v put in: a Huber function of rho."""
    offset, gradient = linear_term(first, second)
    rho, square = offset + (gradient * u).sum(0), (gradient**2).sum(0) + 1e-9
    bound = s.lam * s.theta * square
    data = torch.where(
        rho.abs() <= bound, rho**2 / (2 * s.theta * square), s.lam * (rho.abs() - bound / 2)
    )
    across, down = forward_gradient(u)
    return float((across**2 + down**2).sqrt().sum() + data.sum())


def test_the_minimum_is_that_of_the_paper() -> None:
    frames, _ = move((24, 30), (0.6, -0.4))
    first, second = (frame.double() for frame in torch.from_numpy(frames))
    slow = solve_slowly(first, second, CONVEX, 8000)
    ours = torch.from_numpy(flow_of(frames, CONVEX)).permute(2, 0, 1).double()
    least, energy = (relaxed_energy(first, second, u, CONVEX) for u in (slow, ours))
    assert energy == pytest.approx(least, rel=1e-3)
    assert float((ours - slow).abs().mean()) < 5e-3
    # Few steps do not get there, or the comparison would say nothing.
    early = torch.from_numpy(flow_of(frames, TvL1(scales=1, warps=1, steps=(12,)))).permute(2, 0, 1)
    assert relaxed_energy(first, second, early.double(), CONVEX) > 1.01 * least


def test_few_steps_come_as_near_as_many_more_of_the_paper() -> None:
    frames, _ = move((48, 60), (0.6, -0.4))
    first, second = (frame.double() for frame in torch.from_numpy(frames))
    settings = TvL1(scales=1, warps=1, epsilon=1e-9, steps=(60,))
    ours = torch.from_numpy(flow_of(frames, settings)).permute(2, 0, 1).double()
    slow = solve_slowly(first, second, settings, 80)
    assert relaxed_energy(first, second, ours, settings) < relaxed_energy(
        first, second, slow, settings
    )


def test_median_is_that_of_nine_neighbours() -> None:
    pictures = torch.randn(2, 3, 7, 9)
    padded = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    wanted = padded.unfold(2, 3, 1).unfold(3, 3, 1).reshape(2, 3, 7, 9, 9).median(-1).values
    torch.testing.assert_close(median_3x3(pictures), wanted, rtol=0, atol=0)


def test_pairs_together_give_what_each_gives_alone() -> None:
    settings = TvL1(epsilon=1e-9, steps=(10,))
    shifts = [(1.3, -0.7), (-2.0, 0.5), (0.0, 0.0)]
    pairs = torch.from_numpy(np.stack([move((40, 56), shift)[0] for shift in shifts])).float()
    alone = estimate_tvl1(pairs[:, 0], pairs[:, 1], settings)
    with torch.inference_mode():
        together = solve(pairs[:, 0], pairs[:, 1], settings)
    assert alone.shape == (3, 2, 40, 56)
    # The pair that stands still ends its scales early when alone.
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-3)


def test_what_stands_still_has_no_flow_and_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, _ = move(SIZE, (0, 0))
    steps = []
    step = tvl1._Scale._step_flow
    monkeypatch.setattr(tvl1._Scale, "_step_flow", lambda s: (steps.append(1), step(s)))
    assert np.abs(flow_of(frames)).max() < 1e-3
    assert len(steps) == tvl1.STEPS_BETWEEN_CHECKS * len(pyramid_sizes(*SIZE, TvL1()))


def test_noise_and_blank_frames_give_finite_flow() -> None:
    noise = torch.rand(2, 20, 300) * 255
    for first, second in ((noise[:1], noise[1:]), (noise[:1] * 0, noise[1:] * 0)):
        assert torch.isfinite(estimate_tvl1(first, second)).all()


def test_no_pairs_give_no_flow() -> None:
    assert estimate_tvl1(torch.zeros(0, 20, 30), torch.zeros(0, 20, 30)).shape == (0, 2, 20, 30)


def test_scales_end_where_a_side_would_be_below_16_px() -> None:
    assert pyramid_sizes(256, 340, TvL1()) == [
        (256, 340), (205, 272), (164, 218), (131, 174), (105, 139),
    ]  # fmt: skip
    assert pyramid_sizes(20, 300, TvL1()) == [(20, 300), (16, 240)]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((1, 20, 20), (1, 20, 21)), r"frames are \(1, 20, 20\) and \(1, 20, 21\); flow needs two"),
        (((20, 20), (20, 20)), r"frames are \(20, 20\) and \(20, 20\); flow needs two"),
        (((1, 15, 40), (1, 15, 40)), "frames are 15 x 40 px; flow needs at least 16 a side"),
    ],
)
def test_frames_that_cannot_be_are_refused(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        estimate_tvl1(*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize(
    ("name", "value"), [("tau", 0.0), ("lam", float("nan")), ("steps", ()), ("steps", (3, 0))]
)
def test_settings_that_cannot_be_are_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"TV-L1's {name} is .*; it needs more than 0"):
        TvL1(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="scale_step is 1; it needs less than 1"):
        TvL1(scale_step=1)
