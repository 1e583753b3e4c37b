"""Weights that come inside the package: what they are, and the hash that a file is held against.

One literal table, the only place that records a hash. Whoever puts another file here changes its
line: `tests/models/test_shipped.py` says what it found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MOST_BYTES = 8_000_000
"""Of all files together: so much the package may grow by."""


@dataclass(frozen=True)
class Shipped:
    """Describe weights that come inside the package.

    Attributes:
        title: What they have learnt, in a few words.
        file: Their model file, in `FOLDER`.
        sha256: Of the file.
        network: By name or word; with width and style as the file's header has it.
        width: Multiplier of its channels.
        style: Its convention, by name.
    """

    title: str
    file: str
    sha256: str
    network: str
    width: float
    style: str = "paper"

    @property
    def path(self) -> Path:
        """Return where the file lies."""
        return FOLDER / self.file


SHIPPED: Mapping[str, Shipped] = {
    "motion-small": Shipped(
        "motion learnt from drawn video, narrow",
        "motion-small.safetensors",
        "9aedc1a43bfe1f8c281aa24ab5345e3b8bdb9485ca4ae9a0ab7bcd0d69883fee",
        "s22s22222ss",
        0.25,
    ),
    "motion-wide": Shipped(
        "motion learnt from drawn video, wide",
        "motion-wide.safetensors",
        "366ff625e77b157512d67844cf89bfd10693554d85e13bdccf9e012725a2153a",
        "s22s22222ss",
        0.5,
    ),
}
"""Each by the name that `s3d.load`, `--model` and `--init` take."""

FOR_LIKENESS = "motion-wide"
"""What tells how videos move, where nobody names a model: its neighbours are more often alike."""
