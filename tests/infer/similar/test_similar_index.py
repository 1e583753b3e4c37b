"""What is kept is what was given, whatever happened to the file since."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s3d.errors import InputError
from s3d.infer.similar.index import Index, Windows, name_video

SETTINGS = {"at": "mixed5c", "weights": "a"}
A, B, C = (("/videos/" + letter, 5, 6) for letter in "abc")


def windows(seed: int, count: int = 3) -> Windows:
    rng = np.random.default_rng(seed)
    starts = np.arange(count) / 2
    return Windows(starts, starts + 1, rng.normal(size=(count, 7)).astype(np.float32))


def check(found: Windows | None, wanted: Windows) -> None:
    assert found is not None
    np.testing.assert_array_equal(found.features, wanted.features)
    np.testing.assert_array_equal(found.start_seconds, wanted.start_seconds)
    np.testing.assert_array_equal(found.end_seconds, wanted.end_seconds)
    assert found.features.dtype == np.float32


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return a folder that keeps A and B, written by one process."""
    with Index(tmp_path, SETTINGS) as index:
        index.add(A, windows(0))
        index.add(B, windows(1, 1))
    return tmp_path


def the_part(folder: Path) -> Path:
    (part,) = folder.glob("*/part-*.db")
    return part


def test_windows_are_found_again(kept: Path) -> None:
    with Index(kept, SETTINGS) as index:
        check(index.find(A), windows(0))
        check(index.find(B), windows(1, 1))
        assert index.find(C) is None
    assert the_part(kept)  # looking adds nothing


def test_a_video_that_changed_or_other_settings_are_not_known(kept: Path) -> None:
    with Index(kept, SETTINGS) as index:
        assert index.find((A[0], 6, 6)) is None
        assert index.find((A[0], 5, 7)) is None
    for settings in ({**SETTINGS, "at": "mixed4f"}, {**SETTINGS, "weights": "b"}):
        with Index(kept, settings) as index:
            assert index.find(A) is None


def test_two_at_a_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    with Index(tmp_path, SETTINGS) as one, Index(tmp_path, SETTINGS) as other:
        one.add(A, windows(0))
        other.add(B, windows(1))
        one.add(C, windows(2))
    with Index(tmp_path, SETTINGS) as index:
        for name, seed in ((A, 0), (B, 1), (C, 2)):
            check(index.find(name), windows(seed))


def test_a_name_that_is_no_text_and_the_last_record_counts(tmp_path: Path) -> None:
    name = (os.fsdecode(b"/videos/\xff\n.mp4"), 1, 2)
    for seed in (0, 1):
        with Index(tmp_path, SETTINGS) as index:
            index.add(name, windows(seed))
    with Index(tmp_path, SETTINGS) as index:
        check(index.find(name), windows(1))


def test_what_a_killed_process_left_is_passed_over_at_any_byte(kept: Path) -> None:
    part = the_part(kept)
    whole = part.read_bytes()
    first = whole.index(b"S3Dw", 1)
    for size in range(0, len(whole), 7):
        part.write_bytes(whole[:size])
        with Index(kept, SETTINGS) as index:
            assert (index.find(A) is not None) == (size >= first)
            assert index.find(B) is None
    with Index(kept, SETTINGS) as index:
        index.add(B, windows(1, 1))
    with Index(kept, SETTINGS) as index:
        check(index.find(B), windows(1, 1))


def swap(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [swap(0), swap(5), swap(12), swap(17), swap(30), swap(150), lambda data: b"text" * 99],
    ids=["magic", "head", "body", "check", "name", "values", "foreign"],
)
def test_a_damaged_part_is_no_knowledge(kept: Path, spoil: Callable[[bytes], bytes]) -> None:
    part = the_part(kept)
    part.write_bytes(spoil(part.read_bytes()))
    with Index(kept, SETTINGS) as index:
        assert index.find(A) is None


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"file/.*: the folder cannot be made"):
        Index(tmp_path / "file", SETTINGS)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(tmp_path, SETTINGS)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Index, "_open_part", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        index.add(A, windows(0))


def test_the_name_of_a_video_is_its_place_and_state(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"12345")
    os.utime(video, ns=(1, 2_000))
    assert name_video(str(video)) == (str(video), 5, 2_000)
    assert name_video(os.path.relpath(video)) == (str(video), 5, 2_000)
    assert name_video(str(tmp_path / "none.mp4")) == (str(tmp_path / "none.mp4"), 0, 0)
    (tmp_path / "pictures").mkdir()
    _, _, changed = name_video(str(tmp_path / "pictures") + "?rate=5")
    assert changed == (tmp_path / "pictures").stat().st_mtime_ns
    (tmp_path / "x.tar").write_bytes(b"123")
    assert name_video(str(tmp_path / "x.tar") + "#1/a.mp4")[1] == 3
