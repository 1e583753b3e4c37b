"""A contact sheet: some annotated frames in one picture, for a quick look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from s3d.detect.draw.plates import Picture, render_plate
from s3d.errors import InputError
from s3d.files import show_path, write_atomically

CELL_PX = 420
"""Widest that a frame is on a sheet."""
GAP_PX = 8
CAPTION_PX = 13
GROUND = (245, 246, 248)


def write_sheet(
    path: Path, frames: Sequence[Picture], captions: Sequence[str], columns: int = 3
) -> None:
    """Write frames side by side as a PNG file, whole or not at all.

    Args:
        path: Ends in .png.
        frames: (H, W, 3) uint8 RGB each, of one size; at least one.
        captions: What stands below each.
        columns: Frames in a row, where there are as many.

    Raises:
        InputError: The path ends in something else, there are no frames, or it cannot be written.
    """
    from PIL import Image

    if path.suffix.lower() != ".png":
        raise InputError(f"{show_path(path)}: a sheet is written as .png. End the name in it.")
    if not len(frames):
        raise InputError(f"{show_path(path)}: there are no frames to show. Choose some.")
    columns = min(columns, len(frames))
    height, width = frames[0].shape[:2]
    scale = min(1.0, CELL_PX / width)
    cell = max(1, round(width * scale)), max(1, round(height * scale))
    step = cell[0] + GAP_PX, cell[1] + 2 * CAPTION_PX
    rows = math.ceil(len(frames) / columns)
    sheet = Image.new("RGB", (columns * step[0] + GAP_PX, rows * step[1] + GAP_PX), GROUND)
    for place, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
        x, y = GAP_PX + place % columns * step[0], GAP_PX + place // columns * step[1]
        sheet.paste(Image.fromarray(frame).resize(cell, Image.Resampling.LANCZOS), (x, y))
        below = render_plate((caption,), GROUND, CAPTION_PX, cell[0])
        sheet.paste(Image.fromarray(below), (x, y + cell[1]))
    write_atomically(path, lambda beside: sheet.save(beside, "PNG"))
