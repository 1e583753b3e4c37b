"""Flow of folders: the tree is kept, what is done is not done again, one bad file stops nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from s3d.data.decode import read_frames
from s3d.data.flow.compute import FlowRecipe, compute_flow, to_grey
from s3d.data.flow.file import probe_flow
from s3d.data.flow.folder import FlowResult, FlowWorkers, compute_all, plan_flow
from s3d.data.flow.levels import quantise_flow
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.data.moving import slide

RECIPE = FlowRecipe(short_side_px=32)
SIZE = (32, 40)


@pytest.fixture
def videos(tmp_path: Path, write_video: WriteVideo) -> Path:
    """Return a folder of three videos in two folders, and things that are none."""
    folder = tmp_path / "videos"
    for number, name in enumerate(("a/2.mp4", "a/10.mp4", "b/c/1.mkv")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, slide(4 + number, SIZE, (1 + number, 0)), 25)
    (folder / "a" / "notes.txt").write_text("no video")
    (folder / "a" / ".hidden.mp4").write_bytes(b"x")
    return folder


def run(videos: Path, out: Path, recipe: FlowRecipe = RECIPE, threads: int = 1) -> list[FlowResult]:
    with FlowWorkers(recipe, threads) as workers:
        return list(compute_all(plan_flow([str(videos)], out), workers))


def test_the_tree_is_kept(videos: Path, tmp_path: Path) -> None:
    out = videos / "flow"
    names = ["a/2.mp4.flow.mp4", "a/10.mp4.flow.mp4", "b/c/1.mkv.flow.mp4"]
    for _ in range(2):  # What was written before is no video to compute flow of.
        jobs = plan_flow([str(videos)], out)
        assert [job.target for job in jobs] == [out / name for name in names]
        with FlowWorkers(RECIPE) as workers:
            assert all(result.error is None for result in compute_all(jobs, workers))
    assert sorted(p for p in out.rglob("*") if p.is_file()) == sorted(out / n for n in names)


def test_flow_is_of_the_resized_frames(videos: Path, tmp_path: Path) -> None:
    told: list[int] = []
    with FlowWorkers(FlowRecipe(short_side_px=48)) as workers:
        jobs = plan_flow([str(videos / "a" / "2.mp4")], tmp_path / "out")
        (result,) = compute_all(jobs, workers, told.append)
    assert (result.error, result.pairs, sum(told)) == (None, 3, 3)
    info = probe_flow(result.job.target)
    assert (info.frames, info.height_px, info.width_px) == (3, 48, 60)
    assert info.parameters == FlowRecipe(short_side_px=48).parameters()
    assert (info.source["name"], info.source["frames"]) == ("2.mp4", 4)
    assert (info.source["height_px"], info.source["width_px"]) == SIZE
    across = read_frames(result.job.target, range(3))[:, 8:-8, 8:-8, 0].mean()
    assert across == pytest.approx(127.5 + 1.5 * 6.375, abs=1)  # 1 px of 32 is 1.5 of 48


def test_what_is_done_is_not_done_again(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert [result.pairs for result in run(videos, out)] == [3, 4, 5]
    (out / "a" / "2.mp4.flow.mp4").unlink()
    assert [result.pairs for result in run(videos, out)] == [3, 0, 0]
    others = run(videos, out, FlowRecipe(short_side_px=36))
    assert [result.pairs for result in others] == [0, 0, 0]
    assert all("settings (short_side_px 32, not 36)" in str(r.error) for r in others)


def test_a_changed_video_is_done_again(
    videos: Path, tmp_path: Path, write_video: WriteVideo
) -> None:
    run(videos, tmp_path / "out")
    write_video(videos / "a" / "2.mp4", slide(4, SIZE, (3, 3)), 25)
    assert [result.pairs for result in run(videos, tmp_path / "out")] == [3, 0, 0]


def test_one_bad_file_is_one_line(videos: Path, tmp_path: Path, write_video: WriteVideo) -> None:
    (videos / "a" / "1.mp4").write_bytes(b"no video at all")
    write_video(videos / "a" / "3.mp4", slide(1, SIZE, (0, 0)))
    (tmp_path / "out" / "b" / "c").mkdir(parents=True)
    (tmp_path / "out" / "b" / "c" / "1.mkv.flow.mp4").write_bytes(b"something of a person's")
    results = run(videos, tmp_path / "out", threads=1)
    errors = [result.error or "" for result in results]
    assert [result.pairs for result in results] == [0, 3, 0, 4, 0]
    assert "1.mp4: is not a video" in errors[0]
    assert errors[2].endswith("3.mp4: has 1 frame; flow needs at least 2. Leave it out.")
    assert "1.mkv.flow.mp4: is not a video" in errors[4]
    assert (tmp_path / "out" / "b" / "c" / "1.mkv.flow.mp4").read_bytes()[:4] == b"some"
    assert not list((tmp_path / "out").rglob("*.part"))


def test_what_a_killed_run_was_writing_is_removed(videos: Path, tmp_path: Path) -> None:
    left = tmp_path / "out" / "a" / ".2.mp4.flow.mp4.123.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    run(videos, tmp_path / "out")
    assert not left.exists()


def test_videos_that_would_share_a_target_are_refused(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would both become"):
        plan_flow([str(videos / "a"), str(videos / "a" / "2.mp4"), str(videos / "b" / "c"),
                   str(videos / ".." / "videos" / "a")], tmp_path)  # fmt: skip
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="none: holds no videos"):
        plan_flow([str(tmp_path / "none")], tmp_path)
    with pytest.raises(InputError, match="threads is 0; at least 1 is needed"):
        FlowWorkers(RECIPE, 0)


def test_parts_are_the_flow_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = to_grey(slide(8, SIZE, (1, 0)))
    wanted = quantise_flow(compute_flow(frames))
    with FlowWorkers(RECIPE) as workers:
        workers.pairs_a_task = 3
        parts = list(workers.compute(iter(frames)))
        assert [len(part) for part in parts] == [3, 3, 1]
        # Small pairs that are worked on together share the number of steps.
        difference = np.abs(np.concatenate(parts).astype(int) - wanted)
        assert difference.mean() < 0.1
        assert difference.max() <= 2
        assert list(workers.compute(iter(frames[:1]))) == []


def test_no_room_is_lost_when_a_video_ends_badly() -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from to_grey(slide(12, SIZE, (1, 0)))
        raise InputError("broken")

    with FlowWorkers(RECIPE) as workers:
        workers.pairs_a_task = 1
        room = workers.slots._value
        for _ in range(2):
            with pytest.raises(InputError, match="broken"):
                list(workers.compute(frames()))
            with pytest.raises(InputError, match="at least 16"):
                list(workers.compute(iter(np.zeros((9, 8, 8), np.uint8))))
        assert workers.slots._value == room


@pytest.mark.slow
def test_processes_give_the_same_and_one_that_is_killed_is_said(
    videos: Path, tmp_path: Path
) -> None:
    run(videos, tmp_path / "one")
    assert [result.pairs for result in run(videos, tmp_path / "two", threads=2)] == [3, 4, 5]
    for path in (tmp_path / "one").rglob("*.mp4"):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        np.testing.assert_array_equal(read_frames(path, range(3)), read_frames(other, range(3)))
    with FlowWorkers(RECIPE, 2) as workers:
        list(workers.compute(to_grey(slide(3, SIZE, (1, 0)))))
        for process in list(workers.executor._processes.values()):  # type: ignore[attr-defined]
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(InputError, match="a process that computed flow was killed"):
            list(compute_all(plan_flow([str(videos)], tmp_path / "three"), workers))
    assert not [path for path in (tmp_path / "three").rglob("*") if path.is_file()]


def test_names_with_brackets_are_cleaned_up_too(tmp_path: Path, write_video: WriteVideo) -> None:
    video = write_video(tmp_path / "[a]*?.mp4", slide(3, SIZE, (1, 0)))
    left = tmp_path / "out" / ".[a]*?.mp4.flow.mp4.9.part"
    left.parent.mkdir()
    left.write_bytes(b"half")
    assert [result.error for result in run(video, tmp_path / "out")] == [None]
    assert not left.exists()


def test_lists_and_data_sets_name_videos_too(videos: Path, tmp_path: Path) -> None:
    table = videos / "list.csv"
    table.write_text("path,label\na/2.mp4,x\na/10.mp4,y\n")
    out = tmp_path / "out"
    (job,) = [job for job in plan_flow([f"{table}"], out) if job.source.endswith("2.mp4")]
    assert job.target == out / "a" / "2.mp4.flow.mp4"
    assert len(plan_flow([str(table)], out)) == 2
