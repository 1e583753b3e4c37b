"""The one door to annotations of any kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from s3d.data.datasets.address import Address, parse_address
from s3d.data.datasets.table import CLASSES
from s3d.detect.annotations.annotated import Annotated
from s3d.detect.annotations.ava import read_ava
from s3d.detect.annotations.boxes_csv import read_boxes_csv
from s3d.detect.annotations.cvat import read_cvat
from s3d.detect.annotations.jhmdb import read_jhmdb
from s3d.detect.annotations.parts import Parts
from s3d.detect.annotations.read_json import read_json_boxes
from s3d.detect.annotations.relabel import keep_present
from s3d.detect.annotations.ucf101_24 import read_ucf101_24
from s3d.errors import InputError
from s3d.files import show_path

Reader = Callable[[Address, Parts], Annotated]

_NAMED: dict[str, tuple[Reader, tuple[str, ...]]] = {
    "ucf101_24": (read_ucf101_24, ("split", "annotations", "lists", "frames", "classes")),
    "jhmdb": (read_jhmdb, ("split", "boxes", "annotations", "lists", "rate", "classes")),
    "ava": (read_ava, ("boxes", "actions", "starts", "classes")),
}
_ENDINGS: dict[str, Reader] = {".csv": read_boxes_csv, ".json": read_json_boxes, ".xml": read_cvat}
KEYS = {name: keys for name, (_, keys) in _NAMED.items()}
"""The keys that each data set takes, `part` aside."""


def read_annotated(text: str, part: str | None = None) -> Annotated:
    """Read annotated videos.

    Args:
        text: As a person names them: `boxes.csv`, `ucf101_24:DIR?split=1&part=test`, and so on.
        part: "train", "val" or "test" for that part alone, "all" or None for all; the key `part`
            of the text says the same.

    Raises:
        InputError: They cannot be read, or not one of their videos is there. What is wrong with
            some of them alone is left out or mended and told in the result's `problems`.
    """
    address = parse_address(text, KEYS)
    parts = Parts(address, part)
    annotated = _reader_of(address)(address, parts)
    if not annotated.videos:
        raise _nothing(annotated)
    chosen = address.options.get("classes", "all")
    if chosen not in CLASSES:
        raise InputError(
            f"{show_path(text)}: classes is {chosen!r}; it is one of {', '.join(CLASSES)}."
        )
    return keep_present(annotated) if chosen == "present" else annotated


def _reader_of(address: Address) -> Reader:
    if address.name:
        return _NAMED[address.name][0]
    ending = Path(address.place).suffix.lower()
    if ending not in _ENDINGS:
        named = ", ".join(f"{name}:DIR" for name in _NAMED)
        raise InputError(
            f"{show_path(address.text)}: is no annotations of a known kind. "
            f"Name a file ({', '.join(_ENDINGS)}) or {named}."
        )
    return _ENDINGS[ending]


def _nothing(annotated: Annotated) -> InputError:
    told = "; ".join(annotated.problems.lines())
    why = f" ({told})" if told else ""
    return InputError(
        f"{show_path(annotated.text)}: not one annotated video can be used{why}. Check the folder."
    )
