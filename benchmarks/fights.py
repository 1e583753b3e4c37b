"""241 real surveillance clips, fight or not, by four source-grouped folds, from random weights.

    scripts/benchmark fights [--folds 0,1,2,3] [train options as NAME=VALUE ...]

Each fold is left out in turn; `s3d train` sees the other three, splits its own validation off by
source, and the fold left out is scored. The record is benchmarks/results/fights.json; the work lies
in runs/fights, and a killed benchmark goes on where it was. Settings are the default but for
init=none; benchmarks/transfer.py measures what the trunk that comes with s3d brings.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import time
from datetime import date
from pathlib import Path
from typing import Any, get_type_hints

from s3d.data.videos import list_videos
from s3d.evaluate.evaluation import evaluate
from s3d.explore.machine import describe_machine
from s3d.infer.recognizer import load
from s3d.train.config import TrainConfig
from s3d.train.train import train

RECORD = Path(__file__).parent / "results" / "fights.json"
FLOORS = {
    "flow statistics with logistic regression (measured by others)": 0.653,
    "one frame (measured by others)": 0.537,
}


def find_clips() -> Path:
    """Return the folder of the clips, or end with what is missing."""
    folder = Path(os.environ.get("S3D_SHARED", "../shared")) / "videos" / "fights"
    if not (folder / "clips.csv").exists():
        raise SystemExit(f"{folder}: not there; set S3D_SHARED to the folder of shared data.")
    return folder


def write_fold(clips: Path, fold: int, into: Path) -> tuple[Path, Path]:
    """Write the lists of the clips to train on and of the fold left out; return both paths."""
    rows = list(csv.DictReader((clips / "clips.csv").open(encoding="utf-8")))
    into.mkdir(parents=True, exist_ok=True)
    paths = into / "train.csv", into / "test.csv"
    for path, is_test in zip(paths, (False, True), strict=True):
        chosen = [row for row in rows if (int(row["fold"]) == fold) == is_test]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "group"])
            for row in chosen:
                writer.writerow([(clips / row["path"]).resolve(), row["label"], row["source"]])
    return paths


def measure_fold(clips: Path, fold: int, work: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Train without a fold and score it."""
    train_csv, test_csv = write_fold(clips, fold, work / f"fold{fold}")
    begin = time.perf_counter()
    own = {"data": str(train_csv), "out": str(work / f"fold{fold}/run")}
    model = train(TrainConfig(**{"init": "none", **options, **own}))
    minutes = (time.perf_counter() - begin) / 60
    outcome = evaluate(load(model), list_videos(test_csv), "cover")
    return {
        "fold": fold,
        "top1": round(outcome.top(1), 4),
        "mean_class_accuracy": outcome.to_json()["mean_class_accuracy"],
        "test_videos": len(outcome.truth),
        "minutes_this_time": round(minutes, 1),
    }


def read_options(words: list[str]) -> dict[str, Any]:
    """Return train options from NAME=VALUE words."""
    hints = get_type_hints(TrainConfig)
    options: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        kind = str(hints[name])
        options[name] = int(value) if "int" in kind else float(value) if "float" in kind else value
    return options


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", default="0,1,2,3")
    parser.add_argument("--work", default="runs/fights")
    parser.add_argument("options", nargs="*")
    args = parser.parse_args()
    options, clips, rows = read_options(args.options), find_clips(), []
    for fold in map(int, args.folds.split(",")):
        rows.append(measure_fold(clips, fold, Path(args.work), options))
        print(json.dumps(rows[-1]))
    record = {
        "date": date.today().isoformat(),
        "what": "top-1 on the fold left out, cover protocol, 241 clips, folds by source",
        "options": options or "default",
        "folds": rows,
        "mean_top1": round(statistics.mean(row["top1"] for row in rows), 4),
        "floors": FLOORS,
        **describe_machine(),
    }
    print(f"mean over {len(rows)} folds: {record['mean_top1']:.1%}; floors: {FLOORS}")
    if not options and len(rows) == 4:
        RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
