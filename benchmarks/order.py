"""Does a network see the order of frames? The paper's question, on the sample data.

    scripts/benchmark order [--networks i2d,s3d_fast,s3d] [--minutes 30]

Trains each network with the same recipe on the same videos, scores it on unseen scenes, played
forwards and backwards, and keeps a record in benchmarks/results/order.json. The work lies in
runs/order; a killed benchmark goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from s3d.data.synthetic import ORDER_PAIRS, SampleConfig, write_sample
from s3d.data.videos import VideoList, list_videos
from s3d.evaluate.evaluation import Evaluation, evaluate
from s3d.explore.machine import describe_machine
from s3d.infer.recognizer import load
from s3d.train.config import TrainConfig
from s3d.train.train import train

WORK = Path("runs/order")
RECORD = Path(__file__).parent / "results" / "order.json"
SAMPLE = SampleConfig(train_clips_per_class=300, test_clips_per_class=50, difficulty=0.5)
FRAMES = {"i2d": 13, "s3d_fast": 16, "s3d": 16}
"""With 16m - 3 frames every strided layer of an I2D treats both ends of a clip alike (13, then 7, 4
and 2 steps), so that it gives a clip and its reverse the same answer. With 16 frames it does not:
the first window of pool4a holds two steps and the last three, and an i2d told move_left from
move_right by that. See docs/architecture.md."""
RECIPE: dict[str, Any] = {"size": 48, "width": 0.25, "epochs": 36}


def count_partner(outcome: Evaluation) -> dict[str, float]:
    """Return how videos fall between the members of their pair.

    Returns:
        within_pair: share of videos whose true class scores above its partner; chance is 0.5.
        swapped: share of videos named as the partner of their class.
    """
    partner = dict(ORDER_PAIRS) | {b: a for a, b in ORDER_PAIRS}
    number = {label: i for i, label in enumerate(outcome.labels)}
    other = np.array([number[partner[outcome.labels[t]]] for t in outcome.truth])
    rows = np.arange(len(other))
    own = outcome.scores[rows, outcome.truth]
    within = np.mean(own > outcome.scores[rows, other])
    swapped = np.mean(outcome.scores.argmax(1) == other)
    return {"within_pair": round(float(within), 4), "swapped": round(float(swapped), 4)}


def within_each_pair(outcome: Evaluation) -> dict[str, float]:
    """Return for each pair the share of its videos whose true class scores above its partner."""
    number = {label: i for i, label in enumerate(outcome.labels)}
    shares = {}
    for first, second in ORDER_PAIRS:
        if first not in number:
            continue
        pair = [number[first], number[second]]
        rows = np.isin(outcome.truth, pair)
        scores = outcome.scores[rows][:, pair]
        right = scores.argmax(1) == (outcome.truth[rows] == pair[1])
        shares[f"{first} or {second}"] = round(float(right.mean()), 3)
    return shares


def measure(network: str, videos: VideoList) -> dict[str, Any]:
    """Train a network where that is not done, score it, and return its record."""
    begin = time.perf_counter()
    folder, frames = WORK / network, FRAMES.get(network, 16)
    data = str(WORK / "clips/train")
    config = TrainConfig(
        data=data, out=str(folder), init="none", network=network, frames=frames, **RECIPE
    )
    model = train(config)
    seconds = time.perf_counter() - begin
    recognizer = load(model)
    forwards = evaluate(recognizer, videos, "clip")
    backwards = evaluate(recognizer, videos, "clip", reverse=True)
    epochs = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return {
        "frames": frames,
        "top1": round(forwards.top(1), 4),
        **count_partner(forwards),
        "within_each_pair": within_each_pair(forwards),
        "reversed_top1": round(backwards.top(1), 4),
        "reversed_swapped": count_partner(backwards)["swapped"],
        "test_videos": len(forwards.truth),
        "training_minutes": round(sum(e["seconds"] for e in epochs) / 60, 1),
        "clips_per_second": round(float(np.median([e["clips_per_second"] for e in epochs])), 1),
        "minutes_this_time": round(seconds / 60, 1),
        "macs_per_clip": round(forwards.macs_per_video / float(forwards.views.mean())),
    }


def find_rows(record: dict[str, Any]) -> dict[str, Any]:
    """Return the rows kept of other networks that had the same videos and recipe."""
    if not RECORD.exists():
        return {}
    kept = json.loads(RECORD.read_text())
    same = all(kept[key] == record[key] for key in ("sample", "recipe"))
    return dict(kept["networks"]) if same else {}


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default="i2d,s3d_fast,s3d")
    networks = parser.parse_args().networks.split(",")
    write_sample(WORK / "clips", SAMPLE)
    videos = list_videos(WORK / "clips/test")
    record: dict[str, Any] = {
        "date": date.today().isoformat(),
        "what": "top-1 on unseen scenes of the sample data, clip protocol",
        "sample": {
            "train_videos": SAMPLE.train_clips_per_class * len(SAMPLE.actions),
            "classes": len(SAMPLE.actions),
            "difficulty": SAMPLE.difficulty,
            "seed": SAMPLE.seed,
        },
        "recipe": RECIPE,
        "chance": round(1 / len(SAMPLE.actions), 4),
        "networks": {},
    }
    for network in networks:
        row = {**measure(network, videos), **describe_machine()}
        record["networks"] = {**find_rows(record), network: row}
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
        print(network, json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
