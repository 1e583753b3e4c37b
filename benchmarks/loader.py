"""Reading training clips: ours against torchcodec, decord and OpenCV, and against the model.

    scripts/benchmark loader [--rounds 9 --batch 8]

All read the same clips of the same files in turn, batch by batch, with two threads each; ratios are
taken round by round. Before anything is timed it is checked that all give the same frames. Then the
loader alone, from disk and from kept frames, is set against the training step that it feeds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch.nn import functional as F

import s3d
from benchmarks.clip_readers import READERS, THREADS, ClipJob, encode_jobs
from benchmarks.fights import find_clips
from s3d.clip import ClipSpec
from s3d.data.clips import Augmentation, draw_clip
from s3d.data.decode import probe_video
from s3d.data.loader import ClipLoader
from s3d.data.store import FrameStore, open_videos
from s3d.data.videos import list_videos
from s3d.explore.machine import describe_machine

RECORD = Path(__file__).parent / "results" / "loader.json"
LONG_CLIP = ClipSpec(64, 25.0, (256, 256), (224, 224))
SHORT_CLIP = ClipSpec(16, 8.0, (128, 128), (112, 112))
PACKED = ("RATRACE", "TrumanShow", "hmdb51")
"""Clips whose B-frames are packed: readers number their frames differently, so none is asked."""


class Reader:
    """Hold the process of one reader."""

    def __init__(self, name: str) -> None:
        self.name, self.error = name, ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.clip_readers", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def read(self, jobs: list[ClipJob], save_to: Path | None = None) -> tuple[float, float]:
        """Return the seconds that a batch takes, on the clock and of all cores; nan if it fails."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(encode_jobs(jobs, str(save_to) if save_to else None) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "its process ended"}
        self.error = answer.get("error", "")
        return float(answer.get("seconds", "nan")), float(answer.get("cpu_seconds", "nan"))

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def make_long_video(path: Path, frames: int = 6000) -> None:
    """Write H.264 of 340 x 256 px at 30 frames a second: pictures that drift, cut every 4 s."""
    rng = np.random.default_rng(0)
    scenes = [_draw_scene(rng) for _ in range(8)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 340, 256, "yuv420p"
        for number in range(frames):
            scene, shift = scenes[number // 120 % 8], number % 120
            picture = np.ascontiguousarray(scene[shift : shift + 256, shift : shift + 340])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def _draw_scene(rng: np.random.Generator) -> Any:
    scene = rng.integers(0, 256, (48, 58, 3)).repeat(8, 0).repeat(8, 1).astype(np.float32)
    for axis in (0, 1):  # Smooth, so that ways to resize do not differ like wrong frames.
        scene = np.mean([np.roll(scene, shift, axis) for shift in range(-4, 5)], axis=0)
    return np.rint(scene).astype(np.uint8)


def draw_batches(
    paths: list[Path], spec: ClipSpec, batch: int, seed: int, earliest: float = 0.0
) -> Iterator[list[ClipJob]]:
    """Yield batches of random clips for ever.

    Args:
        paths: Videos.
        spec: Frames, rate, sizes.
        batch: Clips in a batch.
        seed: Decides which.
        earliest: Share of the video before which no clip begins.
    """
    rng = np.random.default_rng(seed)
    store = FrameStore([probe_video(path) for path in paths], spec)
    while True:
        jobs: list[ClipJob] = []
        while len(jobs) < batch:
            video = int(rng.integers(len(paths)))
            draw = draw_clip(store, video, Augmentation(), rng)
            indices = [int(index) for index in draw.indices]
            if indices[0] >= earliest * store.infos[video].frames and sorted(indices) == indices:
                crop = (draw.top, draw.left, *spec.size_px)
                jobs.append(ClipJob(str(paths[video]), indices, spec.resize_px, crop))
        yield jobs


def check_same_frames(
    readers: list[Reader], jobs: list[ClipJob], folder: Path
) -> dict[str, dict[str, float] | str]:
    """Return by how many levels each reader's clips differ from ours, and from ours one frame off.

    Ways to resize differ (OpenCV does not smooth), so no fixed difference tells a wrong frame; that
    the right frames are the nearest ones does.
    """
    found: dict[str, dict[str, float] | str] = {}
    file, ours = folder / "clips.npy", {}
    for name, shift in (("same", 0), ("one_later", 1), ("one_earlier", -1)):
        readers[0].read([job.moved(shift) for job in jobs], file)
        ours[name] = np.load(file).astype(np.int16)
    for reader in readers:
        reader.read(jobs, file)
        if reader.error:
            found[reader.name] = reader.error
            continue
        clips = np.load(file).astype(np.int16)
        differ = {name: np.abs(clips - other).mean() for name, other in ours.items()}
        found[reader.name] = {name: round(float(value), 3) for name, value in differ.items()}
    return found


def measure_setting(
    readers: list[Reader], batches: Iterator[list[ClipJob]], rounds: int, folder: Path
) -> dict[str, Any]:
    """Measure every reader on the same batches in turn."""
    differ = check_same_frames(readers, next(batches), folder)
    agree = [r for r in readers if _is_same(differ[r.name])]
    clock: dict[str, list[float]] = {reader.name: [] for reader in agree}
    cores: dict[str, list[float]] = {reader.name: [] for reader in agree}
    clips = 0
    for turn, jobs in enumerate(itertools.islice(batches, rounds)):
        clips = len(jobs)
        # Whoever reads a file first fetches it from the disk, so the first changes too.
        for reader in agree[turn % len(agree) :] + agree[: turn % len(agree)]:
            seconds, cpu_seconds = reader.read(jobs)
            clock[reader.name].append(seconds)
            cores[reader.name].append(cpu_seconds)
    peers = [reader.name for reader in agree[1:]]
    return {
        "clips_a_second": {n: round(clips / statistics.median(s), 2) for n, s in clock.items()},
        "times_as_fast_as": {n: _spread(_ratios(clock, n)) for n in peers},
        "times_as_fast_as_the_best": _spread([min(r) for r in _rounds(clock, peers)]),
        "cpu_ms_a_clip": {
            n: round(1e3 * statistics.median(s) / clips, 2) for n, s in cores.items()
        },
        "times_less_cpu_than": {n: _spread(_ratios(cores, n)) for n in peers},
        "levels_that_clips_differ_by": differ,
        "rounds": rounds,
    }


def _is_same(differ: dict[str, float] | str) -> bool:
    return not isinstance(differ, str) and differ["same"] <= min(differ.values())


def _ratios(seconds: dict[str, list[float]], peer: str) -> list[float]:
    return [b / a for a, b in zip(seconds["ours"], seconds[peer], strict=True)]


def _rounds(seconds: dict[str, list[float]], peers: list[str]) -> list[tuple[float, ...]]:
    return list(zip(*(_ratios(seconds, peer) for peer in peers), strict=True))


def _spread(values: list[float]) -> list[float]:
    """Return the median, the smallest and the largest."""
    return [round(v, 3) for v in (statistics.median(values), min(values), max(values))]


def measure_feeding(
    folder: Path, word: str, width: float, spec: ClipSpec, batch: int, steps: int
) -> dict[str, Any]:
    """Measure the loader alone, the training step alone, and the step fed by the loader."""
    listed = list_videos(str(find_clips() / "clips.csv"))
    opened = open_videos(listed.videos, THREADS)
    stores = {name: FrameStore(opened.infos, spec) for name in ("from_disk", "kept")}
    stores["kept"].keep(folder / f"kept{spec.size_px[0]}", THREADS)
    network = s3d.build(word, width=width, num_classes=2).train()
    labels = torch.arange(batch) % 2
    held = torch.rand(batch, 3, spec.frames, *spec.size_px).to(memory_format=torch.channels_last_3d)

    def step(clips: torch.Tensor) -> float:
        network.zero_grad(set_to_none=True)
        loss = F.cross_entropy(network(clips), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    def rate(work: Iterator[Any]) -> float:
        next(work)
        begin = time.perf_counter()
        for _ in range(steps):
            next(work)
        return round(batch * steps / (time.perf_counter() - begin), 2)

    row: dict[str, Any] = {"network": f"{word} x {width:g}", "clip": _show(spec), "batch": batch}
    row["model_alone"] = rate(step(held) for _ in itertools.count())
    for name, store in stores.items():
        threads = 1 if store.is_kept else THREADS  # As training sets them.
        row[f"loader_{name}"] = rate(_batches(store, batch, threads))
        fed = (step(b.clips(spec)) for b in _batches(store, batch, threads))
        row[f"model_fed_{name}"] = rate(fed)
    return row


def _batches(store: FrameStore, batch: int, threads: int) -> Iterator[Any]:
    labels = [n % 2 for n in range(len(store.infos))]
    loader = ClipLoader(store, labels, batch, 0, Augmentation(), threads=threads)
    for epoch in itertools.count():
        yield from loader.batches(epoch)


def _show(spec: ClipSpec) -> str:
    return f"{spec.frames} x {spec.size_px[0]} x {spec.size_px[1]} at {spec.rate_fps:g} fps"


def measure_readers(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure all settings."""
    shared, long = find_clips().parent, folder / "long.mp4"
    clips = sorted(p for p in (shared / "clips").iterdir() if not p.name.startswith(PACKED))
    fights = sorted((shared / "fights").rglob("*.mp4"))
    make_long_video(long)
    settings = {
        f"real clips, {_show(LONG_CLIP)}": (clips, LONG_CLIP, 0.0),
        f"real clips, {_show(SHORT_CLIP)}": (clips, SHORT_CLIP, 0.0),
        f"fights, {_show(SHORT_CLIP)}": (fights, SHORT_CLIP, 0.0),
        f"late in 200 s of H.264, {_show(SHORT_CLIP)}": ([long], SHORT_CLIP, 0.5),
    }
    readers, rows = [Reader(name) for name in READERS], {}
    try:
        for name, (paths, spec, earliest) in settings.items():
            batches = draw_batches(paths, spec, args.batch, 0, earliest)
            rows[name] = measure_setting(readers, batches, args.rounds, folder)
            rows[name]["ours_describes_a_file_once_in_ms"] = measure_probe(paths)
            show_setting(name, rows[name])
    finally:
        for reader in readers:
            reader.close()
    return rows


def measure_probe(paths: list[Path]) -> float:
    """Return the milliseconds that describing a file takes, once, when a data set is opened."""
    begin = time.perf_counter()
    for path in paths:
        probe_video(path)
    return round(1e3 * (time.perf_counter() - begin) / len(paths), 2)


def show_setting(name: str, row: dict[str, Any]) -> None:
    """Print what was measured in one setting."""
    print(f"{name}\n  {'reader':18} {'clips/s':>8} {'CPU ms a clip':>14}  ours is times as fast")
    for reader in READERS:
        rate, ratio = row["clips_a_second"].get(reader), row["times_as_fast_as"].get(reader)
        if rate is None:
            print(f"  {reader:18} other frames: {row['levels_that_clips_differ_by'][reader]}")
            continue
        shown = f"{ratio[0]:8.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})" if ratio else ""
        print(
            f"  {reader:18} {rate:8.2f} {row['cpu_ms_a_clip'][reader]:14.2f}  {shown}", flush=True
        )


def _versions() -> dict[str, str]:
    names = ("av", "torchcodec", "decord", "opencv-contrib-python-headless", "numpy")
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--only-readers", action="store_true", help="keep no record")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = measure_readers(args, Path(name))
        if args.only_readers:
            return
        small = ClipSpec(16, 8.0, (73, 73), (64, 64))
        feeding = [
            measure_feeding(Path(name), "s3d", 0.25, small, 16, args.steps),
            measure_feeding(Path(name), "s3d", 1.0, SHORT_CLIP, 8, max(3, args.steps // 3)),
        ]
    for row in feeding:
        print(json.dumps(row))
    record = {
        "date": date.today().isoformat(),
        "command": f"scripts/benchmark loader --rounds {args.rounds} --batch {args.batch} "
        f"--steps {args.steps}",
        "what": f"batches of {args.batch} random clips read from files by {THREADS} threads; "
        "times as fast: median, smallest and largest of the rounds",
        "readers": rows,
        "feeding_clips_a_second": feeding,
        "versions": _versions(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        **describe_machine(),
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
