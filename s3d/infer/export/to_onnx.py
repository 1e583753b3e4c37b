"""A model as an ONNX file, and the file run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.infer.engines.onnx_runner import build_onnx_model
from s3d.infer.export.content import Content, Run


def write_onnx(content: Content, path: Path) -> None:
    """Write a file; what it says of itself is the property "s3d"."""
    from onnx import helper

    model = build_onnx_model(content.graph, gives_scores=content.gives_scores)
    helper.set_model_props(model, {"s3d": content.about})
    path.write_bytes(model.SerializeToString())


def read_onnx(path: Path) -> tuple[Run, str]:
    """Return what runs a file, and what it says of itself."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])

    def run(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = session.run(["logits"], {"frames": frames})[0]
        return found

    return run, session.get_modelmeta().custom_metadata_map["s3d"]
