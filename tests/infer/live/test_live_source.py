"""What SOURCE means, and that no password is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3d.errors import InputError
from s3d.infer.live.connect import camera_address
from s3d.infer.live.source import Source, parse_source


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ("0", "camera", "0"),
        ("-", "stdin", "-"),
        ("rtsp://host:8554/a", "rtsp", "rtsp://host:8554/a"),
        ("RTSPS://host/a", "rtsp", "RTSPS://host/a"),
        ("http://host/a?b=c", "web", "http://host/a?b=c"),
        ("https://[::1]:8080/a", "web", "https://[::1]:8080/a"),
        ("film.mp4", "file", "film.mp4"),
        ("./0", "file", "./0"),
        ("/dev/null", "camera", "/dev/null"),
    ],
)
def test_what_a_source_is(text: str, kind: str, target: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.target) == (kind, target)
    assert source.comes_back is (kind not in ("file", "stdin"))


def test_a_fifo_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert parse_source(str(tmp_path / "fifo")).kind == "pipe"


def test_a_password_is_kept_and_never_shown() -> None:
    source = parse_source("http://me:s%40crt@host:81/a")
    assert source.user == ("me", "s@crt")
    assert source.target == source.shown == "http://host:81/a"
    assert "crt" not in repr(source)
    camera = parse_source("rtsp://me:secret@host/a")
    assert camera.target == "rtsp://me:secret@host/a"
    assert camera.shown == "rtsp://host/a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://host/a", "ftp:// cannot be watched. Known: rtsp, rtsps, http, https"),
        ("file:///etc/passwd", "file:// cannot be watched"),
        ("http:///a", "http:///a: names no host"),
        ("http://host/a b", "names no host"),
        ("http://[::1/a", "the address of SOURCE cannot be read"),
        ("http://me:secret@host:99999/a", "the address of SOURCE cannot be read"),
    ],
)
def test_what_no_source_is(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"(?s){message}") as error:
        parse_source(text)
    assert "secret" not in str(error.value)


def test_offline_forbids_addresses_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3D_OFFLINE", "1")
    with pytest.raises(InputError, match="S3D_OFFLINE forbids the network"):
        parse_source("rtsp://host/a")
    assert parse_source("0").kind == "camera"


def test_cameras_by_number() -> None:
    camera = Source("camera", "2", shown="camera 2")
    assert camera_address(camera, "linux") == ("v4l2", "/dev/video2")
    assert camera_address(camera, "darwin") == ("avfoundation", "2")
    device = Source("camera", "/dev/video7", shown="/dev/video7")
    assert camera_address(device, "linux") == ("v4l2", "/dev/video7")
    with pytest.raises(InputError, match="camera 2: cameras are opened on Linux and macOS alone"):
        camera_address(camera, "win32")
