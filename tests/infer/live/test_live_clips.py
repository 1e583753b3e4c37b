"""A clip around each event: whole or absent, in bounded memory, whatever its label."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from av.error import FFmpegError
from av.video.frame import VideoFrame

from s3d.data.decode import probe_video, read_frames
from s3d.errors import InputError
from s3d.infer.live import clips
from s3d.infer.live.clips import ClipRule, Recorder
from s3d.infer.live.events import LiveEvent, time_text
from s3d.infer.live.jpeg import JpegReader, JpegWriter

ORIGIN = 5000.0


class Still:
    """Stand for a converter: gives the picture that was asked for."""

    def __init__(self, shape: tuple[int, int] = (48, 64)) -> None:
        self.shape = shape

    def preview(self, frame: int, longest_px: int) -> np.ndarray:
        return np.full((*self.shape, 3), frame, np.uint8)


def recorder_of(folder: Path, said: list[str], **rule: float) -> Recorder:
    return Recorder(ClipRule(folder, **rule), said.append, lambda: ORIGIN)


def feed(recorder: Recorder, first: float, last: float, still: Still | None = None) -> None:
    """Show ten frames a second, each as grey as its tenth of a second since the first frame."""
    for tenth in range(round(first * 10), round(last * 10)):
        recorder.show(tenth, still or Still(), ORIGIN + tenth / 10)  # type: ignore[arg-type]


def event(kind: str, start: float, end: float, label: str = "wave", number: int = 1) -> LiveEvent:
    noon = 1_700_000_000.0
    text = time_text(noon + (start if kind == "begin" else end))
    return LiveEvent(kind, number, text, label, 0.9, start, end, 0.1)  # type: ignore[arg-type]


def test_a_clip_holds_what_was_before_during_and_after(tmp_path: Path) -> None:
    said: list[str] = []
    recorder = recorder_of(tmp_path, said, before_seconds=2.0, after_seconds=1.0)
    feed(recorder, 0, 8)
    recorder.take(event("begin", 6.0, 8.0))
    feed(recorder, 8, 10)
    recorder.take(event("end", 6.0, 9.5))
    feed(recorder, 10, 14)
    recorder.close()
    assert (recorder.saved, said) == (1, [])
    (path,) = tmp_path.iterdir()
    assert path.name == "20231114T221326.000Z_wave.mp4"
    info = probe_video(path)
    assert info.duration_seconds == pytest.approx(6.5, abs=0.25)
    levels = np.median(read_frames(info, range(info.frames)), (1, 2, 3))
    assert np.abs(levels - np.arange(40, 40 + info.frames)).max() <= 5


def test_an_event_that_goes_on_at_the_end_is_saved_so_far(tmp_path: Path) -> None:
    recorder = recorder_of(tmp_path, [])
    feed(recorder, 0, 3)
    recorder.take(event("begin", 2.0, 3.0))
    feed(recorder, 3, 5)
    recorder.close()
    (path,) = tmp_path.iterdir()
    assert probe_video(path).duration_seconds == pytest.approx(5.0, abs=0.25)


def test_a_clip_ends_though_the_source_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "LOOK_SECONDS", 0.05)
    recorder = recorder_of(tmp_path, [], after_seconds=0.0)
    recorder.origin = lambda: time.monotonic() - 3
    for tenth in range(30):
        recorder.show(tenth, Still(), time.monotonic() - 3 + tenth / 10)  # type: ignore[arg-type]
    recorder.take(event("begin", 1.0, 2.0))
    recorder.take(event("end", 1.0, 2.9))
    end = time.monotonic() + 5
    while not list(tmp_path.glob("*.mp4")):
        assert time.monotonic() < end
        time.sleep(0.02)
    recorder.close()
    assert recorder.saved == 1


def test_the_size_of_a_stream_may_change_within_a_clip(tmp_path: Path) -> None:
    recorder = recorder_of(tmp_path, [])
    feed(recorder, 0, 2)
    recorder.take(event("begin", 1.0, 2.0))
    feed(recorder, 2, 4, Still((90, 30)))
    recorder.close()
    (path,) = tmp_path.iterdir()
    info = probe_video(path)
    assert (info.height_px, info.width_px) == (48, 64)
    assert info.frames == pytest.approx(40, abs=2)


def test_frames_are_kept_for_a_time_and_never_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recorder_of(tmp_path, [], before_seconds=1.0, known_after_seconds=2.0)
    feed(recorder, 0, 10)
    assert len(recorder._recent) == 31
    assert recorder._bytes == sum(len(jpeg) for _, jpeg in recorder._recent)
    for tenth in range(100):
        recorder.show(9, Still(), ORIGIN + 10 + tenth / 1000)  # type: ignore[arg-type]
    assert len(recorder._recent) < 35
    monkeypatch.setattr(clips, "MOST_BYTES", 5000)
    feed(recorder, 12, 20)
    assert 0 < recorder._bytes <= 5000


def test_a_label_is_no_path(tmp_path: Path) -> None:
    recorder = recorder_of(tmp_path / "clips", [])
    feed(recorder, 0, 2)
    for number, label in enumerate(["../../up", "a/b\n\x1b[1m", "...", "..."], 1):
        recorder.take(event("begin", 1.0, 2.0, label, number))
        recorder.take(event("end", 1.0, 1.5, label, number))
    recorder.close()
    names = sorted(path.name.partition("Z_")[2] for path in (tmp_path / "clips").iterdir())
    assert names == ["a_b_1m.mp4", "event.mp4", "event_2.mp4", "up.mp4"]
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]


def test_too_many_at_a_time_are_told(tmp_path: Path) -> None:
    said: list[str] = []
    recorder = recorder_of(tmp_path, said)
    feed(recorder, 0, 2)
    for number in range(1, 6):
        recorder.take(event("begin", 1.0, 2.0, f"w{number}", number))
    recorder.close()
    assert said == ["no clip of w5: 4 are being written"]
    assert recorder.saved == 4


def test_a_full_disk_costs_the_clip_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    recorder = recorder_of(tmp_path, said)
    feed(recorder, 0, 2)
    real = clips.av.open

    def full(*args: object, **options: object) -> object:
        raise FFmpegError(28, "No space left on device")

    monkeypatch.setattr(clips.av, "open", full)
    recorder.take(event("begin", 1.0, 2.0))
    recorder._all[0].thread.join()
    feed(recorder, 2, 4)
    monkeypatch.setattr(clips.av, "open", real)
    recorder.take(event("begin", 3.0, 4.0, "next", 2))
    recorder.close()
    assert len(said) == 1
    assert "No space left" in said[0]
    assert [path.name.partition("Z_")[2] for path in tmp_path.iterdir()] == ["next.mp4"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the folder cannot be made"):
        recorder_of(tmp_path / "file" / "clips", [])
    with pytest.raises(InputError, match="--before is -1 s; it needs seconds from 0 to 600"):
        ClipRule(tmp_path, before_seconds=-1)


def test_a_frame_that_cannot_be_kept_is_passed_over(tmp_path: Path) -> None:
    class Broken:
        def preview(self, frame: VideoFrame, longest_px: int) -> np.ndarray:
            raise ValueError("no such format")

    recorder = recorder_of(tmp_path, [])
    recorder.show(1, Broken(), 1.0)  # type: ignore[arg-type]
    assert not recorder._recent


def test_pictures_survive_jpeg() -> None:
    writer, reader, rng = JpegWriter(), JpegReader(), np.random.default_rng(0)
    for size in ((48, 64), (64, 48), (64, 48)):
        smooth = rng.integers(0, 255, (size[0] // 16, size[1] // 16, 3)).repeat(16, 0)
        picture = smooth.repeat(16, 1).astype(np.uint8)
        back = reader.decode(writer.encode(picture))
        assert back.shape == picture.shape
        assert np.abs(back.astype(int) - picture).mean() < 12
