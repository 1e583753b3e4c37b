"""JSON annotations, whose kind is told by their keys."""

from __future__ import annotations

from pathlib import Path

from s3d.data.datasets.address import Address
from s3d.detect.annotations.annotated import Annotated
from s3d.detect.annotations.coco import is_coco, read_coco
from s3d.detect.annotations.label_studio import is_label_studio, read_label_studio
from s3d.detect.annotations.parts import Parts
from s3d.detect.annotations.text_file import read_json
from s3d.errors import InputError
from s3d.files import show_path


def read_json_boxes(address: Address, parts: Parts) -> Annotated:
    """Read COCO's or Label Studio's JSON.

    Args:
        address: The file.
        parts: Which part is wanted.

    Raises:
        InputError: It is neither.
    """
    content = read_json(Path(address.place))
    if is_coco(content):
        return read_coco(address, content, parts)
    if is_label_studio(content):
        return read_label_studio(address, content, parts)
    raise InputError(
        f"{show_path(address.place)}: is neither COCO's JSON (images, annotations, categories) nor "
        "Label Studio's (tasks with data and annotations). Export it as one of them."
    )
