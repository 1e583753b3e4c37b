"""The last steps of a stream: frames, or what blocks made of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

TIME = {4: 0, 5: 2}
"""The axis of time: of frames (T, H, W, C), of features (1, C, T, H, W)."""


class Steps:
    """Hold the last steps of a stream, by their number.

    Attributes:
        first: Number of the first that is held.
        stop: Number of the one that comes next.
    """

    def __init__(self, first: int) -> None:
        self.first = self.stop = first
        self._pieces: deque[tuple[int, Tensor]] = deque()

    def add(self, values: Tensor) -> None:
        """Add the steps that follow: frames (T, H, W, C), or features (1, C, T, H, W)."""
        if count := values.shape[TIME[values.ndim]]:
            self._pieces.append((self.stop, values))
            self.stop += count

    def take(self, begin: int, end: int) -> Tensor:
        """Return steps; in the place of those that are not held stands the nearest one that is."""
        # At least one step, the nearest, where not one of them is held.
        low = min(max(begin, self.first), self.stop - 1)
        high = max(min(end, self.stop), low + 1)
        parts = [self._cut(start, piece, low, high) for start, piece in self._pieces]
        held = [part for part in parts if part is not None]
        before, after = held[0], held[-1]
        axis = TIME[before.ndim]
        last = after.shape[axis] - 1
        return join_steps(
            [
                *[before.narrow(axis, 0, 1)] * (low - begin),
                *held,
                *[after.narrow(axis, last, 1)] * (end - high),
            ]
        ).narrow(axis, 0, end - begin)

    def forget(self, before: int) -> None:
        """Let go of the steps before one, as far as they lie in memory of their own."""
        while self._pieces and self._end(*self._pieces[0]) <= before:
            self._pieces.popleft()
        self.first = self._pieces[0][0] if self._pieces else self.stop

    @staticmethod
    def _end(start: int, piece: Tensor) -> int:
        return start + piece.shape[TIME[piece.ndim]]

    def _cut(self, start: int, piece: Tensor, low: int, high: int) -> Tensor | None:
        begin, end = max(low, start), min(high, self._end(start, piece))
        return piece.narrow(TIME[piece.ndim], begin - start, end - begin) if end > begin else None


def join_steps(parts: Sequence[Tensor]) -> Tensor:
    """Return parts behind each other in time; features keep their channels last in memory."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].ndim == 4:
        return torch.cat(list(parts))
    return torch.cat([part.movedim(1, 4) for part in parts], 1).movedim(4, 1)
