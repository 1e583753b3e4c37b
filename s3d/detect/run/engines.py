"""Which engine a detector's network runs by.

A recogniser hands an engine a whole window. A detector hands it the few frames that a window has
and its neighbour has not, and volumes of a box each; PyTorch works in between and a thread decodes.
A runtime with threads of its own then waits for cores that PyTorch's threads hold, which a trial of
the engine alone does not show: on two cores OpenVINO was 1.2 times as fast as the native engine by
itself, and took 1.4 times as long in a video. So the native engine, which shares PyTorch's threads,
is taken unless it is much the slower one by itself.
"""

from __future__ import annotations

import os
import time

import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.detect.geometry.roi_align import roi_align_in_time
from s3d.detect.network.shape import STRIDE_PX, DetectorShape, steps_apart
from s3d.infer.engines.choose import AUTO, VARIABLE, Tell, choose_engine
from s3d.infer.engines.engine import Engine, usable_engines
from s3d.models.blocks import BLOCKS
from s3d.models.network import Network

CANDIDATES = ("native", "openvino")
TRIALS = 5
MUCH_SLOWER = 2.0
BOXES = 4
TOLERANCE = 1e-3
"""Of the norm: engines that differ by more are left to `choose_engine`, which sees who is right."""


def choose_for_boxes(
    network: Network,
    spec: ClipSpec,
    shape: DetectorShape,
    wanted: str | None = None,
    tell: Tell | None = None,
) -> Engine:
    """Return the engine to run a detector's network by.

    Args:
        network: In eval mode, where it is to run.
        spec: Its window.
        shape: Of the detector.
        wanted: As for `choose_engine`; where nothing is named the candidates are tried, which takes
            about a second.
        tell: As for `choose_engine`.

    Raises:
        InputError: There is no such engine, or it cannot run here.
    """
    device = next(network.parameters()).device.type
    is_open = wanted in (None, AUTO) and (os.environ.get(VARIABLE) or AUTO) == AUTO
    candidates = [name for name in CANDIDATES if name in usable_engines(device)]
    if not is_open or len(candidates) < 2:
        return choose_engine(network, spec, wanted, tell)
    engines = [Engine(network, spec, name) for name in candidates]
    tried = [_try(engine, spec, shape) for engine in engines]
    first = tried[0][1]
    apart = max(float((found - first).norm() / first.norm().clamp(min=1e-9)) for _, found in tried)
    if not apart < TOLERANCE:
        return choose_engine(network, spec, wanted, tell)
    native, other = (seconds for seconds, _ in tried)
    return engines[0] if native < MUCH_SLOWER * other else engines[1]


def _try(engine: Engine, spec: ClipSpec, shape: DetectorShape) -> tuple[float, Tensor]:
    """Return the least time of a short piece and some volumes, and what these give."""
    frames = min(spec.frames, 2 * steps_apart(engine.network.style, shape.at))
    generator = torch.Generator().manual_seed(0)
    size = (1, frames, *spec.size_px, spec.channels)
    piece = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
    height, width = spec.size_px
    boxes = torch.tensor([[0.0, 0.0, width / 2, height / 2]]).expand(BOXES, 4)
    places = torch.zeros(BOXES, dtype=torch.int64)
    seconds, found = float("inf"), torch.zeros(1)
    for _ in range(1 + TRIALS):  # The first one prepares.
        begin = time.perf_counter()
        features = engine.run(piece, until=shape.at)
        volumes = roi_align_in_time(features, boxes, places, shape.roi_px, 1 / STRIDE_PX)
        found = engine.run(volumes, after=shape.at, until=BLOCKS[-1])
        seconds = min(seconds, time.perf_counter() - begin)
    return seconds, found
