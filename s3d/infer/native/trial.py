"""Compiled kernels on trial, in a process of their own: wrong or crashing ones are never offered.

python -m s3d.infer.native.trial KERNELS.so      ends with 0 where they answer as PyTorch does
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import torch

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.infer.native.runner import NativeRunner
from s3d.models.graph import build_graph
from s3d.models.network import build

TRIAL_SECONDS = 120.0
TOLERANCE = 1e-4
"""Of the norm of the logits."""


def passes_trial(kernels: Path) -> bool:
    """Return whether compiled kernels run networks here, and rightly."""
    command = [sys.executable, "-m", "s3d.infer.native.trial", str(kernels)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TRIAL_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def main(kernels: str) -> int:
    """Hold networks of a few layers' kinds against PyTorch; return 0 where all agree."""
    library = ctypes.CDLL(kernels)
    torch.manual_seed(0)
    frames, spec = torch.randint(0, 256, (2, 9, 40, 33, 3), dtype=torch.uint8), ClipSpec()
    for word in ("sssssgggsss", "2222wvv3333"):
        network = build(word, num_classes=8, width=0.2).eval()
        with torch.no_grad():
            network.head.classifier.weight.normal_()
            wanted = network(normalise(frames, spec))
        graph = build_graph(network, (2, 3, 9, 40, 33), spec=spec)
        found = NativeRunner(graph, library)(frames)
        if not float((found - wanted).norm()) <= TOLERANCE * float(wanted.norm()):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
