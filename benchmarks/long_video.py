"""A long video in flat memory, killed at the half and resumed.

    scripts/benchmark long_video [--minutes 60 --network s3d_fast --width 0.25 --size 64]

Draws a video of 2 minutes and one of an hour: actions of the sample data at 160 x 120 and 25 fps.
`s3d predict --timeline` runs on both, each in a process of its own whose peak memory the system
tells; times are compared without what it takes to start. Then it is killed with SIGKILL when half
of the windows of the long one are scored, and run again: the files must be the same to the last
byte. The network is not trained, since what it says takes the same time; its last layer is made
louder, so that segments come and go.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

import s3d
from s3d.clip import ClipSpec
from s3d.data.actions import ACTIONS, Stage, draw_frames
from s3d.data.scenes import draw_scene
from s3d.explore.machine import describe_machine
from s3d.models.model_file import ModelFile, save_model

RECORD = Path(__file__).parent / "results" / "long_video.json"
SHORT_MINUTES = 2
RATE_FPS = 25
SIZE_PX = (120, 160)
ACTION_SECONDS = 4
LOUDER = 60.0
THRESHOLD = "0.4"
ENDINGS = (".csv", ".json", ".srt", ".html")
POLL_SECONDS = 0.05


def draw_actions(path: Path) -> None:
    """Write a video of `SHORT_MINUTES`: one action after the other, each in a scene of its own."""
    frames = ACTION_SECONDS * RATE_FPS
    seconds = (np.arange(frames) / RATE_FPS).astype(np.float32)
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "crf": "23", "threads": "1"}
        stream = container.add_stream("libx264", rate=RATE_FPS, options=options)
        (stream.height, stream.width), stream.pix_fmt = SIZE_PX, "yuv420p"
        for number in range(SHORT_MINUTES * 60 // ACTION_SECONDS):
            scene, rng = draw_scene((number, 2), 0.5), np.random.default_rng(number)
            stage = Stage((frames, *SIZE_PX), seconds, scene, 0.5, rng)
            for picture in draw_frames(ACTIONS[number % len(ACTIONS)], stage):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def repeat_video(source: Path, target: Path, times: int) -> None:
    """Write a video that shows another so many times, its packets copied as they are."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        video = reader.streams.video[0]
        stream, span = writer.add_stream_from_template(video), video.duration or 0
        for number in range(times):
            reader.seek(0, stream=video)
            for packet in reader.demux(video):
                if packet.size and packet.pts is not None and packet.dts is not None:
                    packet.pts, packet.dts = packet.pts + number * span, packet.dts + number * span
                    packet.stream = stream
                    writer.mux(packet)


def write_model(path: Path, args: argparse.Namespace) -> ClipSpec:
    """Write a network that was not trained, and return its clip."""
    torch.manual_seed(0)
    network = s3d.build(args.network, num_classes=len(ACTIONS), width=args.width).eval()
    with torch.no_grad():
        network.head.classifier.weight.mul_(LOUDER)
    side = (args.size, args.size)
    spec = ClipSpec(args.frames, RATE_FPS, side, side)
    save_model(path, ModelFile(network, ACTIONS, spec, source="not trained"))
    return spec


def command(video: Path, model: Path, out: Path, engine: str) -> list[str]:
    """Return the words that make a timeline."""
    words = ["predict", video, "--model", model, "--timeline", "--out", out, "--engine", engine]
    return [sys.executable, "-m", "s3d", *map(str, words), "--threshold", THRESHOLD]


def measure(words: list[str], seconds: float) -> dict[str, float]:
    """Run a command in a process of its own, and return its time and the peak of its memory.

    Args:
        words: The command.
        seconds: Of the video.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    taken = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(f"the command ended with code {process.returncode}")
    return {
        "video_seconds": seconds,
        "seconds": round(taken, 2),
        "video_seconds_a_second": round(seconds / taken, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
    }


def kill_at_half(words: list[str], record: Path, whole_bytes: int) -> int:
    """Run a command until half of the record is written, kill it, and return what there is."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        if record.exists() and record.stat().st_size >= whole_bytes / 2:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return record.stat().st_size
        time.sleep(POLL_SECONDS)
    raise SystemExit(f"the command ended with code {process.returncode} before it was killed")


def read_outputs(folder: Path, name: str) -> dict[str, bytes]:
    """Return the files that a command wrote, by ending."""
    return {ending: (folder / (name + ending)).read_bytes() for ending in ENDINGS}


def run(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Draw, run, kill and resume; return what was measured."""
    short, long, model = folder / "short.mp4", folder / "long.mp4", folder / "model.safetensors"
    draw_actions(short)
    repeat_video(short, long, args.minutes // SHORT_MINUTES)
    spec = write_model(model, args)
    words = command(short, model, folder / "first", args.engine)
    measure(words, 1.0)  # Whatever is done once on a machine is done.
    # What nothing is scored in: to start, to look through the packets, to write the files.
    start = measure(words, 1.0)["seconds"]
    rows = {}
    for name, video, minutes in (("short", short, SHORT_MINUTES), ("long", long, args.minutes)):
        words = command(video, model, folder / "whole", args.engine)
        rows[name] = measure(words, 60.0 * minutes)
        found = json.loads((folder / "whole" / f"{name}.json").read_text())
        rows[name] |= {"windows": found["windows"], "segments": len(found["segments"])}
        print(name, json.dumps(rows[name]), flush=True)
    whole_bytes = (folder / "whole" / "long.windows").stat().st_size
    words = command(long, model, folder / "killed", args.engine)
    left = kill_at_half(words, folder / "killed" / "long.windows", whole_bytes)
    resumed = measure(words, 60.0 * args.minutes * (1 - left / whole_bytes))
    same = read_outputs(folder / "killed", "long") == read_outputs(folder / "whole", "long")
    times = [rows[name]["seconds"] - start for name in ("long", "short")]
    return {
        "date": date.today().isoformat(),
        "clip": spec.describe(),
        "network": f"{args.network}, width {args.width:g}, not trained",
        "engine": args.engine,
        "protocol": found["protocol"],
        "short": rows["short"],
        "long": rows["long"],
        "long_peak_over_short": round(rows["long"]["peak_mib"] / rows["short"]["peak_mib"], 3),
        "start_seconds": start,
        "long_time_over_short": round(times[0] / times[1], 2),
        "long_video_over_short": args.minutes / SHORT_MINUTES,
        "killed_at_share": round(left / whole_bytes, 3),
        "resumed": resumed,
        "files_are_the_same": same,
        "load_average": [round(load, 1) for load in os.getloadavg()],
        **describe_machine(),
    }


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--network", default="s3d_fast")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--engine", default="auto")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="s3d-long-") as folder:
        row = run(Path(folder), args)
    plain = {name: parser.get_default(name) for name in vars(args)}
    chosen = "".join(f" --{k} {v}" for k, v in vars(args).items() if v != plain[k])
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    record["what"] = "s3d predict --timeline of 2 minutes and of an hour; killed at half, resumed"
    record["runs"] = {**record.get("runs", {}), f"scripts/benchmark long_video{chosen}": row}
    print(json.dumps(row, indent=1))
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
