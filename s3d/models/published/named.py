"""Load published weights by name: fetch, verify, convert."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from s3d.errors import InputError
from s3d.models.download import fetch_file
from s3d.models.model_file import ModelFile
from s3d.models.published.convert import convert
from s3d.models.published.weights import Weights, find_weights

IMAGES = "googlenet"
"""The publisher of weights of images, which make no video network by themselves."""


def load_named(name: str) -> ModelFile:
    """Return published weights as a model.

    Their files are downloaded where they are not there yet; see `s3d.models.download` for where
    they lie and how to do without a network.

    Args:
        name: One of `s3d.models.published.weights.WEIGHTS`.

    Raises:
        InputError: There are none of this name, they cannot be had, or they are of images.
    """
    weights = find_weights(name)
    if weights.source == IMAGES:
        raise InputError(
            f"{name} is of images and scores no video. Start a network from it with "
            f"`s3d train --init {name}` or s3d.build(inflate={name!r})."
        )
    fetch_all(weights)
    return convert(fetch_file(weights.files[0]), weights.source).model


def fetch_all(weights: Weights) -> None:
    """Bring all files of weights, with a bar for each on a terminal."""
    for remote in weights.files:
        bar = _Bar(remote.file)
        try:
            fetch_file(remote, bar.tell)
        finally:
            bar.close()


class _Bar:
    """A bar of bytes, from the first that are told of; on a terminal alone."""

    def __init__(self, name: str) -> None:
        self.name, self._bar = name, None

    def tell(self, done: int, total: int) -> None:
        """Show how many bytes of how many there are."""
        if not sys.stderr.isatty():
            return
        from tqdm import tqdm

        # A bar without a total has no truth value.
        if self._bar is None:
            self._bar = tqdm(
                desc=self.name, unit="B", unit_scale=True, leave=False, dynamic_ncols=True
            )
        bar = self._bar
        bar.total = total or None
        bar.update(done - bar.n)

    def close(self) -> None:
        """Take the bar away."""
        close: Callable[[], None] | None = getattr(self._bar, "close", None)
        if close:
            close()
