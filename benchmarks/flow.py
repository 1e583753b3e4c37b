"""TV-L1 flow: ours against OpenCV's DualTVL1, same cores, pairs and settings, with DIS beside.

    scripts/benchmark flow [--pairs 4 --rounds 3 --threads 2]

Speed: pairs of real clips at 340 x 256, in turn, so that a change in the machine's speed falls on
both. OpenCV is timed twice, with its own threads and with one pair a thread, and its better time
counts. Error: against known motion, against OpenCV's flow, the energy reached on the real pairs,
and the correlation with the published I3D flow of a clip of UCF-101.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.known_motion import MARGIN_PX, MOTIONS, end_point_error, random_texture, render
from s3d.data.decode import read_frames
from s3d.data.flow.compute import FlowRecipe, compute_flow, to_grey
from s3d.data.flow.file import save_flow
from s3d.data.flow.folder import FlowWorkers
from s3d.data.flow.tvl1 import TvL1
from s3d.explore.machine import describe_machine

Grey = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]
Find = Callable[[tuple[Grey, Grey]], Flow]
SHARED = Path(os.environ.get("S3D_SHARED", Path(__file__).resolve().parents[2] / "shared"))
SIZE_PX = (256, 340)
CLIPS = {
    "SOX5yA1l24A.mp4": 50, "R6llTwEh07w.mp4": 120, "archery.avi": 40,
    "v_SoccerJuggling_g23_c01.avi": 30, "TrumanShow_wave_f_nm_np1_fr_med_26.avi": 20,
    "arm_wrestling.mp4": 60,
}  # fmt: skip
"""Name and first frame."""


def opencv_tvl1(pair: tuple[Grey, Grey]) -> Flow:
    """Return OpenCV's flow of a pair with its default settings, which are the published ones."""
    contributed: Any = cv2.optflow  # Its stubs lack it.
    finder = contributed.DualTVL1OpticalFlow_create()
    return np.asarray(finder.calc(*pair, None), np.float32)


def opencv_dis(pair: tuple[Grey, Grey]) -> Flow:
    """Return OpenCV's DIS flow of a pair, preset medium."""
    opencv: Any = cv2
    finder = opencv.DISOpticalFlow_create(opencv.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(finder.calc(*pair, None), np.float32)


def our_tvl1(pair: tuple[Grey, Grey]) -> Flow:
    """Return our flow of a pair."""
    flow: Flow = compute_flow(np.stack(pair))[0]
    return flow


METHODS: dict[str, Find] = {
    "ours": our_tvl1, "opencv_tvl1": opencv_tvl1, "opencv_dis": opencv_dis,
}  # fmt: skip


def read_clips(pairs: int) -> dict[str, Grey]:
    """Return (pairs + 1, H, W) grey frames of each clip."""
    folder = SHARED / "videos" / "clips"
    return {
        name: to_grey(read_frames(folder / name, range(first, first + pairs + 1), SIZE_PX))
        for name, first in CLIPS.items()
    }


def measure_speed(clips: dict[str, Grey], rounds: int, threads: int) -> dict[str, Any]:
    """Return milliseconds a pair and ratios, clip by clip, round by round."""
    ways: dict[str, list[float]] = {"ours": [], "opencv": [], "opencv_by_pairs": [], "dis": []}
    with FlowWorkers(FlowRecipe(), threads) as workers, ThreadPoolExecutor(threads) as pool:
        workers.pairs_a_task = max(1, (len(next(iter(clips.values()))) - 1) // threads)
        list(workers.compute(next(iter(clips.values()))))  # the processes start
        for _ in range(rounds):
            for frames in clips.values():
                pairs = list(pairwise(frames))
                ways["ours"].append(_time(partial(list, workers.compute(frames))))
                cv2.setNumThreads(threads)
                ways["opencv"].append(_time(partial(list, map(opencv_tvl1, pairs))))
                cv2.setNumThreads(1)
                for way, find in (("opencv_by_pairs", opencv_tvl1), ("dis", opencv_dis)):
                    ways[way].append(_time(partial(_map_all, pool, find, pairs)))
    return _summarise(ways, len(pairs), len(clips))


def _map_all(pool: ThreadPoolExecutor, find: Find, pairs: list[tuple[Grey, Grey]]) -> None:
    list(pool.map(find, pairs))


def _time(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _summarise(ways: dict[str, list[float]], pairs: int, clips: int) -> dict[str, Any]:
    best = [min(times) for times in zip(ways["opencv"], ways["opencv_by_pairs"], strict=True)]
    ratios = [theirs / ours for theirs, ours in zip(best, ways["ours"], strict=True)]
    by_clip = [round(statistics.median(ratios[i::clips]), 2) for i in range(clips)]
    return {
        "ms_a_pair": {k: round(1e3 * statistics.median(v) / pairs, 1) for k, v in ways.items()},
        "ratio_median": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "ratio_by_clip": dict(zip(CLIPS, by_clip, strict=True)),
        "ratio_to_opencv_threads_median": round(
            statistics.median(a / b for a, b in zip(ways["opencv"], ways["ours"], strict=True)), 2
        ),
        "measurements": len(ratios),
    }


def measure_known_motion(clips: dict[str, Grey]) -> dict[str, dict[str, float]]:
    """Return the mean end-point error in px by motion and method, over four pictures."""
    larges = [_enlarge(frames[0]) for frames in list(clips.values())[:3]]
    larges.append(random_texture(3 * SIZE_PX[0], 3 * SIZE_PX[1]))
    found: dict[str, dict[str, float]] = {}
    for name, motion in MOTIONS.items():
        scenes = [render(large, motion, SIZE_PX) for large in larges]
        found[name] = {
            method: round(statistics.mean(_error_of(scene, find) for scene in scenes), 4)
            for method, find in METHODS.items()
        }
    return found


def _enlarge(frame: Grey) -> Tensor:
    picture = torch.from_numpy(frame).float()[None, None]
    return F.interpolate(picture, scale_factor=3, mode="bicubic")[0, 0].clamp(0, 255)


def _error_of(scene: tuple[Tensor, Tensor, Tensor], find: Find) -> float:
    first, second, truth = scene
    pair = first.byte().numpy(), second.byte().numpy()
    return end_point_error(torch.from_numpy(find(pair)), truth)


def measure_real_pairs(clips: dict[str, Grey]) -> dict[str, Any]:
    """Return the energy on real pairs, as a share of OpenCV's, and the distance from its flow."""
    shares: dict[str, dict[str, float]] = {}
    for name, frames in clips.items():
        pair = frames[0], frames[1]
        flows = {method: torch.from_numpy(find(pair)) for method, find in METHODS.items()}
        energies = {method: energy(pair, flow) for method, flow in flows.items()}
        shares[name] = {
            "energy_ours": round(energies["ours"] / energies["opencv_tvl1"], 3),
            "energy_dis": round(energies["opencv_dis"] / energies["opencv_tvl1"], 3),
            "distance_px": round(end_point_error(flows["ours"], flows["opencv_tvl1"]), 3),
            "length_px": round(float(flows["opencv_tvl1"].norm(dim=-1).mean()), 3),
        }
    mean = statistics.mean(share["energy_ours"] for share in shares.values())
    return {"energy_share_mean": round(mean, 3), "clips": shares}


def energy(pair: tuple[Grey, Grey], flow: Tensor) -> float:
    """Return the mean TV-L1 energy a pixel of a flow (H, W, 2), without the margin."""
    first, second = (torch.from_numpy(frame).float() for frame in pair)
    height, width = first.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    unit = torch.tensor([2 / (width - 1), 2 / (height - 1)])
    places = (torch.stack([x, y], -1) + flow) * unit - 1
    warped = F.grid_sample(
        second[None, None], places[None], mode="bicubic", padding_mode="border", align_corners=True
    )[0, 0]
    across = F.pad(flow.diff(dim=1), (0, 0, 0, 1))
    down = F.pad(flow.diff(dim=0), (0, 0, 0, 0, 0, 1))
    smooth = (across**2 + down**2).sqrt().sum(-1)
    total = smooth + TvL1().lam * (warped - first).abs() * (places.abs().amax(-1) <= 1)
    inner = slice(MARGIN_PX, -MARGIN_PX)
    return float(total[inner, inner].mean())


def measure_published(step: int) -> dict[str, list[float]]:
    """Return correlations, across and down, with the published flow of every `step`-th pair."""
    rgb, truth = (
        _read_gif(SHARED / "flow" / f"v_CricketShot_g04_c01_{n}.gif") for n in ("rgb", "flow")
    )
    grey, found = to_grey(rgb), {}
    chosen = range(0, len(grey) - 1, step)
    for method, find in METHODS.items():
        flow = np.stack([find((grey[i], grey[i + 1])) for i in chosen])
        found[method] = [_correlate(flow[..., k], truth[chosen, ..., k]) for k in (0, 1)]
        if method == "ours":
            late = [i + 1 for i in chosen]
            found["ours_crossed"] = [
                _correlate(flow[..., k], truth[chosen, ..., 1 - k]) for k in (0, 1)
            ]
            found["ours_one_frame_off"] = [
                _correlate(flow[..., k], truth[late, ..., k]) for k in (0, 1)
            ]
    return found


def measure_reading(rounds: int, pairs: int = 48) -> dict[str, Any]:
    """Return milliseconds to read frames of videos, and to read their flow from its files."""
    folder, ways = SHARED / "videos" / "clips", {"video": list[float](), "flow": list[float]()}
    with tempfile.TemporaryDirectory() as work:
        for number, (name, _) in enumerate(list(CLIPS.items())[:3]):
            video, kept = folder / name, Path(work, f"{number}.flow.mp4")
            frames = to_grey(read_frames(video, range(pairs + 1), SIZE_PX))
            times = np.arange(pairs) / 25
            save_flow(kept, compute_flow(frames, "dis"), times, FlowRecipe("dis").parameters())
            for _ in range(rounds):
                for way, path in (("video", video), ("flow", kept)):
                    read = partial(read_frames, path, range(pairs), SIZE_PX)
                    ways[way].append(1e3 * _time(read) / pairs)
    ratios = [a / b for a, b in zip(ways["video"], ways["flow"], strict=True)]
    return {
        "ms_a_frame": {way: round(statistics.median(times), 3) for way, times in ways.items()},
        "ratio_median": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
    }


def _read_gif(path: Path) -> Grey:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def _correlate(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    return round(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]), 3)


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4, help="of each clip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reading", action="store_true", help="measure that alone")
    args = parser.parse_args()
    path = Path(__file__).parent / "results" / "flow.json"
    if args.reading:
        kept = {**json.loads(path.read_text()), "reading": measure_reading(5 * args.rounds)}
        print(json.dumps(kept["reading"], indent=1))
        path.write_text(json.dumps(kept, indent=1) + "\n")
        return
    clips = read_clips(args.pairs)
    speed = measure_speed(clips, args.rounds, args.threads)
    torch.set_num_threads(1)
    record = {
        "date": date.today().isoformat(),
        "command": f"scripts/benchmark flow --pairs {args.pairs} --rounds {args.rounds} "
        f"--threads {args.threads}",
        "what": f"TV-L1 at {SIZE_PX[1]} x {SIZE_PX[0]}, ours against OpenCV {cv2.__version__}",
        "speed": speed,
        "end_point_error_px": measure_known_motion(clips),
        "real_pairs": measure_real_pairs(clips),
        "correlation_with_published": measure_published(step=2),
        "reading": measure_reading(5 * args.rounds),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        **describe_machine(),
        "threads": str(args.threads),
    }
    print(json.dumps(record, indent=1))
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
