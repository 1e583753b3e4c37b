"""Flow of folders of videos: many at once, taken up where a killed run left it.

One process a core computes, because threads would wait for the interpreter between operations
this short; they are spawned, not forked, and never see a container. Threads here decode and encode.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from s3d.data.decode import iterate_frames, probe_video
from s3d.data.find_videos import find_videos
from s3d.data.flow.compute import FlowRecipe, compute_flow, to_grey
from s3d.data.flow.file import probe_flow, write_levels
from s3d.data.flow.levels import Levels, quantise_flow
from s3d.data.flow.place import FlowPlace
from s3d.data.paths import show_path
from s3d.data.transform import resize_short_side
from s3d.data.video_info import VideoInfo
from s3d.errors import InputError
from s3d.files import make_folder

PAIRS_A_TASK = {"cpu": 8, "cuda": 64}


@dataclass(frozen=True)
class FlowJob:
    """Name a video and where its flow belongs."""

    source: str
    target: Path


@dataclass(frozen=True)
class FlowResult:
    """Say what became of a job.

    Attributes:
        job: Which one.
        pairs: Pairs of frames computed now; 0 where the flow was there already, or failed.
        error: Why there is no flow, in one line; None where there is.
    """

    job: FlowJob
    pairs: int
    error: str | None


def plan_flow(sources: Sequence[str], out: Path) -> list[FlowJob]:
    """List the videos of folders, whose tree is kept, of lists and data sets, and single files.

    Args:
        sources: Folders, files, or what `list_videos` takes.
        out: Where flow belongs: the flow of DIR/a/b.avi is out/a/b.avi.flow.mp4.

    Raises:
        InputError: A source is missing, two videos would have one target, or there is none.
    """
    jobs: dict[Path, FlowJob] = {}
    for source in sources:
        place = FlowPlace.of(source, out)
        for path in find_videos(source, out):
            target = place.find(path)
            other = jobs.setdefault(target, FlowJob(path, target))
            if other.source != path:
                raise InputError(
                    f"{show_path(path)} and {show_path(other.source)} would both become "
                    f"{show_path(target)}. Give them one after the other, each its own --out."
                )
    if not jobs:
        raise InputError(f"{', '.join(map(show_path, sources))}: holds no videos. Check the path.")
    return list(jobs.values())


class FlowWorkers:
    """Compute flow on several cores or on a GPU; use it in a `with` statement.

    Attributes:
        recipe: How.
        threads: Videos worked at together, and processes where there is more than one.
    """

    def __init__(self, recipe: FlowRecipe, threads: int = 1, device: str = "cpu") -> None:
        if threads < 1:
            raise InputError(f"threads is {threads}; at least 1 is needed.")
        self.recipe, self.threads, self.device = recipe, threads, device
        self.pairs_a_task = PAIRS_A_TASK["cuda" if device.startswith("cuda") else "cpu"]
        self.stopped, self.starting, self.is_started = threading.Event(), threading.Lock(), False
        # Bounds what is decoded and not yet encoded, over all videos.
        self.slots = threading.Semaphore(3 * threads)
        self.executor: Executor
        if threads == 1 or self.pairs_a_task != PAIRS_A_TASK["cpu"]:
            self.executor = ThreadPoolExecutor(1)
        else:
            spawn = multiprocessing.get_context("spawn")
            self.executor = ProcessPoolExecutor(threads, spawn, _start_worker)

    def __enter__(self) -> FlowWorkers:
        return self

    def __exit__(self, *error: object) -> None:
        self.stopped.set()
        self.executor.shutdown(cancel_futures=True)

    def compute(self, greys: Iterable[Levels]) -> Iterator[Levels]:
        """Yield the flow of one video in parts, in order, computed ahead as far as there is room.

        Args:
            greys: (H, W) uint8 frames.

        Yields:
            (n, H, W, 2) uint8 levels.

        Raises:
            InputError: The frames are too small, or a process was killed.
        """
        pending: deque[Future[Levels]] = deque()
        try:
            for task in _overlapping(greys, self.pairs_a_task):
                # Whoever has nothing under way waits for room; others make some.
                while not self.slots.acquire(blocking=not pending):
                    yield self._take(pending)
                pending.append(self._submit(task))
            while pending:
                yield self._take(pending)
        finally:
            for future in pending:
                future.cancel()
                self.slots.release()

    def _submit(self, task: Levels) -> Future[Levels]:
        try:
            self._start()
            return self.executor.submit(_compute_levels, task, self.recipe, self.device)
        except (BrokenProcessPool, RuntimeError) as error:
            self.slots.release()
            raise _Stopped from error

    def _start(self) -> None:
        """Start all processes at once.

        Left to itself the executor starts one more when a task comes, and where another is killed
        at that moment it waits for the new one for ever (CPython 3.11).
        """
        with self.starting:
            if not self.is_started and isinstance(self.executor, ProcessPoolExecutor):
                for _ in range(self.threads):
                    self.executor.submit(int)
            self.is_started = True

    def _take(self, pending: deque[Future[Levels]]) -> Levels:
        if self.stopped.is_set():
            raise _Stopped
        try:
            levels = pending[0].result()
        except BrokenProcessPool as error:
            raise _Stopped from error
        pending.popleft()
        self.slots.release()
        return levels


class _Stopped(Exception):  # noqa: N818
    """Leave a video half done because all work ends."""


def compute_all(
    jobs: Sequence[FlowJob], workers: FlowWorkers, tell_pairs: Callable[[int], None] | None = None
) -> Iterator[FlowResult]:
    """Yield what became of each job, in order; a bad video is a result like any other.

    Args:
        jobs: What to do.
        workers: Who computes.
        tell_pairs: Told of every few pairs done, from any thread.

    Raises:
        InputError: A computing process was killed; finished videos are kept.
    """

    def work(job: FlowJob) -> FlowResult:
        return compute_one(job, workers, tell_pairs)

    files = ThreadPoolExecutor(workers.threads)
    try:
        yield from files.map(work, jobs)
    except _Stopped:
        raise InputError(
            "a process that computed flow was killed; finished videos are kept. "
            "Use fewer --threads if memory ran out, and start again."
        ) from None
    finally:
        workers.stopped.set()
        files.shutdown(cancel_futures=True)


def compute_one(
    job: FlowJob, workers: FlowWorkers, tell_pairs: Callable[[int], None] | None = None
) -> FlowResult:
    """Return what became of one job."""
    try:
        return FlowResult(job, _compute_file(job, workers, tell_pairs or (lambda _: None)), None)
    except InputError as error:
        return FlowResult(job, 0, str(error))


def _compute_file(job: FlowJob, workers: FlowWorkers, tell: Callable[[int], None]) -> int:
    """Write the flow of one video unless it is there; return the pairs computed."""
    info = probe_video(job.source)
    source, parameters = _describe(info), workers.recipe.parameters()
    if _is_there(job.target, source, parameters):
        return 0
    make_folder(job.target.parent)
    for left in job.target.parent.glob(f".{_escaped(job.target.name)}.*.part"):
        left.unlink(missing_ok=True)  # What a killed run was writing.
    size = resize_short_side(info, workers.recipe.short_side_px)
    greys = (to_grey(frame[None])[0] for frame in iterate_frames(job.source, size))

    def parts() -> Iterator[Levels]:
        count = 0
        for levels in workers.compute(greys):
            yield levels
            tell(len(levels))
            count += len(levels)
        if not count:
            raise InputError(
                f"{show_path(job.source)}: has 1 frame; flow needs at least 2. Leave it out."
            )

    return write_levels(job.target, parts(), info.times_seconds, parameters, source)


def _describe(info: VideoInfo) -> dict[str, Any]:
    size = 0
    with suppress(OSError):
        size = Path(info.path).stat().st_size
    return {
        "name": show_path(Path(info.path).name), "bytes": size, "height_px": info.height_px,
        "width_px": info.width_px, "rate_fps": round(info.rate_fps, 6), "frames": info.frames,
    }  # fmt: skip


def _is_there(target: Path, source: dict[str, Any], parameters: dict[str, Any]) -> bool:
    """Return whether flow is kept already; flow of another video is no hindrance.

    Raises:
        InputError: It is there, but was computed otherwise: someone else may need that.
    """
    if not target.exists():
        return False
    found = probe_flow(target)
    if found.parameters != parameters:
        differing = sorted(
            f"{key} {found.parameters.get(key)}, not {value}"
            for key, value in parameters.items()
            if found.parameters.get(key) != value
        )
        raise InputError(
            f"{show_path(target)}: is flow of other settings ({'; '.join(differing)}). "
            "Choose another folder for this flow."
        )
    return found.source == source


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "[]*?" else c for c in name)


def _overlapping(greys: Iterable[Levels], pairs: int) -> Iterator[Levels]:
    """Yield runs of at most pairs + 1 frames, each beginning with the last one's end."""
    run: list[Levels] = []
    for grey in greys:
        run.append(grey)
        if len(run) > pairs:
            yield np.stack(run)
            run = run[-1:]
    if len(run) > 1:
        yield np.stack(run)


def _start_worker() -> None:
    """Leave interruptions to the parent, and each core to one process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(ImportError):
        import cv2

        cv2.setNumThreads(1)


def _compute_levels(task: Levels, recipe: FlowRecipe, device: str) -> Levels:
    return quantise_flow(compute_flow(task, recipe.method, device, recipe.settings))
