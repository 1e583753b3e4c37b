"""Pieces on the grid of the clip's rate hold the frames that a clip would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data.decode import read_frames
from s3d.data.frame_source import open_source
from s3d.data.sample import clip_indices
from s3d.data.ticks import Piece, TickWish, count_ticks, glance_size, read_pieces, tick_indices
from s3d.data.transform import centre_crop
from s3d.data.video_info import EndsEarlyError
from tests.conftest import WriteVideo
from tests.data.test_seek import moving

VFR = [0.0, 0.04, 0.2, 0.24, 0.5, 0.52, 0.56, 1.0, 1.04, 1.3, 1.6, 1.64, 1.9, 2.0]


def spec_of(rate: float, **options: Any) -> ClipSpec:
    return ClipSpec(4, rate, (32, 36), (28, 30), **options)


@pytest.fixture(params=["plain", "vfr", "short"])
def video(request: pytest.FixtureRequest, tmp_path: Path, write_video: WriteVideo) -> Path:
    times = VFR if request.param == "vfr" else None
    count = {"plain": 60, "vfr": len(VFR), "short": 2}[request.param]
    return write_video(tmp_path / "v.mp4", moving(count), 25, times_seconds=times)


def pieces_of(source: Any, spec: ClipSpec, *pieces: tuple[int, int], **options: Any) -> list[Piece]:
    count = count_ticks(source.info, spec)
    wish = TickWish(np.ones(count, np.bool_), pieces, **options)
    return list(read_pieces(source, spec, wish))


@pytest.mark.parametrize("rate", [10.0, 25.0, 60.0])
def test_ticks_are_the_frames_of_clips(video: Path, rate: float) -> None:
    spec = spec_of(rate)
    source = open_source(video, spec)
    count = count_ticks(source.info, spec)
    assert count == max(1, int(source.info.duration_seconds * rate + 1e-3))
    for first in range(0, count - 4, 3):
        clip = clip_indices(source.info, spec, first / rate)
        np.testing.assert_array_equal(tick_indices(source.info, spec)[first : first + 4], clip)
    middle = count // 2
    found = pieces_of(source, spec, (0, middle), (middle, count))
    frames = np.concatenate([piece.frames for piece in found])
    whole = read_frames(source.info, tick_indices(source.info, spec), (32, 36))
    np.testing.assert_array_equal(frames, centre_crop(whole, (28, 30)))
    assert [piece.first for piece in found] == [0, middle]
    # From the middle on alone:
    (later,) = pieces_of(source, spec, (middle, count))
    np.testing.assert_array_equal(later.frames, found[1].frames)


def test_ticks_that_nobody_looks_at_are_not_converted(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3d.data.decode import Converter

    spec = spec_of(25.0)
    source = open_source(write_video(tmp_path / "v.mp4", moving(40), 25), spec)
    (whole,) = pieces_of(source, spec, (0, 40))
    calls, plain = [0], Converter.__call__

    def count(self: Converter, frame: Any) -> Any:
        calls[0] += 1
        return plain(self, frame)

    monkeypatch.setattr(Converter, "__call__", count)
    is_looked_at = np.arange(40) % 2 == 0
    wish = TickWish(is_looked_at, [(0, 10), (10, 40)])
    frames = np.concatenate([piece.frames for piece in read_pieces(source, spec, wish)])
    np.testing.assert_array_equal(frames[::2], whole.frames[::2])
    assert not frames[1::2].any()
    assert calls == [20]
    pieces_of(source, spec, (30, 40))  # Nor are those that come before.
    assert calls == [30]


def test_a_piece_whose_end_is_not_there_is_not_given(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    spec = spec_of(25.0)
    source = open_source(write_video(tmp_path / "v.mp4", moving(41), 25), spec)
    times = np.arange(50) / 25.0
    source.info = replace(
        source.info, frames=50, times_seconds=times, duration_seconds=2.0, seek=None
    )
    is_looked_at = np.arange(50) % 2 == 0
    pieces = read_pieces(source, spec, TickWish(is_looked_at, [(30, 40), (40, 42), (42, 50)]))
    assert next(pieces).first == 30  # 40 is there, so 39 is.
    with pytest.raises(EndsEarlyError, match="41 frames decode"):
        next(pieces)  # 40 is there, 41 is not, and nobody looks at it.


def test_pieces_with_gaps_between_them(tmp_path: Path, write_video: WriteVideo) -> None:
    spec = spec_of(25.0)
    source = open_source(write_video(tmp_path / "v.mp4", moving(60), 25), spec)
    (whole,) = pieces_of(source, spec, (0, 60))
    found = pieces_of(source, spec, (3, 9), (30, 31), (58, 60), glances=(4, 30))
    for piece in found:
        stop = piece.first + len(piece.frames)
        np.testing.assert_array_equal(piece.frames, whole.frames[piece.first : stop])
    assert [[tick for tick, _ in piece.glances] for piece in found] == [[4], [30], []]
    assert found[0].glances[0][1].shape == (90, 150, 3)


def test_a_small_picture_keeps_the_shape_of_the_video(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    info = open_source(write_video(tmp_path / "v.mp4", moving(4), 25), spec_of(25.0)).info
    assert glance_size(info) == (90, 150)
    wide = write_video(tmp_path / "w.mp4", np.zeros((4, 16, 640, 3), np.uint8), 25)
    assert glance_size(open_source(wide, spec_of(25.0)).info) == (6, 240)
