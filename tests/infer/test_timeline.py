"""A long video becomes segments; however often it is killed, to the same bytes."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import s3d
from s3d.data import ahead, frame_source
from s3d.data.frame_source import open_source
from s3d.data.ticks import tick_indices
from s3d.data.transform import centre_crop, resized_px
from s3d.data.video_info import EndsEarlyError
from s3d.errors import InputError
from s3d.infer import timeline as timeline_module
from s3d.infer.engines.engine import usable_engines
from s3d.infer.recognizer import Recognizer, load
from s3d.infer.record import Record
from s3d.infer.reuse import stages as stages_module
from s3d.infer.scan import Scan, ScanRecipe, cut_short
from s3d.infer.segments import SegmentRule
from s3d.models.model_file import ModelFile
from tests.conftest import WriteVideo

RATE = 8.0


def coloured(
    *spans: tuple[str, int], seed: int = 0, size: tuple[int, int] = (40, 48)
) -> np.ndarray:
    """Return frames of moving noise, red, blue or grey for so many frames each."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 60, (size[0] // 8, size[1] // 8)).repeat(8, 0).repeat(8, 1)
    total = sum(count for _, count in spans)
    frames = np.stack([np.stack([np.roll(texture, 2 * t, 1)] * 3, -1) for t in range(total)])
    first = 0
    for colour, count in spans:
        channel = {"red": [0], "blue": [2], "grey": []}[colour]
        frames[first : first + count, ..., channel] += 190
        first += count
    return frames.astype(np.uint8)


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return load(tiny_model)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return 10 s: red to 3 s, blue to 6 s, red to the end; with keyframes to seek to."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    frames = coloured(("red", 24), ("blue", 24), ("red", 33))
    return write_video(path, frames, RATE, options={"g": "8", "bf": "2"})


def test_segments_of_a_film_lie_where_its_colours_do(recognizer: Recognizer, film: Path) -> None:
    found = recognizer.timeline(film)
    assert [segment.label for segment in found.segments] == ["red", "blue", "red"]
    edges = [found.segments[0].start_seconds, *(s.end_seconds for s in found.segments)]
    assert edges == pytest.approx([0.0, 3.0, 6.0, 10.125], abs=0.25)  # half a window
    assert all(0.5 < segment.score <= 1 for segment in found.segments)
    # A clip has 4 frames, so a quarter is one of them.
    assert found.stride_seconds == 1 / RATE
    assert found.windows == 81 - 3
    assert found.protocol == "windows of 4 frames at 8 fps, one every 0.125 s, centre crop"
    assert s3d.Timeline is type(found)


@pytest.mark.parametrize("options", [{}, {"stride_seconds": 0.5}, {"stride_seconds": 0.7}])
def test_windows_score_as_their_frames_do(
    recognizer: Recognizer, film: Path, options: dict[str, float]
) -> None:
    found = recognizer.timeline(film, **options)
    spec = recognizer.spec
    source = open_source(film, spec)
    size = resized_px(source.info.height_px, source.info.width_px, spec)
    frames = centre_crop(source.read(tick_indices(source.info, spec), size), spec.size_px)
    starts = np.rint(found.start_seconds * RATE).astype(int)
    stride = {None: 1, 0.5: 4, 0.7: 6}[options.get("stride_seconds")]
    assert found.stride_seconds == stride / RATE
    wanted = [*range(0, 78, stride)]
    assert starts.tolist() == wanted + ([77] if wanted[-1] != 77 else [])
    for start, scores in zip(starts, found.scores, strict=True):
        alone = recognizer.score_frames(frames[start : start + 4])[0]
        np.testing.assert_allclose(scores, alone, atol=1e-5)
    np.testing.assert_allclose(found.end_seconds, (starts + 4) / RATE)


def test_a_window_may_have_other_frames_and_another_rate(
    recognizer: Recognizer, film: Path
) -> None:
    found = recognizer.timeline(film, frames=8, rate_fps=4.0)
    assert found.spec == replace(recognizer.spec, frames=8, rate_fps=4.0)
    assert found.stride_seconds == 0.5
    assert recognizer.spec.frames == 4
    assert [segment.label for segment in found.segments] == ["red", "blue", "red"]


def test_a_threshold_of_the_model_is_taken_and_another_one_not_doubted(
    tiny_model: Path, film: Path
) -> None:
    from s3d.infer.threshold import Threshold

    recognizer = load(tiny_model)
    assert recognizer.timeline(film).rule.enter == 0.5
    assert "not calibrated" in recognizer.timeline(film).origin
    known = Threshold(0.625, "windows", "clips", 2, 20, 1.0, 0.95)
    recognizer.metrics = (known.to_metric(),)
    found = recognizer.timeline(film)
    assert (found.rule.enter, found.threshold) == (0.625, known)
    assert found.origin == "calibrated on 20 windows of 2 videos"
    given = recognizer.timeline(film, rule=SegmentRule(0.75))
    assert (given.rule.enter, given.threshold, given.origin) == (0.75, None, "as given")
    record = film.with_name("record")
    with pytest.raises(InputError, match="label 'green' is to mean nothing"):
        recognizer.timeline(film, rule=SegmentRule(nothing=("green",)), record=record)
    assert not record.exists()  # It is known before anything is scored.


def test_nothing_below_the_threshold(recognizer: Recognizer, film: Path) -> None:
    assert recognizer.timeline(film, rule=SegmentRule(1.0)).segments == ()
    found = recognizer.timeline(film, rule=SegmentRule(nothing=("blue",)))
    assert [segment.label for segment in found.segments] == ["red", "red"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_video_about_as_long_as_a_window(
    recognizer: Recognizer, tmp_path: Path, write_video: WriteVideo, count: int
) -> None:
    video = write_video(tmp_path / "v.mp4", coloured(("blue", count)), RATE)
    found = recognizer.timeline(video)
    assert found.windows == max(1, count - 3)
    assert found.segments[0].label == "blue"
    assert found.segments[-1].end_seconds == pytest.approx(count / RATE, abs=1e-3)
    clip = recognizer.predict(video, "clip")
    np.testing.assert_allclose(found.scores.mean(0), clip.scores, atol=0.1)
    if count <= 4:
        np.testing.assert_allclose(found.scores[0], clip.scores, atol=1e-5)


def test_frames_that_come_irregularly_are_taken_by_their_time(
    recognizer: Recognizer, tmp_path: Path, write_video: WriteVideo
) -> None:
    # Red for 2 s in 4 frames, blue for 2 s in 40
    times = [0.0, 0.5, 1.0, 1.5, *(2.0 + 0.05 * i for i in range(40))]
    frames = coloured(("red", 4), ("blue", 40))
    video = write_video(tmp_path / "v.mp4", frames, RATE, times_seconds=times)
    red, blue = recognizer.timeline(video).segments
    assert (red.label, blue.label) == ("red", "blue")
    assert red.end_seconds == pytest.approx(2.0, abs=0.25)
    assert blue.end_seconds == pytest.approx(4.0, abs=0.15)


# --- killed and begun again ---------------------------------------------------------------------


def contents(found: Any) -> tuple[Any, ...]:
    return found.to_json(), found.scores.tobytes(), found.glances


def in_a_fork(work: Any) -> int:
    """Run work in a fork; return its status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize("stride", [None, 0.5, 0.7, 1.0])
def test_killed_anywhere_it_goes_on_to_the_same_result(
    recognizer: Recognizer,
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stride: float | None,
) -> None:
    whole = recognizer.timeline(film, stride, record=tmp_path / "whole")
    plain = Record._append

    def die_after(entries: int) -> None:
        left = [entries]

        def append(self: Record, kind: bytes, content: bytes) -> None:
            left[0] -= 1
            if left[0] < 0:
                # Half of an entry is written when the process is killed.
                plain(self, kind, content)
                os.truncate(self.path, self.path.stat().st_size - len(content) // 2 - 1)
                os.kill(os.getpid(), signal.SIGKILL)
            plain(self, kind, content)

        monkeypatch.setattr(Record, "_append", append)

    def attempt() -> None:
        die_after(step)
        recognizer.timeline(film, stride, record=tmp_path / "killed")

    step, kills = 1 + whole.windows // 5, 0
    while os.WIFSIGNALED(in_a_fork(attempt)):
        kills += 1
    assert kills >= 5
    found = recognizer.timeline(film, stride, record=tmp_path / "killed")
    assert found.scored == 0
    assert contents(found) == contents(whole)


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_windows_that_share_go_on_to_the_same_bits(
    film: Path, tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small a network shares nothing otherwise: calls cost more than it does.
    monkeypatch.setattr(stages_module, "CALL_MACS", 0)
    monkeypatch.setattr(stages_module, "BYTE_MACS", 0)
    if engine not in usable_engines("cpu"):
        pytest.skip(f"no {engine} here")
    torch.manual_seed(0)
    network = s3d.build("s3d_fast", num_classes=3, width=0.1).eval()
    spec = s3d.ClipSpec(16, RATE, (32, 32), (32, 32))
    model = Recognizer(ModelFile(network, ("a", "b", "c"), spec)).use(engine)
    whole = model.timeline(film, record=tmp_path / "whole")
    assert Scan(model, ScanRecipe()).scorer.shares_until is not None
    entries = list(whole.record.windows())
    for windows in (1, 3, 8, whole.windows - 1):
        with Record(tmp_path / f"{windows}", whole.record.settings, 3) as record:
            for entry in entries[:windows]:
                record.add_window(*entry)
        again = model.timeline(film, record=record.path)
        assert again.scored == whole.windows - windows
        assert again.scores.tobytes() == whole.scores.tobytes()


def test_going_on_does_not_decode_what_was_scored(
    recognizer: Recognizer, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recognizer.timeline(film)
    record = tmp_path / "record"
    cut_record(recognizer, film, record, 60)
    firsts, plain = [], frame_source.pick_frames

    def watch(info: Any, wish: Any) -> Iterator[Any]:
        firsts.append(wish.first)
        return plain(info, wish)

    monkeypatch.setattr(frame_source, "pick_frames", watch)
    found = recognizer.timeline(film, record=record)
    assert found.scored == whole.windows - 60
    assert firsts == [56]  # the four windows before overlap the next
    assert found.scores.tobytes() == whole.scores.tobytes()
    # Where only the window at the end is left, it is read with the one before, as at first.
    stride = recognizer.timeline(film, 0.5)
    assert stride.grid.regular == 20
    with Record(record, stride.record.settings, 2) as new:
        for entry in list(stride.record.windows())[:20]:
            new.add_window(*entry)
    firsts.clear()
    last = recognizer.timeline(film, 0.5, record=record)
    assert (last.scored, firsts) == (1, [76])
    assert last.scores.tobytes() == stride.scores.tobytes()


def cut_record(recognizer: Recognizer, film: Path, record: Path, windows: int) -> None:
    """Write a record of the first windows of a film alone."""
    found = recognizer.timeline(film, record=record)
    entries = list(found.record.windows())
    record.unlink()
    with Record(record, found.record.settings, 2) as new:
        for entry in entries[:windows]:
            new.add_window(*entry)


def test_what_decides_the_scores_begins_a_record_anew(
    tiny_model: Path, tmp_path: Path, write_video: WriteVideo
) -> None:
    recognizer, record = load(tiny_model), tmp_path / "record"
    video = write_video(tmp_path / "v.mp4", coloured(("red", 12), ("blue", 12)), RATE)

    def is_scored_anew(stride: float = 0.25, **options: Any) -> bool:
        found = recognizer.timeline(video, stride, record=record, **options)
        assert found.scored in (0, found.windows)
        return found.scored > 0

    assert is_scored_anew()
    assert not is_scored_anew(rule=SegmentRule(0.9))
    assert is_scored_anew(0.5)
    assert is_scored_anew(0.5, frames=8)
    assert is_scored_anew(0.5, frames=8, rate_fps=6)
    recognizer.use("eager" if recognizer.engine.name != "eager" else "torch")
    assert is_scored_anew(0.5, frames=8, rate_fps=6)
    with torch.no_grad():
        recognizer.network.head.classifier.bias.add_(0.01)
    assert is_scored_anew(0.5, frames=8, rate_fps=6)
    os.utime(video, ns=(1, 1))
    assert is_scored_anew(0.5, frames=8, rate_fps=6)
    assert not is_scored_anew(0.5, frames=8, rate_fps=6)


def test_a_record_for_a_while_is_gone_with_the_timeline(recognizer: Recognizer, film: Path) -> None:
    found = recognizer.timeline(film, 0.5)
    place = found.record.path
    assert place.exists()
    assert found.scores.shape == (found.windows, 2)
    del found
    assert not place.parent.exists()


# --- files that are not what they promise --------------------------------------------------------


def promise_more(monkeypatch: pytest.MonkeyPatch, frames: int, can_seek: bool) -> None:
    """Let every file promise so many frames more than it holds."""
    plain = timeline_module.open_source

    def open_lying(*words: Any) -> Any:
        source = plain(*words)
        info = source.info
        count = info.frames + frames
        times = np.arange(count) / RATE
        seek = None
        if can_seek and info.seek:
            spare = np.concatenate([info.seek.is_spare, np.zeros(frames, np.bool_)])
            seek = replace(info.seek, is_spare=spare)
        source.info = replace(
            info, frames=count, times_seconds=times, duration_seconds=count / RATE, seek=seek
        )
        return source

    monkeypatch.setattr(timeline_module, "open_source", open_lying)


@pytest.mark.parametrize("can_seek", [True, False])
@pytest.mark.parametrize("stride", [None, 0.5, 0.7])
def test_a_file_that_ends_early_gives_what_decodes(
    recognizer: Recognizer,
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    can_seek: bool,
    stride: float | None,
) -> None:
    whole = recognizer.timeline(film, stride)
    promise_more(monkeypatch, 40, can_seek)
    found = recognizer.timeline(film, stride, record=tmp_path / "record")
    assert found.record.progress.ends_at == 81
    assert found.duration_seconds == pytest.approx(whole.duration_seconds)
    assert found.segments == whole.segments
    assert found.scores.tobytes() == whole.scores.tobytes()
    again = recognizer.timeline(film, stride, record=tmp_path / "record")
    assert (again.scored, contents(again)) == (0, contents(found))


def test_a_file_that_breaks_in_the_middle_gives_the_same_however_it_is_read(
    recognizer: Recognizer, film: Path, tmp_path: Path
) -> None:
    from tests.data.test_pick import packets_of

    broken = tmp_path / "broken.mp4"
    content = bytearray(film.read_bytes())
    packet = packets_of(film)[41]
    content[packet.pos + 8 : packet.pos + packet.size] = b"\xff" * (packet.size - 8)
    broken.write_bytes(content)
    whole = recognizer.timeline(broken, 0.5, record=tmp_path / "whole")
    assert whole.record.progress.is_counted
    assert whole.segments
    entries = list(whole.record.windows())
    for windows in (5, 9, 10, 15):
        with Record(tmp_path / f"{windows}", whole.record.settings, 2) as record:
            for entry in entries[:windows]:
                record.add_window(*entry)
        again = recognizer.timeline(broken, 0.5, record=record.path)
        assert again.scored == whole.windows - windows
        assert again.scores.tobytes() == whole.scores.tobytes()


def test_a_file_that_gives_nothing_is_named(recognizer: Recognizer, film: Path) -> None:
    info = open_source(film, recognizer.spec).info
    assert cut_short(info, EndsEarlyError(3)).frames == 3
    with pytest.raises(InputError, match="no frame of it can be decoded"):
        cut_short(info, EndsEarlyError(0))


def test_what_is_no_video_is_one_line(recognizer: Recognizer, tmp_path: Path) -> None:
    text = tmp_path / "a.mp4"
    text.write_text("no film")
    with pytest.raises(InputError, match="not a video"):
        recognizer.timeline(text)
    with pytest.raises(InputError, match="no such file"):
        recognizer.timeline(tmp_path / "none.mp4")


def test_an_embedding_has_no_timeline(recognizer: Recognizer, film: Path) -> None:
    from copy import copy

    embedding = copy(recognizer)
    embedding.labels = ()
    with pytest.raises(InputError, match="gives an embedding, not classes"):
        embedding.timeline(film)


def test_options_that_cannot_be_used_are_refused(recognizer: Recognizer, film: Path) -> None:
    with pytest.raises(InputError, match="stride is 0 s"):
        recognizer.timeline(film, 0.0)
    with pytest.raises(InputError, match="ClipSpec frames is 0"):
        recognizer.timeline(film, frames=0)
    scan = Scan(recognizer, ScanRecipe())
    info = open_source(film, recognizer.spec).info
    with pytest.raises(InputError, match=r"makes 1,\d+,\d+; at most 1,000,000 are taken"):
        scan.lay_grid(replace(info, duration_seconds=130_000.0))


# --- memory --------------------------------------------------------------------------------------


def test_few_frames_wait_and_few_are_held(
    recognizer: Recognizer, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3d.infer import scan

    made, taken, most = [0], [0], [0]
    plain = scan.read_pieces

    def watch(*words: Any) -> Iterator[Any]:
        for piece in plain(*words):
            assert len(piece.frames) <= 32
            made[0] += 1
            most[0] = max(most[0], made[0] - taken[0])
            yield piece

    plain_push = scan.WindowScorer.push

    def push(self: Any, *words: Any) -> Any:
        taken[0] += 1
        return plain_push(self, *words)

    monkeypatch.setattr(scan, "read_pieces", watch)
    monkeypatch.setattr(scan.WindowScorer, "push", push)
    recognizer.timeline(film)
    assert made == taken == [81]
    assert most[0] <= scan.PIECES_AHEAD + 2


def test_a_failure_while_scoring_leaves_no_thread_and_no_file(
    recognizer: Recognizer, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from s3d.infer import scan
    from tests.data.test_pick import open_files

    before, threads = open_files(), threading.active_count()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fail(self: Any, *words: Any) -> Any:
        raise ValueError("no more")

    monkeypatch.setattr(scan.WindowScorer, "push", fail)
    with pytest.raises(ValueError, match="no more"):
        recognizer.timeline(film)
    assert open_files() == before
    assert not list(tmp_path.iterdir())
    assert threading.active_count() == threads
    assert ahead.POLL_SECONDS < 1


def test_small_pictures_lie_on_the_way(recognizer: Recognizer, film: Path) -> None:
    import io

    from PIL import Image

    found = recognizer.timeline(film)
    assert len(found.glances) == 60
    seconds = [second for second, _ in found.glances]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[0] < 0.5 and 9.5 < seconds[-1] <= 10.125
    for second, jpeg in found.glances[::10]:
        picture = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)
        assert picture.shape == (90, 108, 3)
        is_red = picture[..., 0].mean() > picture[..., 2].mean()
        assert is_red == (not 3 <= second < 6)
