"""What the trunk that comes with s3d is worth: few clips, and real ones, with it and without.

    scripts/benchmark transfer [--rows fights/trunk,sample/scratch] [--seeds 0,1] [--folds 2]
                               [--sizes 5,10] [--import FILE] [--collect]

fights   241 real clips; each of four source-grouped folds is left out in turn: `cover` protocol
sample   5, 10 or 20 clips a class of the sample data; scored on scenes that they do not show

scratch  `s3d train` with --init none and nothing else
trunk    `s3d train` with nothing else; trunk@BLOCK with --freeze-until BLOCK (none: nothing frozen)
probe    a linear classifier of the trunk's frozen features; the block is chosen in training

A row that is there is not measured again. Started twice, two processes share the work. The record
is benchmarks/results/transfer.json; `scripts/benchmark trunk_page` writes docs/trunk.md from it.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.few_clips import SEEDS, SIZES, describe_sample, draw_sample
from benchmarks.fights import FLOORS, find_clips, measure_fold
from benchmarks.probe import choose_block, probe_few, score_csv
from benchmarks.transfer_rows import (
    FIGHTS,
    PROBE,
    SAMPLE,
    SCRATCH,
    TRUNK,
    Job,
    RowFolder,
    make_row,
    read_lines,
)
from s3d.data.videos import list_videos
from s3d.evaluate.evaluation import evaluate
from s3d.infer.recognizer import load
from s3d.models.model_file import ModelFile
from s3d.models.open import open_model
from s3d.models.shipped.table import SHIPPED
from s3d.pretrain.frozen import PROBE_SPEC, ProbeRecipe
from s3d.pretrain.probe import FoldScore
from s3d.train.config import NONE, TrainConfig
from s3d.train.origin import choose_trunk
from s3d.train.train import train
from s3d.train.two_ways import FOLDER

FOLDS = (0, 1, 2, 3)
ROWS = ("fights/trunk", "fights/scratch", "fights/probe",
        "sample/trunk", "sample/scratch", "sample/probe")  # fmt: skip


def find_trunk() -> tuple[str, str]:
    """Return the name of the trunk that `s3d train` starts from here, and its file's sha256."""
    name, reason = choose_trunk(TrainConfig())
    if name is None:
        raise SystemExit(f"no trunk comes with this s3d: {reason}.")
    return name, SHIPPED[name].sha256


def plan_jobs(
    rows: Sequence[str], seeds: Sequence[int], folds: Sequence[int], sizes: Sequence[int]
) -> list[Job]:
    """Return the jobs of rows named DATA/START; a probe of the fights has no seed but 0."""
    jobs = []
    for seed in seeds:
        for row in rows:
            data, _, start = row.partition("/")
            if data == FIGHTS and (start != PROBE or seed == 0):
                jobs += [Job(data, start, seed, fold=fold) for fold in folds]
            elif data == SAMPLE:
                jobs += [Job(data, start, seed, clips_per_class=size) for size in sizes]
    return jobs


def measure(job: Job, work: Path, trunk: tuple[str, str]) -> dict[str, Any]:
    """Measure one row.

    Args:
        job: What.
        work: For everything of all rows.
        trunk: Its name and its file's sha256: what another one gave lies in another folder.
    """
    name, sha256 = trunk
    home = work / (f"{job.start}_{sha256[:12]}" if job.needs_trunk else SCRATCH)
    if job.start == PROBE:
        return _probe(job, work, name)
    options = _train_options(job)
    if job.data == FIGHTS:
        assert job.fold is not None
        folder = home / f"fights_seed{job.seed}"
        measured = measure_fold(find_clips(), job.fold, folder, options)
        measured["minutes"] = measured.pop("minutes_this_time")
        out = folder / f"fold{job.fold}/run"
    else:
        out = home / f"sample{job.clips_per_class:02d}_seed{job.seed}"
        measured = _train_on_few(job, work, out, options)
    return {**measured, **_read_plan(out)}


def _train_options(job: Job) -> dict[str, Any]:
    """Return what is said besides the data, the folder and nothing."""
    if job.start == SCRATCH:
        return {"init": NONE, "seed": job.seed}
    _, _, block = job.start.partition("@")
    return {"init": None, "seed": job.seed, **({"freeze_until": block} if block else {})}


def _train_on_few(job: Job, work: Path, out: Path, options: dict[str, Any]) -> dict[str, Any]:
    assert job.clips_per_class is not None
    train_csv, test_csv = draw_sample(work / "sample", job.clips_per_class, job.seed)
    begin = time.perf_counter()
    model = train(TrainConfig(data=str(train_csv), out=str(out), **options))
    minutes = (time.perf_counter() - begin) / 60
    outcome = evaluate(load(model), list_videos(test_csv), "cover")
    return {
        "top1": round(outcome.top(1), 4),
        "mean_class_accuracy": outcome.to_json()["mean_class_accuracy"],
        "test_videos": len(outcome.truth),
        "minutes": round(minutes, 1),
    }


def _read_plan(run: Path) -> dict[str, Any]:
    """Return what a run says it started from, and up to which block it left that as it was."""
    plan = json.loads((run / "run.json").read_text(encoding="utf-8"))["plan"]
    start = plan["start"]
    return {
        "started_from": None if start is None else start["init"],
        "frozen_until": plan["also_until"] if _kept_frozen(run) else plan["freeze_until"],
    }


def _kept_frozen(out: Path) -> bool:
    """Return whether of the two ways that were trained the one with frozen blocks was kept."""
    reports = out / FOLDER / "report.html", out / "report.html"
    return reports[0].exists() and filecmp.cmp(*reports, shallow=False)


def _probe(job: Job, work: Path, name: str) -> dict[str, Any]:
    begin = time.perf_counter()
    if job.data == FIGHTS:
        scores = _fight_scores(name, work / "clips")
        fold = str(job.fold)
        block = choose_block({b: own[fold].loss for b, own in scores.items()})
        top1, block_of = scores[block][fold].accuracy, {"block": block}
        tested = _count_fold(job.fold)
    else:
        assert job.clips_per_class is not None
        model = _open_trunk(name)
        lists = draw_sample(work / "sample", job.clips_per_class, job.seed)
        top1 = probe_few(model, lists, _probe_recipe(model), work / "clips")["chosen"]
        tested, block_of = len(list_videos(lists[1]).videos), {}
    minutes = (time.perf_counter() - begin) / 60
    return {"top1": round(top1, 4), "test_videos": tested, "minutes": round(minutes, 1), **block_of}


def _count_fold(fold: int | None) -> int:
    lines = (find_clips() / "clips.csv").read_text(encoding="utf-8").splitlines()
    return sum(line.rsplit(",", 1)[-1] == str(fold) for line in lines)


@cache
def _fight_scores(name: str, kept: Path) -> dict[str, dict[str, FoldScore]]:
    model = _open_trunk(name)
    return score_csv(model, find_clips() / "clips.csv", "fold", _probe_recipe(model), kept)


@cache
def _open_trunk(name: str) -> ModelFile:
    return open_model(name)


def _probe_recipe(model: ModelFile) -> ProbeRecipe:
    return ProbeRecipe(replace(PROBE_SPEC, mean=model.spec.mean, std=model.spec.std))


def describe(trunk: tuple[str, str]) -> dict[str, Any]:
    """Return what the record says besides its rows."""
    name, sha256 = trunk
    shipped = SHIPPED[name]
    return {
        "what": "top-1 of `s3d train` with defaults, cover protocol; probe: linear, frozen trunk",
        "command": "scripts/benchmark transfer",
        "trunk": {"name": name, "sha256": sha256, "bytes": shipped.path.stat().st_size},
        "sample": describe_sample(),
        "floors": FLOORS,
    }


def work_off(jobs: Sequence[Job], folder: RowFolder, trunk: tuple[str, str]) -> None:
    """Measure what is missing and what nobody else is at; the record is whole after each row."""
    for job in jobs:
        claim = folder.claim(job)
        if claim is None:
            print(f"{job.name}: another process is at it", flush=True)
            continue
        with claim:
            if folder.has(job):
                continue
            row = make_row(job, measure(job, folder.work, trunk), trunk[1])
            folder.keep(row)
        folder.collect(describe(trunk))
        print(json.dumps(row), flush=True)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> None:
    """Measure what is asked for, and keep the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--seeds", type=_numbers, default=list(SEEDS))
    parser.add_argument("--folds", type=_numbers, default=list(FOLDS))
    parser.add_argument("--sizes", type=_numbers, default=list(SIZES))
    parser.add_argument("--work", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--import", dest="lines", type=Path, help="rows measured elsewhere")
    parser.add_argument("--collect", action="store_true", help="write the record, measure nothing")
    args = parser.parse_args()
    trunk = find_trunk()
    folder = RowFolder(args.work, trunk[1])
    rows = _check_rows(args.rows.split(","))
    for row in read_lines(args.lines, trunk[1]) if args.lines else ():
        folder.keep(row)
    if not args.collect and not args.lines:
        work_off(plan_jobs(rows, args.seeds, args.folds, args.sizes), folder, trunk)
    print(f"{len(folder.collect(describe(trunk)))} rows in {folder.record}")


def _check_rows(rows: Sequence[str]) -> Sequence[str]:
    for row in rows:
        data, _, start = row.partition("/")
        known = start in (SCRATCH, PROBE, TRUNK) or start.startswith(f"{TRUNK}@")
        if data not in (FIGHTS, SAMPLE) or not known:
            raise SystemExit(f"--rows {row}: unknown; rows are {', '.join(ROWS)}, or trunk@BLOCK.")
    return rows


if __name__ == "__main__":
    main()
