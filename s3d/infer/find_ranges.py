"""How large the values are that a network's convolutions read, on clips of one's own.

Each place is looked at twice: for its largest value, and, once that is known, for how values are
spread below it. A range that ends a little below the largest value rounds all others less: the one
is taken that loses least in the mean square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.infer.engines.torch_runner import TorchRunner
from s3d.models.graph import Graph, Node, build_graph
from s3d.models.network import Network
from s3d.models.quantise import LEVELS, Ranges, find_groups

BINS = 2048
SHARES = tuple(n / 64 for n in range(16, 65))
"""Of the largest value, where a range may end."""

SMALLEST = 1e-6
"""The range of a place whose values are all 0."""

Progress = Callable[[int, int], None]


def find_ranges(
    network: Network,
    spec: ClipSpec,
    clips: Sequence[Tensor],
    progress: Progress | None = None,
) -> Ranges:
    """Return the ranges of a network's values on clips.

    Args:
        network: On the CPU, in eval mode.
        spec: How its frames are normalised.
        clips: Each frames (T, H, W, C) uint8, as the spec has them.
        progress: Told after each clip: each comes twice.

    Raises:
        InputError: There are no clips, or a value is not finite.
    """
    if not clips:
        raise InputError("ranges need at least 1 clip to look at. Give some videos.")
    frames, height, width, channels = clips[0].shape
    graph = build_graph(network, (1, channels, frames, height, width), spec=spec)
    groups = find_groups(graph)
    highest = torch.zeros(len(groups))
    spread = torch.zeros(len(groups), BINS, dtype=torch.float64)
    steps = _tell(clips, progress, 0)
    for number, values in _walk(graph, groups, steps):
        highest[number] = torch.maximum(highest[number], values.max())
    if not bool(highest.isfinite().all()):
        raise InputError("a value of the network is not finite: it cannot be run in 8 bits.")
    highest.clamp_min_(SMALLEST)
    for number, values in _walk(graph, groups, _tell(clips, progress, len(clips))):
        spread[number] += torch.histc(values, BINS, 0.0, float(highest[number]))
    ends = [float(high) * best_share(counts) for high, counts in zip(highest, spread, strict=True)]
    return Ranges(
        {node.name: end for group, end in zip(groups, ends, strict=True) for node in group}
    )


def best_share(counts: Tensor) -> float:
    """Return where a range should end, as a share of the largest value.

    Args:
        counts: (bins,) how many values lie in each of even bins from 0 to the largest.
    """
    centres = (torch.arange(len(counts), dtype=torch.float64) + 0.5) / len(counts)
    # Zeros, of which a ReLU gives most, are exact in any range.
    counts = counts.clone()
    counts[0] = 0
    losses = []
    for share in SHARES:
        step = share / (LEVELS - 1)
        # Within the range an error is spread evenly over a step; beyond it all is cut off.
        beyond = (centres - share).clamp_min(0)
        errors = torch.where(beyond > 0, beyond.square(), torch.full_like(beyond, step**2 / 12))
        losses.append(float((errors * counts).sum()))
    return SHARES[min(range(len(SHARES)), key=losses.__getitem__)]


def _tell(clips: Sequence[Tensor], progress: Progress | None, before: int) -> Iterator[Tensor]:
    for number, clip in enumerate(clips, 1):
        yield clip
        if progress:
            progress(before + number, 2 * len(clips))


def _walk(
    graph: Graph, groups: Sequence[tuple[Node, ...]], clips: Iterator[Tensor]
) -> Iterator[tuple[int, Tensor]]:
    """Yield the values of each place for each clip, with the number of its group."""
    numbers = {node.name: number for number, group in enumerate(groups) for node in group}
    wanted = [numbers.get(node.name) for node in graph.nodes]
    runner = TorchRunner(graph)
    for clip in clips:
        held: list[Tensor | None] = []
        for number, (step, sources, freed) in zip(wanted, runner.steps, strict=True):
            with torch.inference_mode():
                found = step(*[held[source] for source in sources] or [clip[None]])
            held.append(found)
            if number is not None:  # Before a gate weighs these values where they lie.
                yield number, found
            for source in freed:
                held[source] = None
