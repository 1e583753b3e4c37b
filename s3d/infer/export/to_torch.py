"""A model as a program of `torch.export`, and the program run."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from s3d.infer.engines.plain_module import PlainModule
from s3d.infer.export.content import Content, Run

ABOUT = "s3d.json"
"""The file in the archive that says what the program is."""

TRACED_BATCH = 2
TRACED_MORE_FRAMES = 32
"""Sizes by which a program is traced: one that came to 1 would be taken for a constant."""


def write_torch(content: Content, path: Path) -> None:
    """Write a file; what it says of itself is the extra file "s3d.json" in it."""
    program = _trace(PlainModule(content.graph, content.gives_scores).eval())
    packed = io.BytesIO()
    torch.export.save(program, packed, extra_files={ABOUT: content.about})
    path.write_bytes(packed.getbuffer())


def _trace(module: PlainModule) -> torch.export.ExportedProgram:
    first, least = module.graph.input, module.graph.least_frames
    channels, frames, height, width = first.shape
    axes: dict[int, Any] = {0: torch.export.Dim("batch")}
    if least is not None:
        axes[1], frames = torch.export.Dim("time", min=least), frames + TRACED_MORE_FRAMES
    example = torch.zeros((TRACED_BATCH, frames, height, width, channels), dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of PyTorch's own parts that it calls outdated.
        program = torch.export.export(module, (example,), dynamic_shapes={"frames": axes})
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # It names folders of this machine.
    program.example_inputs = None  # Clips as large as the weights would be kept in the file.
    return program


def read_torch(path: Path) -> tuple[Run, str]:
    """Return what runs a file that we wrote, and what it says of itself."""
    extra = {ABOUT: ""}
    module = torch.export.load(path, extra_files=extra).module()

    def run(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.no_grad():
            found: npt.NDArray[np.float32] = module(torch.from_numpy(frames))["logits"].numpy()
        return found

    return run, extra[ABOUT]
