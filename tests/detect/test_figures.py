"""The made-up data set for detection: boxes are what is drawn, and only time tells some actions."""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from s3d.cli import sample_boxes
from s3d.data.actions import BACKWARDS, Stage
from s3d.data.made_folder import SPLITS
from s3d.data.scenes import draw_scene
from s3d.detect.figures import (
    FIGURE_ACTIONS,
    BoxSampleConfig,
    render_box_video,
    video,
    write_box_sample,
)
from s3d.detect.figures.figure import Figure, boxes_of, draw_figure
from s3d.detect.figures.write import plan_split, scene_of
from s3d.detect.tube import TrueTube
from s3d.errors import InputError

SMALL = BoxSampleConfig(3, 2, height_px=48, width_px=64, seconds=0.6)
HARD = replace(SMALL, difficulty=1.0)
EASY = replace(SMALL, difficulty=0.0)

Pictures = npt.NDArray[np.uint8]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def decode(path: Path) -> Pictures:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def contents_of(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def render_first(
    figures: int, seed: int, config: BoxSampleConfig, monkeypatch: pytest.MonkeyPatch
) -> tuple[Pictures, list[TrueTube], int]:
    """Render a video with only its first figures painted; return how many there would be."""
    painted = 0
    paint = video.__dict__["paint"]

    def paint_few(*words: object) -> None:
        nonlocal painted
        if painted < figures:
            paint(*words)
        painted += 1

    with monkeypatch.context() as patch:
        patch.setattr(video, "paint", paint_few)
        frames, _, tubes = render_box_video(seed, config)
    return frames, tubes, painted


def extent_of(changed: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the smallest box around what changed (H, W), pixel by pixel."""
    places = [(x, y) for y, row in enumerate(changed) for x, one in enumerate(row) if one]
    xs, ys = [x for x, _ in places], [y for _, y in places]
    return min(xs), min(ys), max(xs) + 1, max(ys) + 1


# What is drawn


@pytest.mark.parametrize("config", [EASY, HARD], ids=["easy", "hard"])
def test_boxes_are_the_extent_of_what_is_drawn(
    config: BoxSampleConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0
    for seed in range(4):
        _, tubes, count = render_first(9, seed, config, monkeypatch)
        for place in range(count):
            without, _, _ = render_first(place, seed, config, monkeypatch)
            drawn, _, _ = render_first(place + 1, seed, config, monkeypatch)
            changed = (without != drawn).any(3)
            for tube in (tube for tube in tubes if tube.track == str(place + 1)):
                for frame, box in zip(tube.frames, tube.boxes, strict=True):
                    assert tuple(box) == extent_of(changed[frame])
                    compared += 1
    assert compared > 50


def test_figures_without_a_box_are_seen_only_in_hard_videos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = {}
    for name, config in (("easy", EASY), ("hard", HARD)):
        seen[name] = idle = 0
        for seed in range(12):
            _, tubes, count = render_first(9, seed, config, monkeypatch)
            idle += count - len(tubes)
            ground, _, _ = render_first(0, seed, config, monkeypatch)
            first, _, _ = render_first(1, seed, config, monkeypatch)
            shown = set(np.flatnonzero((ground != first).any((1, 2, 3))).tolist())
            assert shown >= set(tubes[0].frames.tolist())
            seen[name] += len(shown - set(tubes[0].frames.tolist()))
        assert (idle > 0) == (name == "hard")
    assert seen["easy"] == 0
    assert seen["hard"] > 10


def test_boxes_of_a_cover_written_by_hand() -> None:
    cover = np.zeros((3, 5, 7), np.float32)
    cover[0, 1:3, 2:6] = 1
    cover[2, 4, 6] = 0.01
    frames, boxes = boxes_of(cover)
    assert frames.tolist() == [0, 2]
    assert boxes.tolist() == [[2, 1, 6, 3], [6, 4, 7, 5]]
    nothing, none = boxes_of(cover[1:2])
    assert nothing.size == 0
    assert none.shape == (0, 4)


def make_figure(action: str, seed: int) -> Figure:
    stage = Stage(
        size=(30, 96, 128),
        seconds=np.arange(30, dtype=np.float32) / 12,
        scene=draw_scene((1, 2), 0.5),
        difficulty=0.5,
        rng=np.random.default_rng(seed),
    )
    return draw_figure(action, stage, (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("action", "axis"), [("move_right", "x"), ("grow", "radius"), ("rotate_clockwise", "angle")]
)
def test_names_say_what_is_seen_and_pairs_are_one_process_reversed(action: str, axis: str) -> None:
    (backwards,) = (name for name, forwards in BACKWARDS.items() if forwards == action)
    for seed in range(8):
        one, other = make_figure(action, seed), make_figure(backwards, seed)
        assert (one.shape, one.colour) == (other.shape, other.colour)
        assert np.array_equal(one.acts, other.acts)
        rising, falling = (np.asarray(getattr(figure.pose, axis)) for figure in (one, other))
        assert (np.diff(rising[one.acts]) > 0).all()
        np.testing.assert_allclose(rising[one.acts], falling[one.acts][::-1], rtol=1e-5)
        # It stands still before and after.
        assert not np.diff(rising)[~(one.acts[1:] & one.acts[:-1])].any()


def test_spans_are_as_likely_as_their_mirror_images() -> None:
    acts = np.stack([make_figure("grow", seed).acts for seed in range(600)]).mean(0)
    assert acts[15] == 1
    assert 0.5 < acts[0] < 0.8
    np.testing.assert_allclose(acts, acts[::-1], atol=0.08)


def test_figures_of_a_video_do_different_things_and_seldom_overlap() -> None:
    counts, overlaps = [], 0
    for seed in range(40):
        frames, rate_fps, tubes = render_box_video(seed, HARD)
        assert len(frames) >= HARD.seconds * rate_fps
        assert frames.shape[1:] == (48, 64, 3)
        assert frames.dtype == np.uint8
        assert len({tube.label for tube in tubes}) == len({tube.track for tube in tubes})
        counts.append(len(tubes))
        assert all(tube.boxes.shape == (len(tube.frames), 4) for tube in tubes)
        overlaps += any(overlap(one, other) > 0.25 for one, other in combinations(tubes, 2))
    assert set(counts) == {1, 2, 3}
    assert counts.count(2) > 20
    assert overlaps <= 4


def overlap(one: TrueTube, other: TrueTube) -> float:
    """Return the largest part of a box that lies in the other's of the same frame."""
    most = 0.0
    boxes = dict(zip(other.frames.tolist(), other.boxes, strict=True))
    for frame, box in zip(one.frames.tolist(), one.boxes, strict=True):
        if frame in boxes:
            sides = np.minimum(box[2:], boxes[frame][2:]) - np.maximum(box[:2], boxes[frame][:2])
            areas = [np.prod(each[2:] - each[:2]) for each in (box, boxes[frame])]
            most = max(most, float(np.prod(np.maximum(sides, 0)) / min(areas)))
    return most


def test_actions_begin_and_end_within_videos() -> None:
    late = early = 0
    for seed in range(20):
        frames, _, tubes = render_box_video(seed, SMALL)
        for tube in tubes:
            assert (np.diff(tube.frames) == 1).all()
            late += tube.frames[0] > 0
            early += tube.frames[-1] < len(frames) - 1
    assert min(late, early) > 5


def test_same_seed_same_video() -> None:
    one, other = render_box_video(5, SMALL), render_box_video(5, SMALL)
    assert np.array_equal(one[0], other[0])
    assert one[1] == other[1]
    for left, right in zip(one[2], other[2], strict=True):
        assert np.array_equal(left.boxes, right.boxes)
    third = render_box_video(6, SMALL)[0]
    assert third.shape != one[0].shape or not np.array_equal(third, one[0])


# What is written


def test_tables_tell_every_frame_and_fit_the_files(tmp_path: Path) -> None:
    config = replace(EASY, train_videos=5)
    summary = write_box_sample(tmp_path / "new", config)
    assert (summary.train_videos, summary.test_videos, summary.written) == (5, 2, 7)
    empty = 0
    for split, table in zip(SPLITS, (summary.train_csv, summary.test_csv), strict=True):
        rows = read_rows(table)
        assert list(rows[0]) == ["video", "frame", "x1", "y1", "x2", "y2", "label", "track"]
        for entry in plan_split(split, config):
            mine = [row for row in rows if row["video"] == entry.path]
            frames, _, tubes = render_box_video(entry.seed, config, scene_of(entry, config))
            decoded = decode(table.parent / entry.path)
            assert decoded.shape == frames.shape
            # As it was drawn, but for what compression costs.
            assert np.abs(decoded.astype(int) - frames).mean() < 10
            numbers = [int(row["frame"]) for row in mine]
            assert numbers == sorted(numbers)
            assert set(numbers) == set(range(len(frames)))
            expected = {
                (int(frame), config.actions[tube.label], tube.track, *map(int, box))
                for tube in tubes
                for frame, box in zip(tube.frames, tube.boxes, strict=True)
            }
            boxed = [row for row in mine if row["label"]]
            assert {
                (int(r["frame"]), r["label"], r["track"], *(int(r[c]) for c in BOX)) for r in boxed
            } == expected
            assert len(boxed) == len(expected)
            bare = [row for row in mine if not row["label"]]
            assert not any(row[name] for row in bare for name in (*BOX, "track"))
            busy = {int(row["frame"]) for row in boxed}
            assert [int(row["frame"]) for row in bare] == sorted(set(numbers) - busy)
            empty += len(bare)
    assert empty > 0


BOX = ("x1", "y1", "x2", "y2")


def test_test_shows_no_scene_of_train() -> None:
    config = replace(SMALL, train_videos=60, test_videos=20)
    scenes = {
        split: {scene_of(entry, config) for entry in plan_split(split, config)} for split in SPLITS
    }
    assert not scenes["train"] & scenes["test"]
    assert len(scenes["train"]) > len(scenes["test"]) > 3
    seeds = [entry.seed for split in SPLITS for entry in plan_split(split, config)]
    assert len(set(seeds)) == 80


def test_same_seed_same_bytes_and_other_seed_other_bytes(tmp_path: Path) -> None:
    first = contents_of(write_box_sample(tmp_path / "a", SMALL).directory)
    assert contents_of(write_box_sample(tmp_path / "b", SMALL).directory) == first
    other = contents_of(write_box_sample(tmp_path / "c", replace(SMALL, seed=1)).directory)
    assert other.keys() == first.keys()
    assert all(other[name] != first[name] for name in first)


def test_interrupted_run_continues_and_whole_one_is_left(tmp_path: Path) -> None:
    whole = contents_of(write_box_sample(tmp_path / "a", SMALL).directory)
    counts: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        counts.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_box_sample(tmp_path / "b", SMALL, stop)
    assert counts == [(1, 5), (2, 5)]
    assert not (tmp_path / "b" / "train.csv").exists()
    (tmp_path / "b" / "train" / ".00001.mp4.99.part").write_bytes(b"killed here")
    assert write_box_sample(tmp_path / "b", SMALL).written <= 3
    assert contents_of(tmp_path / "b") == whole
    changed = {path: path.stat().st_mtime_ns for path in (tmp_path / "b").rglob("*")}
    assert write_box_sample(tmp_path / "b", SMALL, stop).written == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "b").rglob("*")} == changed


# What is refused


def test_other_peoples_directories_are_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"holds other things \(holiday.mp4\); choose a new"):
        write_box_sample(tmp_path, SMALL)
    assert contents_of(tmp_path) == {"holiday.mp4": b"mine"}
    write_box_sample(tmp_path / "ours", SMALL)
    with pytest.raises(InputError, match="other settings"):
        write_box_sample(tmp_path / "ours", replace(SMALL, figures=3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_videos": 0}, "train_videos is 0; it needs a whole number from 1"),
        ({"test_videos": -1}, "test_videos is -1; it needs a whole number from 0"),
        ({"seed": 0.5}, "seed is 0.5; it needs a whole number"),
        ({"difficulty": float("nan")}, "difficulty is nan; it needs a number from 0.0 to 1.0"),
        ({"seconds": 0.1}, "seconds is 0.1; it needs a number from 0.5 to 20.0"),
        ({"figures": 5}, "figures is 5; it needs a whole number from 1 to 4"),
        ({"height_px": 51}, "height_px is 51; H.264 needs an even number"),
        ({"width_px": 8}, "width_px is 8; it needs a whole number from 48 to 512"),
        ({"actions": ()}, "no actions asked for; choose from move_left"),
        ({"actions": ("grow", "grow")}, "actions name one twice: grow, grow"),
        ({"actions": ("approach",)}, "unknown action 'approach'. Known: move_left"),
        ({"actions": ("grow",)}, "2 figures are to do different things, of 1 actions; ask for"),
        (
            {"height_px": 512, "width_px": 512, "seconds": 20.0},
            "videos of 512x512 px and 20 s are too large to be drawn in memory; ask for smaller",
        ),
    ],
)
def test_config_errors(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_seed_error() -> None:
    with pytest.raises(InputError, match="seed is -3; it needs a whole number from 0"):
        render_box_video(-3, SMALL)


# The verb


def run_verb(*words: str) -> int:
    parser = argparse.ArgumentParser()
    sample_boxes.add(parser.add_subparsers())
    return sample_boxes.run(parser.parse_args(["sample-boxes", *words]))


def test_the_verb_writes_what_its_options_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--train-videos 2 --test-videos 1 --size 64x48 --seconds 0.5 --actions grow,shrink"
    assert run_verb(str(tmp_path / "new"), *words.split(), "--figures", "1", "--seed", "4") == 0
    assert "2 videos to learn from" in capsys.readouterr().out
    rows = read_rows(tmp_path / "new" / "train.csv")
    assert {row["label"] for row in rows} <= {"grow", "shrink", ""}
    assert decode(tmp_path / "new" / "test" / "00000.mp4").shape[1:] == (48, 64, 3)


@pytest.mark.parametrize("size", ["big", "64", "64x", "-2x64", "1x2x3", "9999999x64"])
def test_the_verb_refuses_sizes(size: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--size is '.*'; it needs width and height in px"):
        run_verb(str(tmp_path / "new"), f"--size={size}")
    assert not (tmp_path / "new").exists()


def test_all_actions_are_done() -> None:
    labels = {tube.label for seed in range(15) for tube in video.find_tubes(seed, SMALL)[1]}
    assert labels == set(range(len(FIGURE_ACTIONS)))
