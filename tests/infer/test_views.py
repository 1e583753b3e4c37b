"""Each protocol scores the clips it promises, however short or long the video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from s3d.clip import ClipSpec
from s3d.data import frame_source as source_module
from s3d.data.decode import VideoInfo, iterate_frames, read_frames
from s3d.errors import InputError
from s3d.infer import views as views_module
from s3d.infer.views import (
    PROTOCOLS,
    Views,
    check_protocol,
    longest_piece,
    read_views,
    split_evenly,
)
from tests.conftest import WriteVideo

SPEC = ClipSpec(8, 10.0, (36, 36), (32, 32))
FRAMES = 40
RATE = 10


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return 40 frames at 10 fps whose grey tells the index, with a bright left border."""
    return write_numbered(write_video, tmp_path_factory.mktemp("video") / "v.mp4", FRAMES)


def write_numbered(write_video: WriteVideo, path: Path, count: int) -> Path:
    frames = np.empty((count, 48, 72, 3), np.uint8)
    frames[:] = (20 + 5 * np.arange(count))[:, None, None, None]
    frames[:, :, :8] = 255
    return write_video(path, frames, RATE, options={"crf": "1"})


def numbers(piece: npt.NDArray[np.uint8]) -> list[list[int]]:
    """Return the index of each frame of each view, read off its grey."""
    grey = piece[:, :, 16, 24].astype(float).mean(-1)
    return [[round((value - 20) / 5) for value in view] for view in grey.tolist()]


def pieces_of(views: Views) -> list[npt.NDArray[np.uint8]]:
    return list(views.pieces)


def test_clip_is_the_middle(video: Path) -> None:
    views = read_views(video, SPEC, "clip")
    (piece,) = pieces_of(views)
    assert numbers(piece) == [list(range(16, 24))]
    assert (views.count, views.lengths, views.average_logits) == (1, (8,), False)
    assert piece.shape == (1, 8, 32, 32, 3)


def test_cover_spreads_clips_over_the_whole_video(video: Path) -> None:
    views = read_views(video, SPEC, "cover")
    (piece,) = pieces_of(views)
    assert numbers(piece) == [list(range(n, n + 8)) for n in (0, 8, 16, 24, 32)]
    assert views.lengths == (8,) * 5


def test_cover_takes_at_most_ten_clips_from_first_to_last(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    spec = ClipSpec(2, 10.0, (36, 36), (32, 32))
    path = write_numbered(write_video, tmp_path / "long.mp4", 40)
    (piece,) = pieces_of(read_views(path, spec, "cover"))
    found = numbers(piece)
    assert len(found) == 10
    assert (found[0], found[-1]) == ([0, 1], [38, 39])


def test_10x3_takes_three_crops_of_ten_clips(video: Path) -> None:
    spec = ClipSpec(8, 10.0, (36, 36), (32, 32), "keep")
    views = read_views(video, spec, "10x3")
    (piece,) = pieces_of(views)
    assert views.count == 30
    starts = [view[0] for view in numbers(piece)]
    assert starts == sorted(starts)
    assert [starts.count(n) for n in (starts[0], starts[-1])] == [3, 3]
    assert (starts[0], starts[-1]) == (0, 32)
    # the bright border of 8 of 72 px is seen by the left of the three crops alone
    bright = piece[:, 0, 16, 2].mean(-1) > 200
    assert bright.tolist() == [True, False, False] * 10


def test_all_frames_gives_every_frame_once(video: Path) -> None:
    views = read_views(video, SPEC, "all-frames")
    (piece,) = pieces_of(views)
    assert numbers(piece) == [list(range(40))]
    assert (views.lengths, views.average_logits) == ((40,), True)


def test_a_long_video_comes_in_pieces_decoded_once(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_module, "PIECE_PIXELS", 11 * 32 * 32)
    opened: list[object] = []

    def iterate(*arguments: object) -> object:
        opened.append(arguments)
        return iterate_frames(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(source_module, "iterate_frames", iterate)
    monkeypatch.setattr(source_module, "read_frames", None)
    views = read_views(video, ClipSpec(8, 9.0, (36, 36), (32, 32)), "all-frames")
    assert views.lengths == (9, 9, 9, 9)
    assert not opened  # nothing is read before it is taken
    found = [numbers(piece)[0] for piece in views.pieces]
    assert len(opened) == 1
    assert [len(view) for view in found] == [9, 9, 9, 9]
    assert [n for view in found for n in view] == [round(k / 9 * 10) for k in range(36)]


def test_pieces_of_a_reversed_video_are_those_of_the_video_turned_round(
    video: Path, tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_module, "PIECE_PIXELS", 14 * 32 * 32)
    views = read_views(video, SPEC, "all-frames", reverse=True)
    assert views.lengths == (14, 13, 13)
    found = [numbers(piece)[0] for piece in views.pieces]
    turned = list(range(39, -1, -1))
    assert found == [turned[:14], turned[14:27], turned[27:]]


def test_a_file_that_ends_early_still_gives_every_piece(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_module, "PIECE_PIXELS", 10 * 32 * 32)
    monkeypatch.setattr(
        source_module,
        "iterate_frames",
        lambda *a: (f for f, _ in zip(iterate_frames(*a), range(25), strict=False)),
    )
    promised = np.arange(50) / RATE
    info = VideoInfo(str(video), 48, 72, 50, 10.0, 5.0, promised)  # 40 are there
    monkeypatch.setattr(source_module, "probe_video", lambda path: info)
    views = read_views(video, SPEC, "all-frames")
    found = [n for piece in views.pieces for n in numbers(piece)[0]]
    assert found[:25] == list(range(25))
    assert found[40:] == list(range(10))  # what is missing is taken from the beginning
    assert len(found) == 50


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_reverse_plays_the_same_frames_backwards(video: Path, protocol: str) -> None:
    forwards = pieces_of(read_views(video, SPEC, protocol))
    backwards = pieces_of(read_views(video, SPEC, protocol, reverse=True))
    for one, other in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(one[:, ::-1], other)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("count", [1, 3])
def test_short_videos_loop(
    tmp_path: Path, write_video: WriteVideo, protocol: str, count: int
) -> None:
    path = write_numbered(write_video, tmp_path / "short.mp4", count)
    for piece in read_views(path, SPEC, protocol).pieces:
        for view in numbers(piece):
            assert view == [n % count for n in range(8)]


def test_another_rate_skips_frames(video: Path) -> None:
    (piece,) = pieces_of(read_views(video, ClipSpec(4, 5.0, (36, 36), (32, 32)), "clip"))
    assert numbers(piece) == [[16, 18, 20, 22]]


def test_crops_are_of_the_resized_frames(video: Path) -> None:
    (piece,) = pieces_of(read_views(video, SPEC, "clip"))
    wanted = read_frames(video, np.arange(16, 24), (36, 36))[:, 2:34, 2:34]
    np.testing.assert_array_equal(piece[0], wanted)


def test_unknown_protocols_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"unknown protocol 'all'\. Known: cover, clip, 10x3, all-f"
    ):
        check_protocol("all")


def test_pieces_are_even_and_never_shorter_than_a_clip_allows() -> None:
    assert split_evenly(10, 4) == [4, 3, 3]
    assert split_evenly(8, 8) == [8]
    assert split_evenly(1, 300) == [1]
    assert longest_piece(ClipSpec()) == 300
    assert longest_piece(ClipSpec(400)) == 400
