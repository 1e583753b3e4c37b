"""A model as an OpenVINO file, with its weights in one beside it, and the file run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.infer.engines.openvino_model import build_openvino_model
from s3d.infer.export.content import Content, Run


def write_openvino(content: Content, path: Path) -> None:
    """Write the two files; what they say of themselves is the runtime information "s3d"."""
    import openvino

    model = build_openvino_model(content.graph, content.ranges, gives_scores=content.gives_scores)
    model.set_rt_info(content.about, ["s3d"])
    openvino.save_model(model, str(path), compress_to_fp16=False)


def read_openvino(path: Path) -> tuple[Run, str]:
    """Return what runs a file, and what it says of itself."""
    import openvino

    core = openvino.Core()
    model = core.read_model(str(path))
    about: Any = model.get_rt_info(["s3d"])
    # Else it would take bfloat16 where the processor has it.
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = compiled(frames)["logits"]
        return found

    return run, str(about.astype(str))
