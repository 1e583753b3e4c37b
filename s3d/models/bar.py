"""A bar of bytes on a terminal."""

from __future__ import annotations

import sys
from typing import Any


class Bar:
    """A bar of bytes, from the first that are told of; on a terminal alone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._bar: Any = None

    def tell(self, done: int, total: int) -> None:
        """Show how many bytes of how many there are."""
        if not sys.stderr.isatty():
            return
        from tqdm import tqdm

        if self._bar is None:  # asked for its truth, a bar without a total raises
            self._bar = tqdm(
                total=total or None,
                desc=self.name,
                unit="B",
                unit_scale=True,
                leave=False,
                dynamic_ncols=True,
            )
        self._bar.total = total or None
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
