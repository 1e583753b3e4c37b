"""From a file to its label: ours against torchvision, used as its documentation shows.

    scripts/benchmark whole_path [--rounds 9 --protocol cover,clip --cold 3]

The video is a real one of 10 s and 340 x 256 px. Both networks are S3D with the same weights, drawn
at random, norms measured on the video itself, and take torchvision's published clip: 128 frames at
15 fps, resized to 256 x 256, the middle 224 x 224. Ours is one call, `Recognizer.predict`, by its
default engine. Torchvision 0.28 has no reader of videos any more, so PyAV decodes for it, with its
defaults (`container.decode`, `frame.to_ndarray`); then its own transform of the weights, then its
net in eager mode. It is given the very frames that ours chooses, transforms a frame once even where
two clips share it, and stops decoding after the last frame it needs, all of which its documentation
does not show.

Each works in a process of its own that has worked before, in turn; a ratio is of one round. What a
process needs from its start to its first label is measured apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.linalg import norm
from torch import Tensor, nn

from benchmarks.engines import make_twins
from benchmarks.pairs import Seconds, medians_ms, time_in_turn, times_as_fast
from benchmarks.peers import copy_torchvision_s3d, load_torchvision_s3d
from benchmarks.speed_page import PAGE, format_whole_path, write_part
from s3d.data.decode import probe_video
from s3d.data.loader import normalise
from s3d.data.sample import clip_indices, spread_starts
from s3d.explore.machine import describe_machine
from s3d.infer.engines.choose import package_version
from s3d.infer.recognizer import load
from s3d.infer.views import read_views
from s3d.models.model_file import ModelFile, save_model
from s3d.models.published.sources import TORCHVISION_CLIP

RECORD = Path(__file__).parent / "results" / "whole_path.json"
CLIP = "R6llTwEh07w.mp4"
SIDES = ("ours", "torchvision")
PACKAGES = ("openvino", "torchvision", "av")
Scores = npt.NDArray[np.float32]
Predict = Callable[[str], Scores]


def find_video(name: str) -> Path:
    """Return a real clip, or end with what is missing."""
    path = Path(os.environ.get("S3D_SHARED", "../shared")) / "videos" / "clips" / name
    if not path.exists():
        raise SystemExit(f"{path}: not there; set S3D_SHARED to the folder of shared data.")
    return path.absolute()


def choose_frames(video: str, protocol: str) -> npt.NDArray[np.int64]:
    """Return the numbers of the frames (clips, T) that our protocol scores."""
    info = probe_video(video)
    count = read_views(video, TORCHVISION_CLIP, protocol).count
    starts = spread_starts(info, TORCHVISION_CLIP, count)
    return np.stack([clip_indices(info, TORCHVISION_CLIP, start) for start in starts])


def make_ours(folder: Path, protocol: str) -> Predict:
    """Return our way from a file to scores."""
    recognizer = load(folder / "ours.safetensors")
    return lambda video: recognizer.predict(video, protocol).scores


def make_torchvision(folder: Path, protocol: str) -> Predict:
    """Return torchvision's way from a file to scores."""
    import av

    network = load_torchvision_s3d(400)
    network.load_state_dict(torch.load(folder / "torchvision.pt", weights_only=True))
    network.eval()
    from torchvision.models.video import S3D_Weights

    preprocess = S3D_Weights.KINETICS400_V1.transforms()
    indices = np.load(folder / f"{protocol}.npy")
    wanted, places = np.unique(indices, return_inverse=True)
    places = places.reshape(indices.shape)

    def decode(video: str) -> Tensor:
        needed, frames = set(wanted.tolist()), []
        with av.open(video) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number in needed:
                    frames.append(frame.to_ndarray(format="rgb24"))
                if number == wanted[-1]:
                    break
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)

    def predict(video: str) -> Scores:
        values = preprocess(decode(video))
        with torch.inference_mode():
            clips = torch.stack(
                [values[:, torch.from_numpy(places[n])] for n in range(len(places))]
            )
            logits = torch.cat([network(clip[None]) for clip in clips])
        scores: Scores = logits.softmax(1).mean(0).numpy()
        return scores

    return predict


class Side:
    """Hold the process of one side."""

    def __init__(self, name: str, folder: Path, protocol: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.whole_path", "--side", name, "--protocol", protocol,
             "--folder", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def predict(self, video: Path) -> Scores:
        """Return the scores of a video."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{video}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a side ended; its error stands above.")
        return np.array(json.loads(line), np.float32)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def work_as(side: str, folder: Path, protocol: str) -> None:
    """Score the video that each line of stdin names."""
    predict = {"ours": make_ours, "torchvision": make_torchvision}[side](folder, protocol)
    for line in sys.stdin:
        print(json.dumps(predict(line.rstrip("\n")).tolist()), flush=True)


def write_models(folder: Path, video: Path) -> None:
    """Write both networks, with the same weights, whose answers depend on what is to be seen."""
    ours, theirs = make_twins()
    measure_statistics(theirs, video)
    copy_torchvision_s3d(theirs, ours)
    labels = tuple(f"class {number}" for number in range(400))
    save_model(folder / "ours.safetensors", ModelFile(ours, labels, TORCHVISION_CLIP))
    torch.save(theirs.state_dict(), folder / "torchvision.pt")


def measure_statistics(network: nn.Module, video: Path) -> None:
    """Give norms the statistics of a part of the video, and logits a spread of 2.

    With drawn statistics the offsets of many layers drown what the video adds to them.
    """
    (piece,) = read_views(video, replace(TORCHVISION_CLIP, frames=16), "clip").pieces
    clips = normalise(torch.from_numpy(piece), TORCHVISION_CLIP)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 1.0
    head = [module for module in network.modules() if isinstance(module, nn.Conv3d)][-1]
    with torch.no_grad():
        network.train()(clips)
        head.weight.mul_(2 / network.eval()(clips).std())


def measure_protocol(folder: Path, video: Path, protocol: str, rounds: int) -> dict[str, Any]:
    """Measure both sides under a protocol, warm and in turn."""
    indices = choose_frames(str(video), protocol)
    np.save(folder / f"{protocol}.npy", indices)
    sides = {name: Side(name, folder, protocol) for name in SIDES}
    scores = {name: side.predict(video) for name, side in sides.items()}
    labels = {name: int(values.argmax()) for name, values in scores.items()}
    if len(set(labels.values())) > 1:
        raise SystemExit(f"{protocol}: labels differ: {labels}")
    works = {n: (lambda side=side: side.predict(video)) for n, side in sides.items()}
    seconds = time_in_turn(works, rounds)
    for side in sides.values():
        side.close()
    ours, theirs = (np.log(scores[name]) - np.log(scores[name]).mean() for name in SIDES)
    return {
        "clips": len(indices),
        "frames_of_a_clip": indices.shape[1],
        "frames_decoded": len(np.unique(indices)),
        "ms": medians_ms(seconds),
        "ours_is_times_as_fast_as": times_as_fast(seconds, "ours"),
        "label_of_both": labels["ours"],
        "best_score_of_both": [round(float(scores[name].max()), 4) for name in SIDES],
        # The two resize differently: ours smooths, torchvision's transform does not.
        "log_scores_differ_by": round(float(norm(ours - theirs) / norm(theirs)), 4),
        "rounds": rounds,
    }


def measure_cold(folder: Path, video: Path, protocol: str, rounds: int) -> dict[str, float]:
    """Return the milliseconds from the start of a process to its first label."""
    seconds: Seconds = {name: [] for name in SIDES}
    for _ in range(rounds):
        for name in SIDES:
            begin = time.perf_counter()
            side = Side(name, folder, protocol)
            side.predict(video)
            seconds[name].append(time.perf_counter() - begin)
            side.close()
    return {name: round(1e3 * statistics.median(times), 1) for name, times in seconds.items()}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure every protocol, warm, and the first one from a cold start."""
    video = find_video(args.video)
    info = probe_video(video)
    protocols = args.protocol.split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_models(folder, video)
        engine = load(folder / "ours.safetensors").use(tell=print).engine.name
        warm = {p: measure_protocol(folder, video, p, args.rounds) for p in protocols}
        print(json.dumps(warm, indent=1), flush=True)
        cold = measure_cold(folder, video, protocols[0], args.cold) if args.cold else {}
    return {
        "date": date.today().isoformat(),
        "what": f"{video.name}, {info.duration_seconds:.1f} s, {info.width_px} x "
        f"{info.height_px} px, to its label, CPU, single precision",
        "engine": engine,
        "warm": warm,
        f"from_a_cold_start_ms_{protocols[0]}": cold,
        **describe_machine(),
        **{package: package_version(package) for package in PACKAGES},
    }


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", default=CLIP, help="of the shared clips")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cold", type=int, default=3, help="cold starts")
    parser.add_argument("--protocol", default="cover,clip")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RECORD)
    args = parser.parse_args()
    if args.side:
        work_as(args.side, args.folder, args.protocol)
        return
    record = measure(args)
    print(json.dumps(record, indent=1))
    args.out.write_text(json.dumps(record, indent=1) + "\n")
    if args.out == RECORD:
        write_part(PAGE, "whole_path", format_whole_path(record))


if __name__ == "__main__":
    main()
