"""The sample data: the same from the same seed, whole on disk, and without a leak of order."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from s3d.data import actions, synthetic
from s3d.data.actions import BACKWARDS, PROCESSES
from s3d.data.scenes import (
    SHAPES,
    TEXTURES,
    TURNING_SHAPES,
    Pose,
    cover_of,
    sprite_of,
    texture_of,
)
from s3d.data.synthetic import (
    ACTIONS,
    APPEARANCES,
    ORDER_PAIRS,
    SampleConfig,
    render_video,
    write_sample,
)
from s3d.errors import InputError

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SMALL = SampleConfig(3, 2, size_px=32, seconds=0.5, actions=("grow", "shrink"))


def decode(source: Path | io.BytesIO) -> tuple[Frames, float]:
    with av.open(source if isinstance(source, io.BytesIO) else str(source)) as container:
        rate = container.streams.video[0].average_rate
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames), float(rate or 0)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# What is drawn


def test_every_action_has_a_process_and_a_partner() -> None:
    assert set(ACTIONS) | set(APPEARANCES) == set(PROCESSES) | set(BACKWARDS)
    assert not set(APPEARANCES) & {name for pair in ORDER_PAIRS for name in pair}
    assert all({BACKWARDS.get(a, a)} == {BACKWARDS.get(b, b)} for a, b in ORDER_PAIRS)


@pytest.mark.parametrize("pair", ORDER_PAIRS, ids=lambda pair: pair[0])
def test_members_of_a_pair_are_one_process_reversed(pair: tuple[str, str]) -> None:
    config = replace(SMALL, difficulty=1.0)
    for seed in range(5):
        first, first_fps = render_video(pair[0], seed, config)
        second, second_fps = render_video(pair[1], seed, config)
        assert first_fps == second_fps
        assert np.array_equal(first, second[::-1])
        assert not np.array_equal(first, second)


@pytest.mark.parametrize("quantiser", [16, 36])
def test_compression_does_not_tell_the_order(quantiser: int) -> None:
    frames, rate_fps = render_video("move_right", 3, SMALL)
    forwards = synthetic.encode_video(frames, rate_fps, quantiser)
    backwards = synthetic.encode_video(frames[::-1], rate_fps, quantiser)
    decoded = decode(io.BytesIO(forwards))[0]
    assert np.array_equal(decoded, decode(io.BytesIO(backwards))[0][::-1])
    assert np.abs(decoded.astype(int) - frames).mean() < 20


@pytest.mark.parametrize("action", [*ACTIONS, *APPEARANCES])
@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_something_moves_in_every_video(action: str, difficulty: float) -> None:
    config = replace(SMALL, difficulty=difficulty, seconds=2.0)
    for seed in range(4):
        frames, _ = render_video(action, seed, config)
        assert frames.dtype == np.uint8
        assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
        # Far above noise: part of the picture changes by a fifth of the range or more.
        grey = frames.mean(3)
        assert np.percentile(grey.max(0) - grey.min(0), 97) > 50


def test_clockwise_is_clockwise() -> None:
    size = (1, 64, 64)
    upright, turned = (cover_of("arrow", Pose(0.5, 0.5, 0.4, a), size)[0] for a in (0, np.pi / 2))
    rows = upright.sum(1)
    assert rows[14] < rows[28]  # It points up.
    assert np.abs(turned - np.rot90(upright, -1)).mean() < 0.02


@pytest.mark.parametrize(
    ("action", "measure"),
    [
        ("move_right", lambda covers: centres_of(covers[0])[0]),
        ("grow", lambda covers: covers[0].sum((1, 2))),
        ("appear", lambda covers: covers[0].sum((1, 2))),
        ("open", lambda covers: -covers[2].sum((1, 2))),
        ("approach", lambda covers: -distance_of(covers[0], covers[1])),
    ],
)
def test_names_say_what_is_seen(
    action: str, measure: Callable[[list[Floats]], Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    covers: list[Floats] = []
    monkeypatch.setattr(actions, "paint", lambda frames, cover, colour: covers.append(cover))
    for seed in range(4):
        covers.clear()
        render_video(action, seed, replace(SMALL, difficulty=0.0, seconds=2.0, size_px=64))
        rises = np.diff(measure(covers)) > 0
        assert rises.mean() > 0.7


def centres_of(cover: Floats) -> tuple[Floats, Floats]:
    weight = cover / np.maximum(cover.sum((1, 2), keepdims=True), 1e-6)
    return (weight.sum(1) @ np.arange(cover.shape[2])), (weight.sum(2) @ np.arange(cover.shape[1]))


def distance_of(one: Floats, other: Floats) -> Floats:
    (x1, y1), (x2, y2) = centres_of(one), centres_of(other)
    return np.hypot(x1 - x2, y1 - y2)


@pytest.mark.parametrize("name", SHAPES)
def test_sprites_are_neither_empty_nor_full(name: str) -> None:
    sprite = sprite_of(name)
    assert 0.15 < sprite.mean() < 0.75
    assert sprite[0].max() == sprite[-1].max() == sprite[:, 0].max() == sprite[:, -1].max() == 0


@pytest.mark.parametrize("name", TURNING_SHAPES)
def test_turning_shapes_look_alike_at_no_other_angle(name: str) -> None:
    poses = (Pose(0.5, 0.5, 0.5, turn * np.pi / 6) for turn in range(12))
    upright, *others = (cover_of(name, pose, (1, 64, 64)) for pose in poses)
    assert all(np.abs(upright - other).mean() > 0.04 for other in others)


@pytest.mark.parametrize("name", TEXTURES)
def test_textures_have_no_seam(name: str) -> None:
    texture = texture_of(name, 1)
    assert (texture.min(), texture.max()) == (0, 1)
    for axis in (0, 1):
        steps = np.abs(texture - np.roll(texture, 1, axis)).mean(1 - axis)
        assert steps[0] <= 3 * steps.mean() + 0.02


# What is written


def test_files_are_what_the_list_says(tmp_path: Path) -> None:
    summary = write_sample(tmp_path / "new", SMALL)
    assert (summary.train_clips, summary.test_clips, summary.written) == (6, 4, 10)
    for table in (summary.train_csv, summary.test_csv):
        for row in read_csv(table):
            frames, rate_fps = decode(summary.directory / row["path"])
            size = tuple(int(row[name]) for name in ("frames", "height", "width"))
            assert frames.shape == (*size, 3)
            assert rate_fps == float(row["rate_fps"])
            assert size[0] / rate_fps >= SMALL.seconds
            assert Path(row["path"]).parts[:2] == (table.stem, row["label"])


def test_the_list_tells_how_to_draw_a_file_again(tmp_path: Path) -> None:
    summary = write_sample(tmp_path, SMALL)
    row = read_csv(summary.train_csv)[3]
    scene = synthetic.scene_of("train", int(row["group"].split("_")[1]), SMALL)
    drawn, _ = render_video(row["label"], int(row["seed"]), SMALL, scene)
    again = synthetic.encode_video(drawn, int(row["rate_fps"]), int(row["quantiser"]))
    assert again == (tmp_path / row["path"]).read_bytes()


def test_train_and_test_share_no_scene_and_classes_share_all(tmp_path: Path) -> None:
    config = replace(SMALL, train_clips_per_class=30, test_clips_per_class=10)
    plans = {split: synthetic.plan_split(split, config) for split in synthetic.SPLITS}
    train, test = ({entry.group for entry in plan} for plan in plans.values())
    assert not train & test
    assert len(train) == config.count_scenes("train")
    scenes = {synthetic.scene_of(s, i, config) for s in plans for i in range(4)}
    assert len(scenes) == 8
    for plan in plans.values():
        groups = [sorted(e.group for e in plan if e.label == a) for a in config.actions]
        assert groups[0] == groups[1]
    seeds = [entry.seed for plan in plans.values() for entry in plan]
    assert len(set(seeds)) == len(seeds)


def test_same_seed_same_bytes_and_other_seed_other_bytes(tmp_path: Path) -> None:
    first = contents_of(write_sample(tmp_path / "a", SMALL).directory)
    assert contents_of(write_sample(tmp_path / "b", SMALL).directory) == first
    other = contents_of(write_sample(tmp_path / "c", replace(SMALL, seed=1)).directory)
    assert other.keys() == first.keys()
    assert all(other[name] != first[name] for name in first)


def test_fewer_actions_give_the_same_videos(tmp_path: Path) -> None:
    both = contents_of(write_sample(tmp_path / "a", SMALL).directory)
    one = contents_of(write_sample(tmp_path / "b", replace(SMALL, actions=("grow",))).directory)
    videos = [name for name in one if name.endswith(".mp4")]
    assert len(videos) == 5
    assert all(one[name] == both[name] for name in videos)


def test_interrupted_run_continues_and_whole_one_is_left(tmp_path: Path) -> None:
    whole = contents_of(write_sample(tmp_path / "a", SMALL).directory)
    counts: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        counts.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "b", SMALL, stop)
    assert counts == [(1, 10), (2, 10), (3, 10), (4, 10)]
    assert not (tmp_path / "b" / "train.csv").exists()
    (tmp_path / "b" / "train" / "grow" / ".00001.mp4.99.part").write_bytes(b"killed here")
    assert 1 <= write_sample(tmp_path / "b", SMALL).written <= 6
    assert contents_of(tmp_path / "b") == whole
    changed = {path: path.stat().st_mtime_ns for path in (tmp_path / "b").rglob("*")}
    assert write_sample(tmp_path / "b", SMALL, stop).written == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "b").rglob("*")} == changed


def contents_of(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


# What is refused


def test_directory_with_other_things_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"holds other things \(holiday.mp4\); choose a new"):
        write_sample(tmp_path, SMALL)
    assert contents_of(tmp_path) == {"holiday.mp4": b"mine"}


def test_somebody_elses_train_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match=r"holds other things \(train\)"):
        write_sample(tmp_path, SMALL)


def test_other_settings_are_refused(tmp_path: Path) -> None:
    write_sample(tmp_path, SMALL)
    with pytest.raises(InputError, match="other settings"):
        write_sample(tmp_path, replace(SMALL, seed=4))


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file is a file; the sample data needs a directory"):
        write_sample(tmp_path / "file", SMALL)
    with pytest.raises(InputError, match=r"inside: the folder cannot be made \(Not a directory\)"):
        write_sample(tmp_path / "file" / "inside", SMALL)


def test_full_disk_is_one_line_and_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(InputError, match=r"sample.json: cannot be written \(No space left"):
        write_sample(tmp_path, SMALL)
    assert contents_of(tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"train_clips_per_class": 0},
            "train_clips_per_class is 0; it needs a whole number from 1",
        ),
        ({"test_clips_per_class": 2.5}, "test_clips_per_class is 2.5; it needs a whole number"),
        ({"seed": -1}, "seed is -1; it needs a whole number from 0"),
        ({"difficulty": 1.5}, "difficulty is 1.5; it needs a number from 0.0 to 1.0"),
        ({"difficulty": float("nan")}, "difficulty is nan"),
        ({"size_px": 8}, "size_px is 8; it needs a whole number from 32 to 512"),
        ({"seconds": 0.1}, "seconds is 0.1; it needs a number from 0.5 to 60.0"),
        ({"seconds": True}, "seconds is True"),
        ({"actions": ()}, "no actions asked for; choose from move_left"),
        ({"actions": ("grow", "grow")}, "actions name one twice: grow, grow"),
        (
            {"actions": ("shrnk",)},
            "unknown action 'shrnk'. Did you mean shrink[?] Known: move",
        ),
        ({"actions": ("zzz",)}, "unknown action 'zzz'. Known: move_left"),
    ],
)
def test_config_errors(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_render_errors() -> None:
    with pytest.raises(InputError, match="unknown action 'fly'"):
        render_video("fly", 0, SMALL)
    with pytest.raises(InputError, match="seed is -3; it needs a whole number from 0"):
        render_video("grow", -3, SMALL)
