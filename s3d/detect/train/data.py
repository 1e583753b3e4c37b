"""Which of the annotated videos are learnt from, and which are scored."""

from __future__ import annotations

from dataclasses import replace

from s3d.detect.annotations.annotated import Annotated
from s3d.detect.annotations.read import read_annotated


def read_part(text: str, part: str | None, wanted: str = "train") -> Annotated:
    """Return the videos of a part of some annotations.

    Args:
        text: As a person named them.
        part: The part; None is `wanted` where videos are marked so, or all where none is marked.
        wanted: What None means.

    Raises:
        InputError: They cannot be read, or have no such part.
    """
    data = read_annotated(text, part)
    parts = {video.part for video in data.videos}
    if part is not None or wanted not in parts:
        return data
    chosen = tuple(video for video in data.videos if video.part == wanted)
    return replace(data, videos=chosen)
