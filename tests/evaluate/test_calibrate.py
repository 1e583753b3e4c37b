"""Thresholds worked out by hand, and found on real windows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from s3d.cli import main
from s3d.data.video_list import Video, VideoList
from s3d.errors import InputError
from s3d.evaluate.calibrate import (
    WindowScores,
    calibrate,
    choose_threshold,
    measure_threshold,
)
from s3d.infer.recognizer import load
from s3d.infer.threshold import find_threshold
from s3d.models.model_file import add_metric, load_model
from tests.conftest import WriteVideo
from tests.infer.test_timeline import coloured
from tests.tiny import refuse


def scores_of(
    right: list[float], quiet: list[float] | None = None, weights: list[float] | None = None
) -> WindowScores:
    weigh = np.array(weights or [1.0] * len(right))
    return WindowScores(np.array(right), weigh, len(right), len(right), np.array(quiet or []))


def test_of_actions_alone_the_highest_that_keeps_the_share() -> None:
    found = scores_of([0.9, 0.2, 0.8, 0.7, 0.6])
    assert choose_threshold(found, 0.8) == 0.6
    assert choose_threshold(found, 0.81) == 0.2
    assert choose_threshold(found, 1.0) == 0.2
    assert choose_threshold(found, 0.2) == 0.9
    assert measure_threshold(found, 0.6) == (0.8, None)


def test_every_video_counts_the_same_however_long() -> None:
    # A long video of ten windows at 0.9, and a short one of one at 0.3
    found = scores_of([0.9] * 10 + [0.3], weights=[0.1] * 10 + [1.0])
    assert choose_threshold(found, 0.5) == 0.9
    assert choose_threshold(found, 0.51) == 0.3


def test_with_nothing_it_lies_in_the_middle_of_the_gap() -> None:
    found = scores_of([0.9, 0.8, 0.7], quiet=[0.1, 0.3, 0.2])
    assert choose_threshold(found, 0.95) == 0.5
    assert measure_threshold(found, 0.5) == (1.0, 0.0)


def test_with_nothing_that_looks_like_something_the_best_of_both() -> None:
    # At 0.45: 3 of 4 kept, all silent. At 0.2 all kept, 2 of 4 silent.
    found = scores_of([0.9, 0.8, 0.5, 0.25], quiet=[0.1, 0.15, 0.3, 0.4])
    assert choose_threshold(found, 0.5) == 0.45
    assert measure_threshold(found, 0.45) == (0.75, 0.0)
    # But what must be kept is kept:
    assert choose_threshold(found, 0.95) <= 0.25
    kept, false = measure_threshold(found, choose_threshold(found, 0.95))
    assert (kept, false) == (1.0, 0.5)


def test_of_equals_the_widest_gap() -> None:
    # From 0.2 to 0.25 all is kept and half is silent; from 0.3 to 0.9 the other way round.
    found = scores_of([0.9, 0.25], quiet=[0.2, 0.3])
    assert choose_threshold(found, 0.5) == 0.6


def test_it_is_rounded_down_and_never_nothing() -> None:
    assert choose_threshold(scores_of([0.123456]), 1.0) == 0.1234
    assert choose_threshold(scores_of([1e-9]), 1.0) == 1e-4
    assert choose_threshold(scores_of([1.0]), 0.95) == 1.0


@pytest.mark.parametrize("keep", [0.0, 1.5, float("nan")])
def test_a_share_that_cannot_be_kept_is_refused(tiny_model: Path, keep: float) -> None:
    videos = VideoList((), (), "none", ())
    with pytest.raises(InputError, match="needs a share above 0, up to 1"):
        calibrate(load(tiny_model), videos, keep=keep)


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(tiny_model.read_bytes())
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a folder of two classes and, beside it, `quiet` of grey."""
    folder = tmp_path_factory.mktemp("data")
    for colour in ("red", "blue"):
        (folder / "clips" / colour).mkdir(parents=True)
        for number in range(3):
            frames = coloured((colour, 8 + 4 * number), seed=number)
            write_video(folder / "clips" / colour / f"{number}.mp4", frames, 8)
    (folder / "quiet").mkdir()
    write_video(folder / "quiet" / "g.mp4", coloured(("grey", 20)), 8)
    return folder


def test_windows_are_those_of_a_timeline(model: Path, data: Path) -> None:
    from s3d.data.videos import list_videos

    recognizer = load(model)
    listed = list_videos(data / "clips")
    found = calibrate(recognizer, listed, [str(data / "quiet" / "g.mp4")], keep=1.0).threshold
    right, windows = [], 0
    for video in listed.videos:
        timeline = recognizer.timeline(video.path)
        windows += timeline.windows
        number = recognizer.labels.index(video.label)
        right += [float(s[number]) for s in timeline.scores if s.argmax() == number]
    quiet = recognizer.timeline(data / "quiet" / "g.mp4").scores.max(1)
    assert (found.videos, found.windows) == (6, windows)
    assert found.protocol == recognizer.timeline(listed.videos[0].path).protocol
    assert found.value <= min(right)
    assert found.kept_share == 1.0
    assert found.nothing_windows == len(quiet) == 17
    assert found.false_share == pytest.approx(float((quiet >= found.value).mean()), abs=1e-4)


def test_a_video_half_of_which_is_right_counts_half(
    model: Path, data: Path, write_video: WriteVideo
) -> None:
    recognizer = load(model)
    mixed = write_video(data / "mixed.mp4", coloured(("red", 30), ("blue", 30)), 8)
    timeline = recognizer.timeline(mixed)
    share = float((timeline.scores.argmax(1) == recognizer.labels.index("red")).mean())
    assert 0.3 < share < 0.7
    videos = (Video(str(mixed), "red"), Video(str(data / "clips" / "red" / "0.mp4"), "red"))
    found = calibrate(recognizer, VideoList(videos, ("red",), "list", ())).threshold
    assert found.right_share == pytest.approx((share + 1) / 2, abs=1e-4)


def test_a_label_that_means_nothing_makes_videos_of_nothing(model: Path, data: Path) -> None:
    from s3d.data.videos import list_videos

    found = calibrate(load(model), list_videos(data / "clips"), nothing_labels=("blue",)).threshold
    assert (found.videos, found.nothing_windows, found.false_share) == (3, 5 + 9 + 13, 0.0)


def test_what_cannot_be_read_is_left_out_and_nothing_readable_is_refused(
    model: Path, data: Path, tmp_path: Path
) -> None:
    good, bad = data / "clips" / "red" / "0.mp4", tmp_path / "bad.mp4"
    bad.write_text("no video")
    videos = (Video(str(good), "red"), Video(str(bad), "red"))
    listed = VideoList(videos, ("red",), "list", ())
    found = calibrate(load(model), listed)
    assert found.threshold.videos == 1
    assert [path for path, _ in found.failures] == [str(bad)]
    with pytest.raises(InputError, match=r"not one of 1 videos can be used; last: .*bad\.mp4"):
        calibrate(load(model), VideoList(videos[1:], ("red",), "list", ()))
    wrong = VideoList((Video(str(good), "blue"),), ("blue",), "list", ())
    with pytest.raises(InputError, match="of 5 windows of 1 videos not one is labelled right"):
        calibrate(load(model), wrong)
    with pytest.raises(InputError, match="label 'green' is to mean nothing"):
        calibrate(load(model), listed, nothing_labels=("green",))
    unknown = VideoList((Video(str(good), "green"),), ("green",), "list", ())
    with pytest.raises(InputError, match="class 'green' is unknown to the model"):
        calibrate(load(model), unknown)


def test_a_metric_is_added_to_a_model_and_nothing_else_changes(model: Path) -> None:
    before, tensors = load_model(model), load_file(model)
    model.chmod(0o640)
    entry = {"metric": "noise", "value": 0.25, "protocol": "lärm"}
    add_metric(model, entry)
    add_metric(model, {"metric": "hum", "value": 1, "protocol": "x"})
    add_metric(model, {**entry, "value": 0.5})
    after = load_model(model)
    assert after.metrics[: len(before.metrics)] == before.metrics
    assert [m["metric"] for m in after.metrics[len(before.metrics) :]] == ["hum", "noise"]
    assert after.metrics[-1] == {**entry, "value": 0.5}
    assert (after.labels, after.spec, after.source) == (before.labels, before.spec, before.source)
    again = load_file(model)
    assert set(again) == set(tensors)
    assert all((again[name] == tensors[name]).all() for name in tensors)
    assert model.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in model.parent.iterdir()] == [model.name]
    other = model.with_name("other.safetensors")
    other.write_text("no model")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        add_metric(other, entry)


def test_the_verb_writes_what_a_timeline_then_takes(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(model), str(data / "clips")]
    assert main(["calibrate", *words]) == 0
    said = capsys.readouterr().out
    assert "false     not known: give videos in which nothing happens with --nothing" in said
    first = find_threshold(load_model(model).metrics)
    assert first is not None and f"threshold {first.value:g}\n" in said
    assert main(["calibrate", *words, "--nothing", str(data / "quiet"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    (entry,) = [m for m in load_model(model).metrics if m["metric"] == "nothing_threshold"]
    assert printed == entry
    assert entry["nothing_windows"] == 17
    assert entry["data"] == words[1]
    found = load(model).timeline(data / "clips" / "red" / "0.mp4")
    assert found.rule.enter == entry["value"]


def test_the_verb_refuses_in_one_line(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = str(data / "clips")
    assert "no such model file to write to" in refuse(capsys, "calibrate", "s3d-kinetics400", clips)
    assert "keep is 2" in refuse(capsys, "calibrate", model, clips, "--keep", "2")
    assert "stride is -1 s" in refuse(capsys, "calibrate", model, clips, "--stride", "-1")
    before = model.read_bytes()
    assert "no such folder" in refuse(capsys, "calibrate", model, data / "none")
    assert model.read_bytes() == before
