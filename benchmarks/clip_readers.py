"""Clips read by us and by others: one process a reader, two threads in it, told what to read.

    .venv-bench/bin/python -m benchmarks.clip_readers NAME

A process each, since every one brings an FFmpeg of its own. It takes lines of JSON, each a batch,
and answers with the seconds that it took, on the clock and of all cores together. Every reader is
used as its documentation advises: frames converted only where wanted, resized by the library where
it can, one decoding thread for each of the threads that read files side by side. Ours describes
each file once, when a data set is opened; that is not counted here, but recorded beside.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

THREADS = 2
_IMPORTS = Lock()
Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ClipJob:
    """Name the frames of a clip and the part of them that is wanted.

    Attributes:
        path: The video.
        indices: Frames in display order, rising; where the video is looped they fall once.
        resize_px: Height and width before the crop.
        crop: Top, left, height and width.
    """

    path: str
    indices: list[int]
    resize_px: tuple[int, int]
    crop: tuple[int, int, int, int]

    def moved(self, frames: int) -> ClipJob:
        """Return the job of the clip that many frames later."""
        return replace(self, indices=[max(0, index + frames) for index in self.indices])


def cut(frames: Frames, job: ClipJob) -> Frames:
    """Return the crop (T, h, w, 3) of frames."""
    top, left, height, width = job.crop
    return frames[:, top : top + height, left : left + width]


def read_ours(job: ClipJob) -> Frames:
    """Read with s3d, which describes each file once, as its data sets do."""
    from s3d.data.decode import read_frames

    return read_frames(_describe(job.path), job.indices, job.resize_px)


@cache
def _describe(path: str) -> Any:
    from s3d.data.decode import probe_video

    return probe_video(path)


def read_torchcodec(job: ClipJob, seek_mode: str) -> Frames:
    """Read with torchcodec, resized by its decoder."""
    transforms, decoders = _module("torchcodec.transforms"), _module("torchcodec.decoders")
    decoder = decoders.VideoDecoder(
        job.path,
        dimension_order="NHWC",
        num_ffmpeg_threads=1,
        seek_mode=seek_mode,
        transforms=[transforms.Resize(list(job.resize_px))],
    )
    found: Frames = decoder.get_frames_at(indices=job.indices).data.numpy()
    return found


def read_decord(job: ClipJob) -> Frames:
    """Read with decord, resized by its decoder."""
    height, width = job.resize_px
    reader = _module("decord").VideoReader(job.path, width=width, height=height, num_threads=1)
    found: Frames = reader.get_batch(job.indices).asnumpy()
    return found


def read_opencv(job: ClipJob, seeks: bool) -> Frames:
    """Read with OpenCV: frames that are not wanted are grabbed alone, as nothing is converted."""
    cv2 = _module("cv2")
    capture = cv2.VideoCapture(job.path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    height, width = job.resize_px
    out = np.empty((len(job.indices), height, width, 3), np.uint8)
    position = -1
    if seeks:
        capture.set(cv2.CAP_PROP_POS_FRAMES, min(job.indices))
        position = min(job.indices) - 1
    slots: dict[int, list[int]] = {}
    for slot, index in enumerate(job.indices):
        slots.setdefault(index, []).append(slot)
    for index in sorted(slots):
        while position < index:
            capture.grab()
            position += 1
        small = cv2.resize(capture.retrieve()[1], (width, height))
        out[slots[index]] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    capture.release()
    return out


READERS: dict[str, Callable[[ClipJob], Frames]] = {
    "ours": read_ours,
    "torchcodec": partial(read_torchcodec, seek_mode="approximate"),
    "torchcodec_exact": partial(read_torchcodec, seek_mode="exact"),
    "decord": read_decord,
    "opencv": partial(read_opencv, seeks=False),
    "opencv_seek": partial(read_opencv, seeks=True),
}


def _module(name: str) -> Any:
    with _IMPORTS:
        return _import(name)


@cache
def _import(name: str) -> Any:
    if name == "torchcodec.transforms":
        _declare_torchvision()
    module = importlib.import_module(name)
    if name == "cv2":
        module.setNumThreads(1)
    if name == "decord":
        module.logging.set_level(module.logging.ERROR)
    return module


@cache
def _declare_torchvision() -> Any:
    """Let torchvision be imported, whose wheel on PyPI refuses a CPU build of torch.

    torchcodec needs it for naming a resize; the operators that are declared here are not called.
    """
    import torch

    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def read_batch(read: Callable[[ClipJob], Frames], jobs: list[ClipJob], pool: Any) -> Frames:
    """Return clips (B, T, H, W, 3), read side by side."""
    return np.stack(list(pool.map(lambda job: cut(read(job), job), jobs)))


def encode_jobs(jobs: list[ClipJob], save_to: str | None) -> str:
    """Return the line that asks a reader for a batch."""
    return json.dumps({"jobs": [asdict(job) for job in jobs], "save_to": save_to})


def main() -> None:
    """Answer each line until there is none."""
    read = READERS[sys.argv[1]]
    with ThreadPoolExecutor(THREADS) as pool:
        for line in sys.stdin:
            task = json.loads(line)
            jobs = [ClipJob(**job) for job in task["jobs"]]
            if read is read_ours:
                for path in {job.path for job in jobs}:
                    _describe(path)
            begin, used = time.perf_counter(), time.process_time()
            try:
                clips = read_batch(read, jobs, pool)
            except Exception as error:  # A reader that fails is a result, not the end.
                print(json.dumps({"error": str(error).splitlines()[0][:200]}), flush=True)
                continue
            answer = {
                "seconds": time.perf_counter() - begin,
                "cpu_seconds": time.process_time() - used,
            }
            if task["save_to"]:
                np.save(task["save_to"], clips)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
