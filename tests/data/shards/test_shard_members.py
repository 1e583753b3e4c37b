"""A video in a tar is named, listed and read like a file, whoever made the tar."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data.decode import probe_video, read_frames
from s3d.data.examine import examine
from s3d.data.quarantine import leave_out, write_quarantine
from s3d.data.shards import members as shards
from s3d.data.shards.index import index_tar
from s3d.data.shards.members import content_size, find_member, read_content, split_member
from s3d.data.sources import content_keys
from s3d.data.store import FrameStore
from s3d.data.videos import list_videos
from s3d.errors import InputError
from tests.data.packing import pack, write_list, write_tar
from tests.data.range_server import serve

WriteVideo = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(shards, "_KNOWN", shards._Known())
    return tmp_path / "home"


@pytest.fixture
def videos(colours: Path) -> list[bytes]:
    """Return four different videos."""
    return [
        (colours / label / f"{n}.mp4").read_bytes() for label in ("red", "blue") for n in (0, 1)
    ]


@pytest.fixture
def ours(colours: Path, tmp_path: Path) -> Path:
    """Return a folder of four of our shards."""
    pack(colours, tmp_path / "ours")
    return tmp_path / "ours"


def refusal(source: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        list_videos(source)
    assert str(caught.value).isprintable()
    return str(caught.value)


def facts(source: str) -> list[tuple[str, str]]:
    return [(v.path.partition("#")[2], v.label) for v in list_videos(source, 1).videos]


def test_a_path_is_parted_only_where_it_names_a_tar(tmp_path: Path) -> None:
    for name in ("x.tar#y.tar", "plain.tar#a.mp4"):
        (tmp_path / name).write_bytes(b"x")
    odd = f"{tmp_path}/x.tar#y.tar#a/b.mp4"
    assert split_member(odd) == (f"{tmp_path}/x.tar#y.tar", "a/b.mp4")
    assert split_member(f"{tmp_path}/plain.tar#a.mp4") is None
    assert split_member("x.tar#a.tar#b") == ("x.tar", "a.tar#b")
    assert split_member("http://h/x.tar#a") == ("http://h/x.tar", "a")
    assert split_member("x.tar") is None


def test_everything_that_asks_a_file_can_ask_a_video_in_a_tar(ours: Path, colours: Path) -> None:
    video = next(v for v in list_videos(f"shards:{ours}").videos if v.label == "red")
    original = colours / "red" / "0.mp4"
    assert content_size(video.path) == original.stat().st_size
    assert b"".join(read_content(video.path)) == original.read_bytes()
    twin = list_videos(colours).videos[8]
    assert twin.path == str(original)
    left, right = content_keys([video, twin])
    assert left is not None and left == right


def test_kept_frames_are_taken_up_until_the_tar_changes(ours: Path, tmp_path: Path) -> None:
    paths = [video.path for video in list_videos(f"shards:{ours}").videos]

    def count_decoded() -> int:
        told: list[int] = []
        store = FrameStore(
            [probe_video(path) for path in paths], ClipSpec(4, 8.0, (36, 36), (32, 32))
        )
        store.keep(tmp_path / "cache", 2, lambda done, total: told.append(done))
        return len(told)

    assert [count_decoded(), count_decoded()] == [16, 0]
    os.utime(ours / "000000.tar", ns=(1, 1))
    assert count_decoded() == 16


def test_a_quarantine_list_names_videos_in_tars(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = list_videos("shards:ours").videos[3].path
    write_quarantine(tmp_path / "q.csv", [(bad, "broken")])
    monkeypatch.chdir(tmp_path.parent)
    kept = leave_out(list_videos(f"shards:{ours}"), tmp_path / "q.csv")
    assert len(kept.videos) == 15 and kept.skipped[0][1] == "quarantined: broken"


def test_a_csv_may_name_videos_in_tars(ours: Path, tmp_path: Path) -> None:
    paths = [v.path for v in list_videos(f"shards:{ours}").videos]
    rows = [(os.path.relpath(paths[0], tmp_path), "a", "", ""), (paths[1], "b", "", "")]
    gone = (f"{ours}/9.tar#a.mp4", "b", "", "")
    listed = list_videos(write_list(tmp_path / "list.csv", [*rows, gone]))
    assert [v.path for v in listed.videos] == [paths[0], paths[1]]
    assert [v.path for v in listed.missing] == [gone[0]]


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("{000000..000003}.tar", 16),
        ("{0..3}.tar", 0),
        ("00000{0,2}.tar", 10),
        ("000001.tar", 5),
        ("{000000..000004}.tar", -1),
    ],
)
def test_patterns_name_tars(ours: Path, pattern: str, count: int) -> None:
    if count > 0:
        listed = list_videos(f"shards:{ours}/{pattern}", 1)
        assert (len(listed.videos), listed.labels) == (count, ("blue", "red"))
    else:
        said = "4 of 4 shards are not" if count == 0 else "1 of 5 shards are not there"
        assert said in refusal(f"shards:{ours}/{pattern}")


@pytest.mark.parametrize(
    ("files", "label"),
    [
        ({"wave/1.json": b'{"label": "a", "class": "b"}', "wave/1.cls": b"7"}, "a"),
        ({"wave/1.json": b'{"label": null, "class": "b"}', "wave/1.cls": b"7"}, "b"),
        ({"wave/1.json": b'{"label": 3}'}, "3"),
        ({"wave/1.json": b'{"label": ["x"]}', "wave/1.cls": b" 7\n"}, "7"),
        ({"wave/1.cls": b"running"}, "running"),
        ({"wave/1.json": b"[1]"}, "wave"),
        ({"wave/1.json": b"{"}, "wave"),
        ({"wave/1.JSON": b'{"label": "two\\nlines"}'}, "two lines"),
        ({}, "wave"),
    ],
)
def test_somebody_elses_labels(
    tmp_path: Path, videos: list[bytes], files: dict[str, bytes], label: str
) -> None:
    write_tar(tmp_path / "x.tar", {"wave/1.rgb.mp4": videos[0], "wave/1.jpg": b"x", **files})
    assert facts(f"shards:{tmp_path}") == [("wave/1.rgb.mp4", label)]


def test_somebody_elses_shards_need_no_index(tmp_path: Path, videos: list[bytes]) -> None:
    known = {"label": "b", "group": "g", "split": "test"}
    write_tar(tmp_path / "9.tar", {"1.mp4": videos[0], "1.json": json.dumps(known).encode()})
    write_tar(tmp_path / "10.tar", {"2.mp4": videos[1], "2.cls": b"a", "3.mp4": videos[2]})
    (tmp_path / "index.json").write_text('{"wids_version": 1, "shardlist": []}')
    listed = list_videos(f"shards:{tmp_path}")
    assert [(v.label, v.group, v.split) for v in listed.videos] == [
        ("b", "g", "test"), ("a", None, None),
    ]  # fmt: skip
    assert listed.labels == ("a", "b")
    assert [path for path, _ in listed.skipped] == [f"{tmp_path}/10.tar#3.mp4"]
    assert listed.skipped[0][1].startswith("has no label: neither KEY.json nor KEY.cls")
    frames = read_frames(listed.videos[1].path, [0, 7])
    (tmp_path / "v.mp4").write_bytes(videos[1])
    np.testing.assert_array_equal(frames, read_frames(tmp_path / "v.mp4", [0, 7]))


def test_a_walk_is_remembered_until_the_tar_changes(
    tmp_path: Path, home: Path, videos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[str] = []

    def count(source: Any, name: str, version: str) -> Any:
        walked.append(name)
        return index_tar(source, name, version)

    monkeypatch.setattr(shards, "index_tar", count)
    tar = write_tar(tmp_path / "odd name (1).tar", {"a/1.mp4": videos[0]})
    for times in (1, 1):
        monkeypatch.setattr(shards, "_KNOWN", shards._Known())
        assert facts(f"shards:{tar}") == [("a/1.mp4", "a")]
        assert len(walked) == times
    (kept,) = (home / "shards").iterdir()
    kept.write_text('{"name": "walked.tar", "bytes": 1}')
    monkeypatch.setattr(shards, "_KNOWN", shards._Known())
    assert facts(f"shards:{tar}") == [("a/1.mp4", "a")] and len(walked) == 2
    write_tar(tmp_path / tar.name, {"b/1.mp4": videos[0]})
    os.utime(tar, ns=(5, 5))
    assert facts(f"shards:{tar}") == [("b/1.mp4", "b")] and len(walked) == 3


def test_one_broken_tar_costs_its_videos_alone(tmp_path: Path, videos: list[bytes]) -> None:
    for name in ("1.tar", "2.tar"):
        write_tar(tmp_path / name, {f"{n}/1.mp4": videos[n] for n in range(3)})
    os.truncate(tmp_path / "1.tar", 5000)
    listed = list_videos(f"shards:{tmp_path}")
    assert len(listed.videos) == 3
    assert [path for path, _ in listed.left_out] == [f"{tmp_path}/1.tar"]
    assert "is cut off" in listed.skipped[0][1]
    (tmp_path / "2.tar").unlink()
    assert "is cut off" in refusal(f"shards:{tmp_path}")


def test_shards_and_index_of_different_times_are_told(ours: Path) -> None:
    path = next(v.path for v in list_videos(f"shards:{ours}").videos if "000001.tar" in v.path)
    size = (ours / "000001.tar").stat().st_size
    shutil.copy(ours / "000000.tar", ours / "000001.tar")
    os.truncate(ours / "000001.tar", size)
    with pytest.raises(InputError, match=r"is not where the index of its shard says"):
        probe_video(path)
    os.truncate(ours / "000001.tar", size - 512)
    with pytest.raises(InputError, match=rf"has {size - 512} bytes, its index\.json says {size}"):
        probe_video(path)
    (ours / "000001.tar").unlink()
    with pytest.raises(InputError, match=r"000001\.tar: no such file"):
        probe_video(path)


def test_odd_names_of_folders_and_hidden_tars(tmp_path: Path, videos: list[bytes]) -> None:
    folder = tmp_path / "o,dd ,,:x #1 end,5"
    folder.mkdir()
    write_tar(folder / "x.tar", {"a/1.mp4": b"#" * 700, "a/2.mp4": videos[0]})
    (folder / "._x.tar").write_bytes(b"what some systems leave")
    (video,) = (v for v in list_videos(f"shards:{folder}", 1).videos if "2.mp4" in v.path)
    assert probe_video(video.path).frames == 8
    assert not list_videos(f"shards:{folder}", 1).skipped
    with pytest.raises(InputError, match=r"no such file|is not a path"):
        probe_video("x\0.tar#a.mp4")


def test_a_name_that_is_not_there(ours: Path) -> None:
    with pytest.raises(InputError, match=r"the tar holds no such video\. Check the name"):
        find_member(f"{ours}/000000.tar#../../etc/passwd")


def test_an_empty_video_is_said_to_be_empty(tmp_path: Path, videos: list[bytes]) -> None:
    write_tar(tmp_path / "x.tar", {"a/1.mp4": b"", "a/2.mp4": videos[0]})
    with pytest.raises(InputError, match=r"1\.mp4: is empty \(0 bytes\)"):
        probe_video(f"{tmp_path}/x.tar#a/1.mp4")
    assert examine(f"{tmp_path}/x.tar#a/1.mp4").oddities[0][0] == "empty"


@pytest.mark.parametrize("is_web", [False, True])
def test_a_play_list_in_a_tar_opens_no_other_file(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch, is_web: bool
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    write_video(tmp_path / "other.ts", np.zeros((9, 64, 64, 3), np.uint8), codec="mpeg4")
    start = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n"
    listing = f"{start}{tmp_path}/other.ts\n#EXT-X-ENDLIST\n".encode()
    concat = b"ffconcat version 1.0\nfile other.ts\n"
    write_tar(tmp_path / "x.tar", {"a/1.m3u8": listing, "a/2.mp4": listing, "a/3.mp4": concat})
    with serve(tmp_path) as server:
        for name in ("a/1.m3u8", "a/2.mp4", "a/3.mp4"):
            with pytest.raises(InputError, match="is not a video that can be read"):
                probe_video(f"{server.url if is_web else tmp_path}/x.tar#{name}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda i: i.update(version=2), "its version is 2, not 1"),
        (lambda i: i.update(labels="red"), "'labels' is no list"),
        (lambda i: i.update(labels=["red"]), "the label 'blue' is not among its labels"),
        (lambda i: i.update(labels=["red", "blue", "red"]), "a label is there twice"),
        (lambda i: i.update(labels=["red", "blue", "x" * 301]), "not a text of 1 to 300 letters"),
        (lambda i: i.update(scored="all"), "scored is 'all'; it is one of train, val, test"),
        (lambda i: i.update(missing=[3]), "something that should have 'path' has no fields"),
        (lambda i: i.update(left_out=[["a"]]), "'left_out' holds no pairs"),
        (lambda i: i["shards"].append(i["shards"][0]), "a shard is there twice"),
        (lambda i: i["shards"][0].update(name="../x.tar"), "'../x.tar' is not the name of a .tar"),
        (lambda i: i["shards"][0].update(name="/x.tar"), "is not the name of a .tar"),
        (lambda i: i["shards"][0].update(bytes=True), "'bytes' is 'True', not a number"),
        (lambda i: i["shards"][0].update(bytes=100), "is not within its shard"),
        (lambda i: i["shards"][0].update(members={}), "'members' is no list"),
        (lambda i: member(i).update(offset=-512), "'offset' is '-512', not a number"),
        (lambda i: member(i).update(offset=0), "is not within its shard (byte 0"),
        (lambda i: member(i).update(offset=700), "is not within its shard"),
        (lambda i: member(i).update(size=1 << 40), "is not within its shard"),
        (lambda i: member(i).update(size=1.5), "'size' is '1.5', not a number"),
        (lambda i: member(i).update(name="../a"), "'../a' is no name of a file in a shard"),
        (lambda i: member(i).update(split="all"), "split is 'all'"),
        (lambda i: member(i).update(group=3), "a group is '3', not a text"),
        (lambda i: member(i).pop("label"), "a label is 'None'"),
        (lambda i: i["shards"][0]["members"].append(member(i)), "a file is in 000000.tar twice"),
    ],
)
def test_an_index_from_outside_is_checked(
    ours: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    index = json.loads((ours / "index.json").read_text())
    change(index)
    (ours / "index.json").write_text(json.dumps(index))
    text = refusal(f"shards:{ours}")
    assert said in text and "index.json: is no index of shards: " in text


def member(index: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = index["shards"][0]["members"][0]
    return found


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("gone", "no such folder 'DIR/gone'. Name a folder of shards"),
        ("gone.tar", "DIR/gone.tar: no such file (1 of 1 shards"),
        ("empty", "holds no .tar files. Check the folder."),
        ("zip", "x.tar.gz: is compressed"),
        ("zip/x.tar.gz", "x.tar.gz: is compressed"),
        ("x{5..1}.tar", "{5..1} is no range"),
        ("x{0..999999999}.tar", "is no range of up to 100,000 tars"),
        ("{0..999}{0..999}.tar", "names 1,000,000 tars; at most 100,000"),
        ("text", "holds no labelled videos"),
        ("nolabel", "holds no labelled videos; DIR/nolabel/x.tar#1.mp4 has no label"),
        ("half", "is no index of shards: it is no JSON"),
    ],
)
def test_what_names_no_shards_is_one_line(
    tmp_path: Path, videos: list[bytes], place: str, said: str
) -> None:
    for name in ("empty", "zip", "text", "nolabel", "half"):
        (tmp_path / name).mkdir()
    (tmp_path / "zip" / "x.tar.gz").write_bytes(b"x")
    (tmp_path / "half" / "index.json").write_text('{"format": "s3d-sha')
    write_tar(tmp_path / "text" / "x.tar", {"a/1.txt": b"x"})
    write_tar(tmp_path / "nolabel" / "x.tar", {"1.mp4": videos[0]})
    text = refusal(f"shards:{tmp_path}/{place}").replace(str(tmp_path), "DIR")
    assert re.search(re.escape(said), text), text
