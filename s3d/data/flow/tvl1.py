"""TV-L1 optical flow: where each pixel of one grey frame is in the next.

What is minimised is, as in Zach, Pock and Bischof (2007), with v held near u by theta,

    sum |grad u1| + |grad u2| + |u - v|^2 / (2 theta) + lam |I1(x + v) - I0(x)|

from coarse to fine, I1 made linear about the last flow at each warp. Of v only the best one for
each u matters, which makes the data term a Huber function of u; what is left is convex, and is
solved by the primal-dual iteration of Chambolle and Pock (2011). That needs fewer steps than the
alternation between u and v, and all of them are plain operations on flat memory:

    flow in here  (2, N, H, W), x then y, as one contiguous row of 2 * N * H * W numbers

so that the neighbour to the right is the next number, and the one below is W numbers on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.errors import InputError

LEAST_SIDE_PX = 16
PAIRS_ON_GPU = 64
PAIRS_ON_CPU = 16
CACHED_PIXELS = 340 * 256
"""What a CPU's cache holds of all that a step touches. Small pairs share steps up to that: at 64 x
64 px eight together took a quarter of the time they take one by one."""
STEPS_BETWEEN_CHECKS = 4
EPSILON_SHARE = 0.2
"""Our last steps are shorter than the published code's, with as much of the way before them."""

TINY = 1e-6


@dataclass(frozen=True)
class TvL1:
    """Hold the settings; the first five and epsilon are those of the published code.

    Attributes:
        tau: Step of the flow; that of the dual follows from it.
        lam: Weight of brightness, 0..255, against smoothness.
        theta: How loosely u follows v.
        scales: Sizes of the picture, at most; none is below 16 px.
        warps: Times the second picture is warped at each.
        epsilon: Root mean square change of a step, in px, at which the published code ends a warp;
            we do at a fifth of it, where the energy is as low as theirs.
        scale_step: Ratio of a size to the next larger one.
        steps: Most steps a warp, from the finest scale; the last holds for those beyond.

    Source: Sanchez, Meinhardt-Llopis and Facciolo (IPOL 2013), section 4; I3D took OpenCV's.
    """

    tau: float = 0.25
    lam: float = 0.15
    theta: float = 0.3
    scales: int = 5
    warps: int = 5
    epsilon: float = 0.01
    scale_step: float = 0.8
    steps: tuple[int, ...] = (12, 12, 16, 30, 60)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            numbers = value if field.name == "steps" else (value,)
            # NaN fails the comparison.
            if not numbers or not all(0 < number < math.inf for number in numbers):
                raise InputError(f"TV-L1's {field.name} is {value}; it needs more than 0.")
        if self.scale_step >= 1:
            raise InputError(f"TV-L1's scale_step is {self.scale_step}; it needs less than 1.")

    def steps_at(self, scale: int) -> int:
        """Return the most steps a warp takes at a scale, 0 being the finest."""
        return self.steps[min(scale, len(self.steps) - 1)]


def estimate_tvl1(first: Tensor, second: Tensor, settings: TvL1 | None = None) -> Tensor:
    """Find the flow from each first frame to its second.

    On a CPU as many pairs are worked on together as stay in the cache; on a GPU many. They share
    the number of steps, so what else is asked for changes a pair's flow a little (0.01 px).

    Args:
        first: (N, H, W) grey, float, 0..255.
        second: As first, same device.
        settings: The published ones if None.

    Returns:
        (N, 2, H, W) float32 in px, x then y: first(p) is found at second(p + flow(p)).

    Raises:
        InputError: The shapes differ or are not (N, H, W), or a side is below 16 px.
    """
    if first.ndim != 3 or first.shape != second.shape:
        shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise InputError(f"frames are {shapes}; flow needs two of the same (N, H, W).")
    if min(first.shape[1:]) < LEAST_SIDE_PX:
        raise InputError(
            f"frames are {first.shape[1]} x {first.shape[2]} px; flow needs at least "
            f"{LEAST_SIDE_PX} a side. Resize them first."
        )
    chosen = settings or TvL1()
    at_once = PAIRS_ON_GPU
    if first.device.type == "cpu":
        at_once = min(max(1, CACHED_PIXELS // first[0].numel()), PAIRS_ON_CPU) if len(first) else 1
    with torch.inference_mode():
        parts = [
            solve(first[i : i + at_once].float(), second[i : i + at_once].float(), chosen)
            for i in range(0, len(first), at_once)
        ]
        return torch.cat(parts) if parts else first.new_zeros(0, 2, *first.shape[1:]).float()


def solve(first: Tensor, second: Tensor, settings: TvL1) -> Tensor:
    """Find the flow of a few pairs together.

    Args:
        first: (N, H, W) float.
        second: As first.
        settings: What to minimise, and how long.

    Returns:
        (N, 2, H, W) in px.
    """
    sizes = pyramid_sizes(first.shape[1], first.shape[2], settings)
    flow = first.new_zeros(2, len(first), *sizes[-1])
    for scale in reversed(range(len(sizes))):
        flow = _resize_flow(flow, sizes[scale])
        a, b = (_shrink(frames, sizes[scale]) for frames in (first, second))
        flow = _Scale(a, b, settings).refine(flow, settings.steps_at(scale))
    return flow.transpose(0, 1).contiguous()


def pyramid_sizes(height: int, width: int, settings: TvL1) -> list[tuple[int, int]]:
    """Return (height, width) of each scale, the finest first, as far as both reach 16 px."""
    ratios = [settings.scale_step**scale for scale in range(settings.scales)]
    sizes = [(round(height * ratio), round(width * ratio)) for ratio in ratios]
    return [size for size in sizes if min(size) >= LEAST_SIDE_PX]


class _Scale:
    """Refine the flow of pictures of one size, in memory that all steps share."""

    def __init__(self, first: Tensor, second: Tensor, settings: TvL1) -> None:
        self.settings, self.first = settings, first.contiguous()
        self.second = torch.stack([second, *_central_gradient(second)], 1)
        self.grid = _identity_grid(second)
        shape = (2, *first.shape)
        self.flow, self.ahead, self.dual_x, self.dual_y, self.length, self.gradient, self.pull = (
            first.new_zeros(shape) for _ in range(7)
        )
        self.offset, self.excess = (torch.empty_like(self.first) for _ in range(2))

    def refine(self, flow: Tensor, steps: int) -> Tensor:
        """Return a better flow, (2, N, H, W); the given one is kept."""
        self.flow.copy_(flow)
        for _ in range(self.settings.warps):
            self.flow.copy_(median_3x3(self.flow))
            self._linearise()
            if self._descend(steps) <= STEPS_BETWEEN_CHECKS:
                break  # It stood still from the start, and would after the next warp.
        return self.flow

    def _linearise(self) -> None:
        """Set the data term about the flow: the excess over brightness is offset + pull . u."""
        warped, inside = _warp(self.second, self.flow, self.grid)
        torch.mul(warped[:, 1:].transpose(0, 1), inside, out=self.gradient)
        square = (self.gradient * self.gradient).sum(0).add_(TINY)
        torch.sub(warped[:, 0], self.first, out=self.offset)
        self.offset.mul_(inside).sub_((self.gradient * self.flow).sum(0))
        tau, theta = self.settings.tau, self.settings.theta
        scale = square.reciprocal_().mul_(tau / (tau + theta))
        self.offset.mul_(scale)
        torch.mul(self.gradient, scale, out=self.pull)

    def _descend(self, most: int) -> int:
        """Take steps until they are small, or `most` of them; return how many."""
        self.ahead.copy_(self.flow)
        enough = self.settings.epsilon * EPSILON_SHARE * math.sqrt(self.flow.numel())
        for step in range(1, most + 1):
            self._step_dual()
            self._step_flow()
            if step % STEPS_BETWEEN_CHECKS == 0 and step < most:
                # What lies ahead of the flow is the last step once more.
                torch.sub(self.ahead, self.flow, out=self.length)
                if float(self.length.norm()) <= enough:
                    return step
        return most

    def _step_dual(self) -> None:
        """Move the dual along the gradient of the flow ahead, and back to length 1 at most."""
        step, width = 1 / (8 * self.settings.tau), self.first.shape[-1]
        ahead, x, y = (t.view(-1) for t in (self.ahead, self.dual_x, self.dual_y))
        x[:-1].add_(ahead[1:], alpha=step).sub_(ahead[:-1], alpha=step)
        y[:-width].add_(ahead[width:], alpha=step).sub_(ahead[:-width], alpha=step)
        # Beyond the last column is the next row, beyond the last row the next picture.
        self.dual_x[..., -1].zero_()
        self.dual_y[..., -1, :].zero_()
        torch.mul(self.dual_x, self.dual_x, out=self.length)
        self.length.addcmul_(self.dual_y, self.dual_y).clamp_(min=1).sqrt_()
        self.dual_x.div_(self.length)
        self.dual_y.div_(self.length)

    def _step_flow(self) -> None:
        """Move the flow by the dual's divergence and towards brightness; look one step ahead."""
        tau, limit = self.settings.tau, self.settings.tau * self.settings.lam
        width = self.first.shape[-1]
        flow, x, y = (t.view(-1) for t in (self.flow, self.dual_x, self.dual_y))
        torch.neg(self.flow, out=self.ahead)
        flow.add_(x, alpha=tau).add_(y, alpha=tau)
        flow[1:].sub_(x[:-1], alpha=tau)
        flow[width:].sub_(y[:-width], alpha=tau)
        torch.addcmul(self.offset, self.pull[0], self.flow[0], out=self.excess)
        self.excess.addcmul_(self.pull[1], self.flow[1]).clamp_(-limit, limit)
        self.flow[0].addcmul_(self.excess, self.gradient[0], value=-1)
        self.flow[1].addcmul_(self.excess, self.gradient[1], value=-1)
        self.ahead.add_(self.flow, alpha=2)


def median_3x3(pictures: Tensor) -> Tensor:
    """Return the median of each pixel's 3 x 3 neighbourhood; the border is repeated.

    Args:
        pictures: (A, B, H, W).

    Source: Wedel et al. (2009), who take outliers out of the flow this way between warps.
    """
    height, width = pictures.shape[-2:]
    padded = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    low, middle, high = _sort_three(*(padded[..., i : i + height, :] for i in range(3)))
    lows, middles, highs = (
        [rows[..., i : i + width] for i in range(3)] for rows in (low, middle, high)
    )
    greatest_low = torch.maximum(torch.maximum(lows[0], lows[1]), lows[2])
    least_high = torch.minimum(torch.minimum(highs[0], highs[1]), highs[2])
    return _middle(greatest_low, _middle(*middles), least_high)


def _sort_three(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    rest = torch.maximum(low, c)
    return torch.minimum(low, c), torch.minimum(rest, high), torch.maximum(rest, high)


def _middle(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    return torch.minimum(torch.maximum(low, c), high)


def _shrink(frames: Tensor, size: tuple[int, int]) -> Tensor:
    if frames.shape[1:] == size:
        return frames
    return F.interpolate(frames[:, None], size, mode="bilinear", antialias=True)[:, 0]


def _resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a flow (2, N, H, W) at another size, in px of that size."""
    height, width = flow.shape[-2:]
    if (height, width) == size:
        return flow
    ratio = flow.new_tensor([size[1] / width, size[0] / height])
    return F.interpolate(flow, size, mode="bilinear") * ratio[:, None, None, None]


def _central_gradient(frames: Tensor) -> tuple[Tensor, Tensor]:
    padded = F.pad(frames[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    return across / 2, down / 2


def _identity_grid(frames: Tensor) -> Tensor:
    """Return (H, W, 2) in -1..1, x then y: where each pixel is, as grid_sample counts."""
    height, width = frames.shape[1:]
    rows = torch.linspace(-1, 1, height, device=frames.device)
    columns = torch.linspace(-1, 1, width, device=frames.device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], -1)


def _warp(channels: Tensor, flow: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Return channels (N, C, H, W) read at p + flow(p), and 1 where that lies inside, else 0."""
    height, width = flow.shape[-2:]
    unit = flow.new_tensor([2 / (width - 1), 2 / (height - 1)])
    places = flow.permute(1, 2, 3, 0) * unit + grid
    inside = (places.abs().amax(-1) <= 1 + TINY).to(flow.dtype)
    warped = F.grid_sample(
        channels, places, mode="bicubic", padding_mode="border", align_corners=True
    )
    return warped, inside
