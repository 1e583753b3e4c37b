"""Whether a detector learns: six real clips by heart, and made-up figures in unseen scenes.

    scripts/benchmark detector_learns FOLDER [clips] [figures]

Both trainings are the verb's own, with what it chooses on this machine; a run that was
interrupted in FOLDER goes on. `clips` learns the six UCF-101-24 clips of
`../shared/videos/detection` from their true boxes and is scored on the same clips: it says that the
detector can learn, not that it knows the actions. `figures` draws 300 videos of moving figures and
is scored on 60 whose scenes it has not seen. The record is benchmarks/results/detector_learns.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from s3d.detect.annotations.relabel import restrict_labels
from s3d.detect.figures import BoxSampleConfig, write_box_sample
from s3d.detect.network.detector_file import load_detector
from s3d.detect.run.evaluate import ScoreSettings, evaluate_detector
from s3d.detect.run.finder import BoxFinder
from s3d.detect.score.table import detection_summary, format_detection_score
from s3d.detect.train.config import DetectorConfig
from s3d.detect.train.data import read_part
from s3d.detect.train.train import train_detector
from s3d.explore.machine import describe_machine
from s3d.models.device import choose_device

RECORD = Path(__file__).parent / "results" / "detector_learns.json"
FIGURE_VIDEOS = 300, 60


def lay_clips(folder: Path) -> str:
    """Return the name of a data set of the six clips, with the published pickle beside them."""
    shared = Path(os.environ.get("S3D_SHARED", Path(__file__).parents[2] / "shared"))
    place = folder / "clips"
    place.mkdir(parents=True, exist_ok=True)
    for video in sorted((shared / "videos" / "detection").glob("*.mp4")):
        if not (place / video.name).exists():
            (place / video.name).symlink_to(video)
    pickle = shared / "annotations" / "ucf101_24" / "pyannot_6_clips.pkl"
    shutil.copyfile(pickle, place / "pyannot.pkl")
    return f"ucf101_24:{place}?classes=present&part=test"


def train_and_score(config: DetectorConfig, scored: str) -> dict[str, Any]:
    """Train, or take up what was begun, score, and return the figures."""
    begin = time.perf_counter()
    path = train_detector(config)
    waited = time.perf_counter() - begin
    history = [
        json.loads(line) for line in (path.parent / "history.jsonl").read_text().splitlines()
    ]
    steps = [history[0]["step"], *(b["step"] - a["step"] for a, b in pairwise(history))]
    learning = sum(
        count * config.batch / row["frames_per_second"]
        for count, row in zip(steps, history, strict=True)
    )
    model = load_detector(path)
    data = restrict_labels(read_part(scored, None, "test"), model.labels)
    finder = BoxFinder(model, choose_device(config.device))
    outcome = evaluate_detector(finder, data, ScoreSettings())
    print(format_detection_score(outcome.score))
    summary = detection_summary(outcome.score)
    return {
        "steps": history[-1]["step"],
        "key_frames_learnt_from": history[-1]["step"] * config.batch,
        "minutes_of_steps": round(learning / 60, 1),
        "minutes_waited": round(waited / 60, 1),
        "scored_videos": summary["videos"],
        "scored_frames": summary["frames"],
        "frame_map": summary["frame_map"],
        "video_map": summary["video_map"],
        "protocol": summary["protocol"],
        "scored_key_frames_per_second": round(outcome.key_frames / outcome.seconds, 1),
    }


def run(name: str, folder: Path) -> dict[str, Any]:
    """Run one of the two."""
    if name == "clips":
        data = lay_clips(folder)
        config = DetectorConfig(data=data, out=str(folder / "run_clips"))
        what = "six UCF-101-24 clips, scored on the very clips it learnt"
        return {"data": name, "what": what, **train_and_score(config, data)}
    figures = folder / "figures"
    write_box_sample(figures, BoxSampleConfig(*FIGURE_VIDEOS))
    config = DetectorConfig(data=str(figures / "train.csv"), out=str(folder / "run_figures"))
    what = f"{FIGURE_VIDEOS[0]} made-up videos, scored on {FIGURE_VIDEOS[1]} of unseen scenes"
    return {"data": name, "what": what, **train_and_score(config, str(figures / "test.csv"))}


def main(words: Sequence[str] | None = None) -> None:
    """Train, score, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=["clips", "figures"])
    args = parser.parse_args(words)
    rows = {}
    if RECORD.exists():
        rows = {row["data"]: row for row in json.loads(RECORD.read_text())["rows"]}
    for name in args.names:
        rows[name] = {**run(name, args.folder), "date": date.today().isoformat()}
        print(json.dumps(rows[name]), flush=True)
        record = {
            "what": "a detector trained from scratch by `s3d train-detector`, and its scores",
            "command": "scripts/benchmark detector_learns FOLDER",
            "rows": list(rows.values()),
            **describe_machine(),
        }
        RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
