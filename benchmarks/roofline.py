"""What bounds each network on this machine: its work, the machine's peak, and the share achieved.

    scripts/benchmark roofline [--rounds 7 --networks i2d,s3d --frames 64 --size 224]

Multiply-adds are counted. Bytes are those of every node of the graph that reads its inputs and
weights once and writes its output once, in single precision; frames have a byte a value. The peaks
are measured here: of arithmetic by products of large square matrices, of memory by copies of arrays
larger than any cache. The roof is the longer of the times that arithmetic and memory alone would
take. OpenVINO's own counters say in which operations the time goes. The table of docs/speed.md is
written anew from the record.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch

import s3d
from benchmarks.engines import draw_frames
from benchmarks.pairs import time_in_turn
from benchmarks.speed_page import PAGE, format_roofline, write_part
from s3d.clip import ClipSpec
from s3d.explore.machine import describe_machine
from s3d.explore.roofline import measure_peaks
from s3d.infer.engines.choose import choose_engine, package_version
from s3d.infer.engines.openvino_model import build_openvino_model
from s3d.models.cost import count_cost
from s3d.models.graph import Graph, build_graph
from s3d.models.network import Network

RECORD = Path(__file__).parent / "results" / "roofline.json"
NETWORKS = ("i2d", "i3d", "s3d", "s3d_g", "s3d_fast", "i3d_top_4")
COPY_BYTES = 2**30
KINDS = {
    "MaxPool": "pools",
    "AvgPool": "pools",
    "Concat": "concatenations",
    "Reorder": "reorders",
    "Transpose": "reorders",
    "FullyConnected": "gates and head",
    "ReduceMean": "gates and head",
}


def measure_peaks_rounded(rounds: int) -> dict[str, float]:
    """Return the peaks of this machine in GFLOP/s, 2 a multiply-add, and GB/s."""
    peaks = measure_peaks(rounds, copy_bytes=COPY_BYTES)
    return {
        "gflops": round(2 * peaks.macs_per_second / 1e9, 1),
        "gbytes_per_second": round(peaks.bytes_per_second / 1e9, 2),
    }


def profile_openvino(graph: Graph, frames: Any, runs: int) -> dict[str, float]:
    """Return the share of OpenVINO's time in each kind of operation, the largest first."""
    import openvino

    model = build_openvino_model(graph)
    kernels = {
        node.get_friendly_name(): tuple(node.input(1).get_partial_shape().to_shape())[2:]
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Convolution"
    }
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERF_COUNT": True,
    }
    request = openvino.compile_model(model, "CPU", settings).create_infer_request()
    spent: Counter[str] = Counter()
    for run in range(runs + 1):
        request.infer([frames])
        for node in request.get_profiling_info() if run else ():
            kind = _kind(node.node_type, kernels.get(node.node_name))
            spent[kind] += node.real_time.total_seconds()
    total = sum(spent.values())
    return {kind: round(time / total, 4) for kind, time in spent.most_common() if time}


def _kind(node_type: str, kernel: tuple[int, ...] | None) -> str:
    if kernel is None:
        return KINDS.get(node_type, "the rest")
    return "convolutions " + " x ".join(map(str, kernel))


def measure_network(name: str, spec: ClipSpec, rounds: int, peaks: dict[str, float]) -> Any:
    """Return one network's row."""
    torch.manual_seed(0)
    network: Network = s3d.build(name).eval()
    frames = draw_frames(spec)
    engine = choose_engine(network, spec, tell=print)
    seconds = time_in_turn({"ours": lambda: engine.logits(frames)}, rounds)["ours"]
    time = statistics.median(seconds)
    graph = build_graph(network, (1, spec.channels, spec.frames, *spec.size_px), spec=spec)
    cost = count_cost(network, spec.frames, spec.size_px)
    macs, moved = cost.macs, cost.moved_bytes
    arithmetic, memory = 2 * macs / peaks["gflops"] / 1e9, moved / peaks["gbytes_per_second"] / 1e9
    return {
        "engine": engine.name,
        "gmacs": round(macs / 1e9, 2),
        "gbytes": round(moved / 1e9, 3),
        "macs_per_byte": round(macs / moved, 1),
        "latency_ms": round(1e3 * time, 1),
        "latency_range_ms": [round(1e3 * min(seconds), 1), round(1e3 * max(seconds), 1)],
        "arithmetic_alone_ms": round(1e3 * arithmetic, 1),
        "memory_alone_ms": round(1e3 * memory, 1),
        "gflops": round(2 * macs / time / 1e9, 1),
        "share_of_peak": round(arithmetic / time, 3),
        "share_of_roof": round(max(arithmetic, memory) / time, 3),
        "openvino_time": profile_openvino(graph, frames.numpy(), max(1, rounds // 2)),
    }


def measure(networks: Sequence[str], spec: ClipSpec, rounds: int) -> dict[str, Any]:
    """Measure the machine, then each network, then the machine again."""
    before = measure_peaks_rounded(rounds)
    rows = {}
    for name in networks:
        rows[name] = measure_network(name, spec, rounds, before)
        print(json.dumps({name: rows[name]}, indent=1), flush=True)
    height, width = spec.size_px
    return {
        "date": date.today().isoformat(),
        "what": f"one clip of {spec.frames} x {height} x {width}, CPU, single precision",
        "peak": before,
        # A virtual machine's speed drifts; what the peak was at the end says by how much.
        "peak_afterwards": measure_peaks_rounded(rounds),
        "rounds": rounds,
        "networks": rows,
        **describe_machine(),
        "openvino": package_version("openvino"),
    }


def main() -> None:
    """Measure, print, keep a record and write the page's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RECORD)
    args = parser.parse_args()
    side = (args.size, args.size)
    spec = replace(ClipSpec(), frames=args.frames, size_px=side, resize_px=side)
    record = measure(args.networks.split(","), spec, args.rounds)
    args.out.write_text(json.dumps(record, indent=1) + "\n")
    if args.out == RECORD:
        write_part(PAGE, "roofline", format_roofline(record))


if __name__ == "__main__":
    main()
