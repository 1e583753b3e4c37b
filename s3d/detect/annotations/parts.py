"""Which part of annotations is wanted: train, val, test, or all."""

from __future__ import annotations

from collections import Counter

from s3d.data.datasets.address import Address
from s3d.errors import InputError
from s3d.files import show_path

PARTS = ("train", "val", "test")


class Parts:
    """Choose the videos of a part, and know what there was to choose from.

    Args:
        address: Of the annotations; its key `part` tells what is wanted.
        part: What is wanted where the key does not tell; None is all.

    Raises:
        InputError: There is no such part, or the two differ.
    """

    def __init__(self, address: Address, part: str | None) -> None:
        self.shown = show_path(address.text)
        told = address.options.get("part")
        if told and part and told != part:
            raise InputError(
                f"{self.shown}: part={told}, but part {part!r} is needed here. Leave part= out."
            )
        self.wanted = told or part or "all"
        if self.wanted not in (*PARTS, "all"):
            raise InputError(
                f"{self.shown}: unknown part {self.wanted!r}. Known: {', '.join(PARTS)}, all."
            )
        self.there: Counter[str] = Counter()

    def takes(self, part: str) -> bool:
        """Say whether a video is wanted; one of no part is there to train on."""
        part = part or "train"
        self.there[part] += 1
        return self.wanted in ("all", part)

    def check(self) -> None:
        """Check that there was something to take.

        Raises:
            InputError: There was not.
        """
        if self.there and not any(self.wanted in ("all", part) for part in self.there):
            has = ", ".join(f"{part} ({count:,})" for part, count in self.there.items())
            raise InputError(
                f"{self.shown}: has no videos of part {self.wanted!r}; it has {has}. "
                "Choose another part, or all."
            )
