"""What one machine does in a second, and from that what data of Kinetics' size takes.

    scripts/benchmark scale [--device cuda --batch 24]

Each rate is measured alone, several times, and its median kept: a training step and a labelling of
S3D-G on clips of 64 x 224 x 224, clips read from disk as training reads them, and pairs of frames
of TV-L1 flow at 340 x 256. A row for each piece of hardware is kept in results/scale.json, and the
tables of docs/scale.md are written anew from all rows. What was not measured is multiplied from
what was, and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

import s3d
from benchmarks.scale_page import END, PAGE, START, write_tables
from benchmarks.train_step import take_step
from s3d.clip import ClipSpec
from s3d.data.clips import Augmentation
from s3d.data.decode import read_frames
from s3d.data.flow.compute import FlowRecipe, to_grey
from s3d.data.flow.folder import FlowWorkers
from s3d.data.loader import ClipLoader
from s3d.data.store import FrameStore, open_videos
from s3d.data.video_list import Video
from s3d.explore.machine import describe_machine
from s3d.models.network import Network
from s3d.train.optimise import mixed_precision
from s3d.train.plan import count_cores

RESULTS = Path(__file__).parent / "results" / "scale.json"
SPEC = ClipSpec()
CLASSES = 400
CLIPS = ("R6llTwEh07w.mp4", "SOX5yA1l24A.mp4", "arm_wrestling.mp4", "flipping_a_pancake.mkv")
"""Of Kinetics, as they are distributed."""
FLOW_PX = (256, 340)


def find_clips() -> list[Path]:
    """Return the clips to read, or end with what is missing."""
    folder = Path(os.environ.get("S3D_SHARED", "../shared")) / "videos" / "clips"
    paths = [folder / name for name in CLIPS]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise SystemExit(f"{missing[0]}: not there; set S3D_SHARED to the folder of shared data.")
    return paths


def rate_of(work: Callable[[], object], items: int, rounds: int) -> float:
    """Return the items a second, the median over rounds; the first round is not counted."""
    rates = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        work()
        rates.append(items / (time.perf_counter() - begin))
    return statistics.median(rates[1:])


def measure_network(device: str, batch: int, rounds: int) -> dict[str, float]:
    """Return the clips a second that S3D-G trains on and labels."""
    torch.manual_seed(0)
    network = s3d.build("s3d_g", num_classes=CLASSES).to(device)
    clips = torch.rand(batch, 3, SPEC.frames, *SPEC.size_px, device=device) * 2 - 1
    labels = torch.arange(batch, device=device) % CLASSES

    network.train()
    trained = rate_of(lambda: take_step(network, clips, labels), batch, rounds)
    return {
        "train_clips_per_second": trained,
        "label_clips_per_second": rate_of(lambda: _label(network.eval(), clips), batch, rounds),
    }


def _label(network: Network, clips: torch.Tensor) -> None:
    device = clips.device.type
    with torch.inference_mode(), mixed_precision(device):
        float(network(clips).sum())  # a GPU is waited for


def measure_reading(cores: int, rounds: int) -> float:
    """Return the clips a second that threads decode, resize and crop from files."""
    videos = [Video(str(path), str(number)) for number, path in enumerate(find_clips())]
    # Enough that a thread which is done does not wait for the longest video of all.
    infos = open_videos(videos * max(4, 2 * cores), cores).infos
    loader = ClipLoader(
        FrameStore(infos, SPEC), [0] * len(infos), 4, 0, Augmentation(), threads=cores
    )
    return rate_of(lambda: list(loader.batches(0)), len(infos), rounds)


def measure_flow(device: str, cores: int, rounds: int) -> float:
    """Return the pairs of frames a second whose flow is computed."""
    pairs = 64 if device == "cuda" else 4 * cores
    frames = to_grey(read_frames(find_clips()[2], np.arange(60, 61 + pairs), FLOW_PX))
    with FlowWorkers(FlowRecipe(), cores, device) as workers:
        workers.pairs_a_task = pairs // (1 if device == "cuda" else cores)
        return rate_of(lambda: list(workers.compute(frames)), pairs, rounds)


def measure(device: str, batch: int, rounds: int) -> dict[str, Any]:
    """Return the row of this hardware."""
    cores = count_cores()
    machine = describe_machine(device)
    name = torch.cuda.get_device_name() if device == "cuda" else f"{cores} cores {machine['cpu']}"
    rates = measure_network(device, batch, rounds)
    rates["read_clips_per_second"] = measure_reading(cores, rounds)
    rates["flow_pairs_per_second"] = measure_flow(device, cores, rounds)
    return {
        "hardware": name,
        "units": 1 if device == "cuda" else cores,
        "unit": "GPU" if device == "cuda" else "core",
        "batch": batch,
        "date": date.today().isoformat(),
        **{key: float(f"{value:.4g}") for key, value in rates.items()},
        "load_average": [round(load, 1) for load in os.getloadavg()],
        **machine,
    }


def main() -> None:
    """Measure, keep the row, and write the tables of docs/scale.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page-only", action="store_true", help="measure nothing")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if RESULTS.exists():
        rows = json.loads(RESULTS.read_text())["rows"]
    if not args.page_only:
        row = measure(args.device, args.batch, args.rounds)
        row["command"] = f"scripts/benchmark scale --device {args.device} --batch {args.batch}"
        print(json.dumps(row, indent=1))
        rows = [old for old in rows if old["hardware"] != row["hardware"]] + [row]
        RESULTS.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    write_tables(PAGE, (START, END), rows)


if __name__ == "__main__":
    main()
