"""s3d flow: optical flow of videos, for networks that take it."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import Any

from s3d.cli.batch_options import add_batch_options, check_batch_options
from s3d.cli.flow_many import flow_many
from s3d.cli.parser import Verbs, add_verb
from s3d.cli.terminal import print_error
from s3d.errors import InputError
from s3d.files import make_folder, show_path


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "compute the optical flow of videos; goes on where it was interrupted"
    parser = add_verb(verbs, "flow", text, run)
    parser.add_argument(
        "sources", nargs="+", metavar="DIR", help="folders of videos, files, CSV or data sets"
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="where the same tree of NAME.flow.mp4 is to be"
    )
    parser.add_argument(
        "--method", default="tvl1", metavar="NAME",
        help="tvl1, the paper's; or dis: many times faster, less exact, needs s3d[flow] [tvl1]",
    )  # fmt: skip
    parser.add_argument(
        "--short-side", type=int, default=256, metavar="PX", help="frames are resized to it [256]"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="cores to use [all]")
    parser.add_argument("--device", default="cpu", help="cpu or cuda [cpu]")
    add_batch_options(parser)


def run(options: argparse.Namespace) -> int:
    """Write the flow of each video, and return the exit code: 2 if there was one without."""
    if options.threads is not None and options.threads < 1:
        raise InputError(f"--threads is {options.threads}; at least 1 is needed.")
    if options.workers is not None and options.ray is None:
        raise InputError("--workers goes with --ray. Without it, use --threads N.")
    check_batch_options(options)
    if options.method == "dis" and options.device != "cpu":
        raise InputError("--method dis: computes on the CPU alone. Leave --device out.")
    from s3d.data.flow.compute import FlowRecipe
    from s3d.data.flow.folder import FlowWorkers, compute_all, plan_flow
    from s3d.models.device import choose_device

    out = Path(options.out)
    recipe = FlowRecipe(options.method, options.short_side)
    device = choose_device(options.device)
    jobs = plan_flow(options.sources, out)
    if options.ray is not None:
        return flow_many(jobs, options)
    make_folder(out)
    progress = _Progress(len(jobs))
    with FlowWorkers(recipe, _choose_threads(options.threads, device), device) as workers:
        for result in compute_all(jobs, workers, progress.add_pairs):
            progress.add_video(result.pairs, result.error)
    print(f"flow      {progress.summary()}")
    print(f"in        {show_path(out)}")
    return progress.code


def _choose_threads(asked: int | None, device: str) -> int:
    if asked is not None:
        return asked
    if device != "cpu":
        return 2  # One video decodes while another is computed.
    from s3d.train.plan import count_cores

    return count_cores()


class _Progress:
    """Count videos and pairs of frames, and show them on a terminal."""

    def __init__(self, videos: int) -> None:
        self.begin = time.perf_counter()
        self.lock = threading.Lock()
        self.done = self.there = self.failed = self.pairs = self.code = 0
        self.bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=videos, desc="flow", unit="video", leave=False)

    def add_pairs(self, count: int) -> None:
        """Count pairs as they are computed."""
        with self.lock:
            self.pairs += count
            if self.bar is not None:
                self.bar.set_postfix_str(f"{self.rate():.1f} pairs/s")

    def add_video(self, pairs: int, error: str | None) -> None:
        """Count a video that is done with; say what was wrong with it."""
        with self.lock:
            if self.bar is not None:
                self.bar.update()
            if error is not None:
                self.failed += 1
                self.code = print_error(error)
            elif pairs:
                self.done += 1
            else:
                self.there += 1

    def rate(self) -> float:
        """Return the pairs computed in a second so far."""
        return self.pairs / max(time.perf_counter() - self.begin, 1e-9)

    def summary(self) -> str:
        """Return what was done, as "12 videos, 2,340 pairs of frames, 9.8 a second"."""
        if self.bar is not None:
            self.bar.close()
        parts = [_count("video", self.done), f"{_count('pair', self.pairs)} of frames"]
        parts += [f"{self.rate():.1f} a second"] if self.pairs else []
        parts += [f"{self.there:,} done before"] if self.there else []
        parts += [f"{self.failed:,} failed"] if self.failed else []
        return ", ".join(parts)


def _count(what: str, number: int) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
