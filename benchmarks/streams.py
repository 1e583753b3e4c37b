"""Frames, their flow, and both: two streams on the sample data.

    scripts/benchmark streams [--epochs 20]

Trains one network on the frames and one on the TV-L1 flow of the same videos, under one recipe,
and scores both and their fusion on unseen scenes: top-1, and for each pair of actions, which only
the order of frames tells apart, how often the right one of the two gets the higher score. The work
lies in runs/streams; a killed benchmark goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.order import count_partner, within_each_pair
from s3d.data.flow import FlowRecipe
from s3d.data.flow_place import FlowPlace
from s3d.data.flow_videos import take_flow
from s3d.data.synthetic import SampleConfig, write_sample
from s3d.data.videos import list_videos
from s3d.evaluate.evaluation import Evaluation, evaluate
from s3d.infer.recognizer import load
from s3d.infer.streams import TwoStreams
from s3d.train.config import TrainConfig
from s3d.train.plan import count_cores
from s3d.train.train import train

WORK = Path("runs/streams")
RECORD = Path(__file__).parent / "results" / "streams.json"
SAMPLE = SampleConfig(train_clips_per_class=100, test_clips_per_class=25, difficulty=0.5)
RECIPE: dict[str, Any] = {"network": "s3d", "size": 48, "width": 0.25, "frames": 16}


def describe(outcome: Evaluation) -> dict[str, Any]:
    """Return the figures of one evaluation."""
    return {
        "top1": round(outcome.top(1), 4),
        **count_partner(outcome),
        "within_each_pair": within_each_pair(outcome),
    }


def main() -> None:
    """Train, score, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args()
    recipe = {**RECIPE, "epochs": args.epochs}
    write_sample(WORK / "clips", SAMPLE)
    data, flow = str(WORK / "clips/train"), str(WORK / "flow")
    rgb_model = train(TrainConfig(data=data, out=str(WORK / "rgb"), **recipe))
    flow_model = train(TrainConfig(data=data, out=str(WORK / "flow_run"), flow=flow, **recipe))
    streams = TwoStreams(load(rgb_model), load(flow_model))
    videos = list_videos(WORK / "clips/test")
    spec = streams.flow.spec
    taken = take_flow(
        [video.path for video in videos.videos],
        FlowPlace.of(WORK / "clips/test", WORK / "flow_test"),
        FlowRecipe(spec.flow_method, spec.flow_side_px),
        count_cores(),
    )
    paths = [taken.paths[video.path] for video in videos.videos]
    both = evaluate(streams, videos, "clip", flow=paths)
    record = {
        "date": date.today().isoformat(),
        "command": f"scripts/benchmark streams --epochs {args.epochs}",
        "what": "two streams on unseen scenes of the sample data, clip protocol",
        "train_videos": SAMPLE.train_clips_per_class * len(SAMPLE.actions),
        "test_videos": len(both.truth),
        "classes": len(SAMPLE.actions),
        "recipe": recipe,
        "clip": {"rgb": streams.rgb.spec.describe(), "flow": spec.describe()},
        "rgb": describe(both.streams["rgb"]),
        "flow": describe(both.streams["flow"]),
        "both": describe(both),
        **describe_machine(),
    }
    print(json.dumps(record, indent=1))
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
