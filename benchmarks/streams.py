"""Frames, their flow, and both: two streams on the sample data.

    scripts/benchmark streams [--epochs 30 --actions move_left,move_right]

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

from benchmarks.order import count_partner, within_each_pair
from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.place import FlowPlace
from s3d.data.flow.videos import take_flow
from s3d.data.synthetic import SampleConfig, write_sample
from s3d.data.videos import list_videos
from s3d.evaluate.evaluation import Evaluation, evaluate
from s3d.explore.machine import describe_machine
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


def list_part(part: str, actions: tuple[str, ...]) -> Path:
    """Write the list of the videos of some actions, and return its path."""
    folder = WORK / "clips" / part
    name = "all" if actions == SAMPLE.actions else "-".join(actions)
    path = folder / f"{name}.csv"
    rows = [f"{v.relative_to(folder)},{a}" for a in actions for v in sorted((folder / a).iterdir())]
    path.write_text("\n".join(["path,label", *rows]) + "\n")
    return path


def measure(actions: tuple[str, ...], epochs: int) -> dict[str, Any]:
    """Train both streams on some actions, and return what they reach apart and together."""
    recipe = {**RECIPE, "init": "none", "epochs": epochs}
    data = list_part("train", actions)
    runs, flow = WORK / f"{data.stem}-{epochs}", str(WORK / "flow")
    rgb_model = train(TrainConfig(data=str(data), out=str(runs / "rgb"), **recipe))
    flow_model = train(TrainConfig(data=str(data), out=str(runs / "flow"), flow=flow, **recipe))
    streams = TwoStreams(load(rgb_model), load(flow_model))
    test = list_part("test", actions)
    videos, spec = list_videos(test), streams.flow.spec
    taken = take_flow(
        [video.path for video in videos.videos],
        FlowPlace.of(test, WORK / "flow_test"),
        FlowRecipe(spec.flow_method, spec.flow_side_px),
        count_cores(),
    )
    paths = [taken.paths[video.path] for video in videos.videos]
    both = evaluate(streams, videos, "clip", flow=paths)
    return {
        "date": date.today().isoformat(),
        "train_videos": SAMPLE.train_clips_per_class * len(actions),
        "test_videos": len(both.truth),
        "classes": len(actions),
        "recipe": recipe,
        "clip": {"rgb": streams.rgb.spec.describe(), "flow": spec.describe()},
        "rgb": describe(both.streams["rgb"]),
        "flow": describe(both.streams["flow"]),
        "both": describe(both),
        **describe_machine(),
    }


def main() -> None:
    """Train, score, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--actions", help="some of the actions, with commas [all]")
    args = parser.parse_args()
    actions = tuple(args.actions.split(",")) if args.actions else SAMPLE.actions
    write_sample(WORK / "clips", SAMPLE)
    row = measure(actions, args.epochs)
    chosen = f" --actions {args.actions}" if args.actions else ""
    command = f"scripts/benchmark streams --epochs {args.epochs}{chosen}"
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    record["what"] = "two streams on unseen scenes of the sample data, clip protocol"
    record["runs"] = {**record.get("runs", {}), command: row}
    print(json.dumps(row, indent=1))
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
