"""The rows of the transfer benchmark: none is lost, measured twice, or of another trunk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import few_clips, transfer
from benchmarks.few_clips import CLASSES, draw_sample
from benchmarks.transfer_rows import Job, RowFolder, make_row, read_lines
from s3d.data.synthetic import ACTIONS, APPEARANCES, SampleConfig
from s3d.data.videos import list_videos
from tests.tiny import TINY

TRUNK = ("motion-small", "aaaa")
FIGHT = Job("fights", "trunk", 0, fold=2)
FEW = Job("sample", "scratch", 1, clips_per_class=5)
MEASURED = {"top1": 0.7, "mean_class_accuracy": 0.7, "test_videos": 60, "minutes": 1.0}


def open_rows(tmp_path: Path, trunk: str = "aaaa") -> RowFolder:
    return RowFolder(tmp_path / "work", trunk, tmp_path / "results" / "transfer.json")


def read_record(tmp_path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((tmp_path / "results/transfer.json").read_text())
    return values


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let nothing be trained, and return the names of the jobs that would have been."""
    names: list[str] = []

    def measure(job: Job, work: Path, trunk: tuple[str, str]) -> dict[str, Any]:
        names.append(job.name)
        return MEASURED

    monkeypatch.setattr(transfer, "measure", measure)
    monkeypatch.setattr(transfer, "describe", lambda trunk: {"trunk": {"sha256": trunk[1]}})
    return names


def test_every_row_is_measured_once(tmp_path: Path, told: list[str]) -> None:
    for jobs in ([FIGHT], [FIGHT, FEW], [FEW]):
        transfer.work_off(jobs, open_rows(tmp_path), TRUNK)
    assert told == ["fights_trunk_fold2_seed0", "sample_scratch_05_seed1"]
    rows = read_record(tmp_path)["rows"]
    assert [(row["data"], row["fold"], row["clips_per_class"]) for row in rows] == [
        ("fights", 2, None),
        ("sample", None, 5),
    ]
    assert [row["trunk"] for row in rows] == ["aaaa", None]


def test_a_row_outlives_its_folder(tmp_path: Path, told: list[str]) -> None:
    transfer.work_off([FIGHT], open_rows(tmp_path), TRUNK)
    (tmp_path / "work").rename(tmp_path / "gone")
    transfer.work_off([FIGHT, FEW], open_rows(tmp_path), TRUNK)
    assert told == ["fights_trunk_fold2_seed0", "sample_scratch_05_seed1"]
    assert len(read_record(tmp_path)["rows"]) == 2


def test_what_another_process_is_at_is_left_to_it(tmp_path: Path, told: list[str]) -> None:
    other = open_rows(tmp_path)
    claim = other.claim(FIGHT)
    assert claim is not None
    with claim:
        transfer.work_off([FIGHT, FEW], open_rows(tmp_path), TRUNK)
    assert told == ["sample_scratch_05_seed1"]
    other.keep(make_row(FIGHT, MEASURED, "aaaa"))
    assert len(open_rows(tmp_path).collect({})) == 2


def test_another_trunk_has_rows_of_its_own(tmp_path: Path, told: list[str]) -> None:
    jobs = [FIGHT, Job("fights", "scratch", 0, fold=2)]
    transfer.work_off(jobs, open_rows(tmp_path), TRUNK)
    transfer.work_off(jobs, open_rows(tmp_path, "bbbb"), ("motion-small", "bbbb"))
    assert told == ["fights_trunk_fold2_seed0", "fights_scratch_fold2_seed0", *told[:1]]
    assert {row["trunk"] for row in read_record(tmp_path)["rows"]} == {None, "bbbb"}


def test_rows_of_elsewhere_are_taken_in(tmp_path: Path) -> None:
    lines = tmp_path / "rows.jsonl"
    line = {"data": "fights", "start": "scratch", "seed": 2, "fold": 1, "top1": 0.61,
            "mean_class_accuracy": 0.6, "test_videos": 59, "minutes_this_time": 12.5}  # fmt: skip
    lines.write_text(json.dumps(line) + "\n\n")
    (row,) = read_lines(lines, "aaaa")
    assert (row["top1"], row["minutes"], row["clips_per_class"]) == (0.61, 12.5, None)
    assert "minutes_this_time" not in row
    folder = open_rows(tmp_path)
    folder.keep(row)
    assert folder.has(Job("fights", "scratch", 2, fold=1))
    assert not folder.has(Job("fights", "scratch", 2, fold=0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top1": None}, "line 1: lacks top1; a row needs them all"),
        ({"top1": 61.0}, "line 1: top1 is 61.0; it needs a share"),
        ({"start": "trunk"}, "line 1: is of another trunk than the one shipped"),
        ({"fold": None}, r"a row has a fold \(fights\) or clips_per_class"),
    ],
)
def test_rows_that_cannot_be_counted_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    line = {"data": "fights", "start": "scratch", "seed": 2, "fold": 1, "top1": 0.6,
            "test_videos": 59, **change}  # fmt: skip
    whole = {key: value for key, value in line.items() if value is not None}
    (tmp_path / "rows.jsonl").write_text(json.dumps(whole))
    with pytest.raises(SystemExit, match=message):
        read_lines(tmp_path / "rows.jsonl", "aaaa")


def test_a_subset_can_be_asked_for() -> None:
    jobs = transfer.plan_jobs(["fights/trunk@none", "sample/scratch"], [1], [2], [5, 20])
    assert [job.name for job in jobs] == [
        "fights_trunk@none_fold2_seed1",
        "sample_scratch_05_seed1",
        "sample_scratch_20_seed1",
    ]
    assert transfer.plan_jobs(["fights/probe"], [1, 2], [0], []) == []
    assert len(transfer.plan_jobs(transfer.ROWS, [0, 1, 2], [0, 1, 2, 3], [5, 10, 20])) == 55
    with pytest.raises(SystemExit, match="--rows fights/probes: unknown; rows are fights/trunk"):
        transfer._check_rows(["fights/probes"])


def test_defaults_are_what_is_trained_with() -> None:
    """Nothing is said but the seed, and for scratch that nothing is to be started from."""
    assert transfer._train_options(FIGHT) == {"init": None, "seed": 0}
    assert transfer._train_options(FEW) == {"init": "none", "seed": 1}
    frozen = Job("fights", "trunk@mixed4f", 0, fold=0)
    assert transfer._train_options(frozen)["freeze_until"] == "mixed4f"


@pytest.mark.parametrize("start", ["scratch", "trunk"])
def test_a_row_is_trained_and_scored(
    tmp_path: Path, colours: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    """The row says what the run says of itself: what it started from, and what stayed as it was."""
    trunk, options = transfer.find_trunk(), transfer._train_options
    short = {k: v for k, v in TINY.items() if k not in ("network", "width")} | {"epochs": 1}
    monkeypatch.setattr(transfer, "draw_sample", lambda folder, size, seed: (colours, colours))
    monkeypatch.setattr(transfer, "_train_options", lambda job: {**short, **options(job)})
    job = Job("sample", start, 1, clips_per_class=5)
    found = transfer.measure(job, tmp_path, trunk)
    assert found["test_videos"] == 16
    assert 0 <= found["top1"] <= 1
    assert found["started_from"] == (trunk[0] if start == "trunk" else None)
    assert found["frozen_until"] in ((None, "mixed4f") if start == "trunk" else (None,))
    folder = tmp_path / "run"
    for name in ("report.html", "frozen/report.html"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("one")
    assert transfer._kept_frozen(folder)
    (folder / "report.html").write_text("two")
    assert not transfer._kept_frozen(folder)


def test_test_scenes_are_in_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def config(seed: int) -> SampleConfig:
        actions = (ACTIONS[0], APPEARANCES[0])
        return SampleConfig(4, 2, seed=seed, actions=actions, size_px=32, seconds=0.5)

    monkeypatch.setattr(few_clips, "sample_config", config)
    monkeypatch.setattr(few_clips, "SIZES", (2, 4))
    seen, tests = [], set()
    for seed in few_clips.SEEDS:
        few, test = draw_sample(tmp_path, 2, seed)
        more, _ = draw_sample(tmp_path, 4, seed)
        few_videos, more_videos = list_videos(few).videos, list_videos(more).videos
        assert (len(few_videos), len(more_videos)) == (4, 8)
        assert set(few_videos) < set(more_videos)
        seen.append({video.path for video in more_videos})
        tests.add(tuple(list_videos(test).videos))
        assert not {v.group for v in more_videos} & {v.group for v in list_videos(test).videos}
    (tested,) = tests
    assert len(tested) == 3 * 2 * 2
    assert len(set.union(*seen)) == 3 * 8
    with pytest.raises(SystemExit, match="7 clips, seed 0: sizes are"):
        draw_sample(tmp_path, 7, 0)


def test_every_action_and_look_is_asked_for() -> None:
    assert set(CLASSES) == {*ACTIONS, *APPEARANCES}
    assert few_clips.TEST_VIDEOS >= 300
    # A clip of a class has a scene to itself, so a few clips are a few scenes.
    assert abs(few_clips.CHOOSING - few_clips.REPORTED) > len(few_clips.SEEDS)
    for split, clips in (("train", max(few_clips.SIZES)), ("test", few_clips.TEST_CLIPS)):
        assert few_clips.sample_config(0).count_scenes(split) >= clips
