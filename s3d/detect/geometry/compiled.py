"""torchvision's compiled suppression, where it is installed and works; it need not be.

Its wheels fit one build of PyTorch: beside another, importing it raises, or its kernels are missing
for a device. So each device is tried once, on boxes of which the answer is known. Its RoIAlign is
not used: on a GPU it adds gradients in no fixed order, so that a resumed run would differ, and it
takes and gives a layout that the networks do not have.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings

import torch
from torch import Tensor

_BOXES = ((0.0, 0.0, 4.0, 4.0), (0.0, 0.0, 4.0, 3.5), (9.0, 9.0, 12.0, 12.0))
_SCORES = (0.2, 0.9, 0.1)
_KEPT = [1, 2]


@functools.cache
def uses_compiled(device: str) -> bool:
    """Return whether suppression on a type of device ("cpu", "cuda") is torchvision's."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("torchvision")
        boxes = torch.tensor(_BOXES, device=device)
        kept: list[int] = compiled_nms(boxes, torch.tensor(_SCORES, device=device), 0.5).tolist()
    except Exception:
        # A wheel of another build raises nearly anything.
        return False
    return kept == _KEPT


def compiled_nms(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Return what `s3d.detect.geometry.nms.nms` does, of finite boxes and scores in float32."""
    # A threshold in more digits than the overlaps have would part equal ones.
    threshold = torch.tensor(iou, dtype=torch.float32).item()
    kept: Tensor = torch.ops.torchvision.nms(boxes, scores, threshold)
    return kept
