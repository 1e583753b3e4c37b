"""Shards on a web server are read in ranges, or one line says what the server did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from s3d.data.decode import iterate_frames, probe_video
from s3d.data.quarantine import leave_out, write_quarantine
from s3d.data.shards import members as shards
from s3d.data.shards import web as shards_web
from s3d.data.store import FrameStore, open_videos
from s3d.data.videos import list_videos
from s3d.errors import InputError
from tests.data.packing import pack, write_tar
from tests.data.range_server import RangeServer, serve


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("S3D_OFFLINE", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(shards_web, "BACKOFF_SECONDS", 0.001)
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_KNOWN", shards._Known())
    shards._held.__dict__.clear()


@pytest.fixture
def server(colours: Path, tmp_path: Path) -> Iterator[RangeServer]:
    pack(colours, tmp_path / "web")
    with serve(tmp_path / "web") as server:
        yield server


def refusal(source: str) -> str:
    with pytest.raises(InputError) as caught:
        list_videos(source)
    text = str(caught.value)
    assert text.isprintable()
    return text


def test_an_address_gives_what_the_folder_gives(server: RangeServer, colours: Path) -> None:
    before, after = list_videos(colours), list_videos(f"shards:{server.url}")
    assert server.asked == [("/index.json", None)]
    assert [v.label for v in before.videos] == [v.label for v in after.videos]
    for old, new in zip(before.videos, after.videos, strict=True):
        assert new.path.startswith(f"{server.url}/00000")
        assert probe_video(new.path).frames == 8
        np.testing.assert_array_equal(*(np.stack(list(iterate_frames(v.path))) for v in (old, new)))
    assert len(server.asked) == 17, "one request a video"
    assert all(span for path, span in server.asked[1:])


def test_a_large_video_is_not_held_on_to(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MOST_HELD_BYTES", 10)
    path = list_videos(f"shards:{server.url}").videos[0].path
    for _ in range(2):
        probe_video(path)
    assert len(server.asked) == 3


def test_a_pattern_and_a_part_of_an_address(server: RangeServer) -> None:
    listed = list_videos(f"shards:{server.url}/{{000001..000002}}.tar?part=train")
    assert (len(listed.videos), listed.part) == (10, "train")


def test_tars_without_an_index_are_walked_once(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.folder / "index.json").unlink()
    place = f"shards:{server.url}/{{000000..000003}}.tar"
    for walked in (True, False):
        forget(monkeypatch)
        server.asked.clear()
        assert len(list_videos(place).videos) == 16
        tars = [path for path, span in server.asked if span]
        assert len(tars) == (8 if walked else 4), "one look a tar, and 64 KiB at a time"
    server.tag = '"two"'
    forget(monkeypatch)
    server.asked.clear()
    list_videos(place)
    assert len([path for path, span in server.asked if span]) == 8
    assert f"{server.url}: has no index.json of s3d shard" in refusal(f"shards:{server.url}")


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (["no range"], "127.0.0.1: answers 200 where a part of the file was asked for"),
        (["other range"], "127.0.0.1: sends bytes "),
        (["which range"], "sends a part of the file without saying which"),
        ([404], "127.0.0.1: answers 404 Not Found. Check the address."),
        ([503] * 5, "127.0.0.1: answers 503 Service Unavailable; asked 5 times."),
        (["cut"] * 5, "127.0.0.1: the connection was cut after "),
        ([503, "cut", 429, "cut"], ""),
    ],
)
def test_what_a_server_does_wrong_is_one_line(
    server: RangeServer, faults: list[str | int | None], said: str
) -> None:
    path = list_videos(f"shards:{server.url}").videos[0].path
    server.faults = faults
    if not said:
        assert probe_video(path).frames == 8
        return
    with pytest.raises(InputError) as caught:
        probe_video(path)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_server_that_dies_costs_the_videos_asked_of_it(server: RangeServer) -> None:
    listed = list_videos(f"shards:{server.url}")
    server.faults = [None] * 6
    server.always = 500
    opened = open_videos(listed.videos, 1)
    assert (len(opened.videos), len(opened.failures)) == (6, 10)
    assert "answers 500" in opened.failures[0][1]


def test_nobody_answers(server: RangeServer) -> None:
    text = refusal("shards:http://127.0.0.1:9/shards")
    assert "http://127.0.0.1:9/shards/index.json: 127.0.0.1: no connection: " in text


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://user:secret@host/x", "is not http(s)://host/path, without a user name"),
        ("http:///x", "is not http(s)://host/path"),
        ("ftp://host/x", "no such folder"),
        ("http://host/a b", "URL can't contain control characters"),
    ],
)
def test_addresses_that_are_not_asked(address: str, said: str) -> None:
    text = refusal(f"shards:{address}")
    assert said in text
    assert "secret" not in text.partition("is not http")[0]


def test_offline_nothing_is_asked(server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3D_OFFLINE", "1")
    assert "S3D_OFFLINE is set" in refusal(f"shards:{server.url}")
    assert not server.asked


def test_a_tar_that_changed_since_its_index_is_told(server: RangeServer) -> None:
    path = list_videos(f"shards:{server.url}").videos[0].path
    tar = server.folder / Path(path.partition("#")[0]).name
    content = tar.read_bytes()
    tar.write_bytes(content + bytes(512))
    with pytest.raises(InputError, match="it is cut off or of another time"):
        probe_video(path)
    tar.write_bytes(content[512:] + bytes(512))
    with pytest.raises(InputError, match="is not where the index of its shard says"):
        probe_video(path)


def test_a_video_too_large_for_the_memory_is_refused(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MOST_FETCHED_BYTES", 1000)
    path = list_videos(f"shards:{server.url}").videos[0].path
    with pytest.raises(InputError, match="at most 1000 are fetched from a server"):
        probe_video(path)


def test_an_index_too_large_is_not_read(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MOST_INDEX_BYTES", 100)
    assert "at most 100 can be" in refusal(f"shards:{server.url}")


def test_an_index_on_a_server_is_checked(server: RangeServer) -> None:
    index = json.loads((server.folder / "index.json").read_text())
    index["shards"][0]["name"] = "../../secret.tar"
    (server.folder / "index.json").write_text(json.dumps(index))
    assert "is not the name of a .tar file" in refusal(f"shards:{server.url}")


def test_quarantine_and_kept_frames_know_addresses(
    server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3d.clip import ClipSpec

    listed = list_videos(f"shards:{server.url}")
    write_quarantine(tmp_path / "q.csv", [(listed.videos[0].path, "bad")])
    assert len(leave_out(listed, tmp_path / "q.csv").videos) == 15
    infos = open_videos(listed.videos, 1).infos
    key = FrameStore(infos, ClipSpec(4, 8.0, (36, 36), (32, 32))).fingerprint()
    monkeypatch.chdir(tmp_path)
    assert FrameStore(infos, ClipSpec(4, 8.0, (36, 36), (32, 32))).fingerprint() == key


def test_a_tar_without_a_version_is_walked_every_time(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.tag = ""
    write_tar(server.folder / "x.tar", {"a/1.mp4": b"x" * 600})
    for _ in range(2):
        forget(monkeypatch)
        server.asked.clear()
        list_videos(f"shards:{server.url}/x.tar", 1)
        assert len([path for path, span in server.asked if span]) == 2
    assert not (tmp_path / "home").exists()
