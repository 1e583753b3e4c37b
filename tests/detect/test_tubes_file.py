"""tubes.json: as it is described, each box with its own score, whole or absent."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from s3d.detect.run.people import PeopleSettings
from s3d.detect.run.tubes_file import Reading, TubesFile, describe_track
from s3d.detect.tubes.track import Track
from s3d.errors import InputError

LABELS = ("sit", "run")
TIMES = np.arange(100) / 25


def make_track(count: int = 12) -> Track:
    """Return a track in every 4th frame: half of it sits, half runs."""
    scores = np.full((count, 2), 0.2, np.float32)
    scores[: count // 2, 0], scores[count // 2 :, 1] = 0.8, 0.7
    scores[0, 0] = 0.51239
    boxes = np.arange(4 * count, dtype=np.float32).reshape(-1, 4) + 0.26
    return Track(7, 4 * np.arange(count), boxes, scores)


def reading(multi_label: bool = False, labels: tuple[str, ...] = LABELS) -> Reading:
    return Reading(labels, TIMES, PeopleSettings(), multi_label)


def test_a_track_is_described_as_the_page_says() -> None:
    tube = describe_track(make_track(), 3, reading())
    assert list(tube) == [
        "number", "label", "score", "start_seconds", "end_seconds", "actions", "frames", "boxes",
        "labels", "scores",
    ]  # fmt: skip
    assert (tube["number"], tube["label"]) == (3, "sit")
    assert tube["score"] == round((0.51239 + 5 * 0.8 + 6 * 0.2) / 12, 4)
    assert (tube["start_seconds"], tube["end_seconds"]) == (0.0, 1.76)
    assert tube["frames"] == list(range(0, 48, 4))
    assert tube["boxes"][1] == [4.3, 5.3, 6.3, 7.3]
    assert tube["labels"] == ["sit"] * 6 + ["run"] * 6
    assert tube["scores"] == [0.5124, *[0.8] * 5, *[0.7] * 6]
    first, second = tube["actions"]
    assert first == {
        "label": "sit", "score": round((0.51239 + 4.0) / 6, 4), "start_seconds": 0.0,
        "end_seconds": 0.8,
    }  # fmt: skip
    assert (second["label"], second["start_seconds"], second["end_seconds"]) == ("run", 0.96, 1.76)


def test_where_several_things_may_be_done_each_is_told() -> None:
    track = make_track()
    track.scores[:, 1] = 0.6  # runs all the while
    tube = describe_track(track, 1, reading(multi_label=True))
    assert [(a["label"], a["start_seconds"], a["end_seconds"]) for a in tube["actions"]] == [
        ("sit", 0.0, 1.12), ("run", 0.0, 1.76),
    ]  # fmt: skip
    assert tube["likely"][1] == {"sit": 0.8, "run": 0.6}
    assert list(tube["likely"][0]) == ["run", "sit"]
    assert tube["likely"][11] == {"run": 0.6}
    assert tube["labels"][0] == "run"


def write(path: Path, tubes: int, fail: bool = False, **head: object) -> None:
    with TubesFile(path, head) as file:
        for number in range(tubes):
            file.add(describe_track(make_track(), number, reading()))
            if fail:
                raise InputError("the video ends in the middle")
        file.tail = {"key_frames": 12, "looking_seconds": 0.5}


@pytest.mark.parametrize("tubes", [0, 1, 3])
def test_the_file_is_json_with_head_tubes_and_tail(tmp_path: Path, tubes: int) -> None:
    write(tmp_path / "t.json", tubes, video="v.mp4", labels=["sit", "run"])
    values = json.loads((tmp_path / "t.json").read_text())
    assert list(values) == ["video", "labels", "tubes", "key_frames", "looking_seconds"]
    assert [tube["number"] for tube in values["tubes"]] == list(range(tubes))
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]
    write(tmp_path / "bare.json", 1)
    assert list(json.loads((tmp_path / "bare.json").read_text())) == [
        "tubes", "key_frames", "looking_seconds",
    ]  # fmt: skip


def test_where_the_job_fails_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    with pytest.raises(InputError, match="ends in the middle"):
        write(path, 3, fail=True)
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    with pytest.raises(InputError, match="ends in the middle"):
        write(path, 3, fail=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take only Unicode names")
def test_any_name_and_label_can_be_told(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff") + ' "a"\n\u65e5\u672c'
    path = tmp_path / f"{os.fsdecode(bytes([255]))} \u65e5.json"
    with TubesFile(path, {"video": odd}) as file:
        file.add(describe_track(make_track(), 1, reading(labels=('"x"\n', "\U0001f57a"))))
    values = json.loads(path.read_text(encoding="utf-8"))
    assert values["video"] == odd
    assert values["tubes"][0]["labels"][0] == '"x"\n'


def test_a_place_that_takes_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.json: cannot be written \(No such file or dir"):
        write(tmp_path / "missing" / "t.json", 1)
    (tmp_path / "t.json").mkdir()
    with pytest.raises(InputError, match=r"t\.json: cannot be written \(Is a directory\)"):
        write(tmp_path / "t.json", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let this process write no file beyond 20 kB: more is an error, as on a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("letters", [(40_000,), (10, 40_000), (10, 19_000, 1500)])
def test_a_full_disk_is_said_and_nothing_is_left(
    tmp_path: Path, small_files: None, letters: tuple[int, ...]
) -> None:
    """It fills with the head, with a tube, or as the last of it is written at the end."""

    def fill() -> None:
        head, *tubes = letters
        with TubesFile(tmp_path / "t.json", {"video": "v" * head}) as file:
            for count in tubes:
                file.add({"label": "x" * count})

    with pytest.raises(InputError, match=r"t\.json: cannot be written \(File too large\)\. Free"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_on_a_full_disk_what_went_wrong_before_is_what_is_said(
    tmp_path: Path, small_files: None
) -> None:
    def stop() -> None:
        with TubesFile(tmp_path / "t.json", {"video": "v"}) as file:
            file.add({"label": "x" * 19_000})
            file.add({"label": "x" * 1500})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert list(tmp_path.iterdir()) == []
