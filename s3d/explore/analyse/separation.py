"""Do classes part as a network goes deeper: for each block a picture of the features and a number.

Source: paper section 4.2, the figure of features by tSNE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.explore.analyse.embed import embed_features
from s3d.explore.analyse.features import BlockFeatures
from s3d.explore.analyse.neighbours import NEIGHBOURS, NeighbourAccuracy, neighbour_accuracy
from s3d.files import show_path

Places = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Separation:
    """Hold what is drawn of blocks, and how well neighbours do there.

    Attributes:
        found: The features, their videos and groups.
        accuracy: Of the neighbours at each block, in order of depth.
        places: (N, 2) in a plane, of each block.
        seed: Of the planes and of chance.
    """

    found: BlockFeatures
    accuracy: Mapping[str, NeighbourAccuracy]
    places: Mapping[str, Places]
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return every number as plain JSON values."""
        return {
            "videos": len(self.found.videos),
            "classes": len(set(self.found.labels)),
            "sources": len(set(self.found.groups)),
            "seed": self.seed,
            "measure": "share of videos whose class their nearest neighbours of other sources "
            "vote for: cosine, features averaged over time, space and views",
            "blocks": [
                {"block": block, "channels": self.found.features[block].shape[1], **_round(found)}
                for block, found in self.accuracy.items()
            ],
            "failures": [
                {"path": show_path(path), "reason": reason} for path, reason in self.found.failures
            ],
        }

    def to_rows(self) -> list[dict[str, object]]:
        """Return a row for each block and video: where it lies in the plane."""
        videos = zip(self.found.videos, self.found.groups, strict=True)
        named = [(video.path, video.label, group) for video, group in videos]
        return [
            {
                "path": path, "label": label, "group": group, "block": block,
                "x": f"{x:.5f}", "y": f"{y:.5f}",
            }
            for block, places in self.places.items()
            for (path, label, group), (x, y) in zip(named, places.tolist(), strict=True)
        ]  # fmt: skip


def measure_separation(found: BlockFeatures, k: int = NEIGHBOURS, seed: int = 0) -> Separation:
    """Lay features out in a plane, and ask neighbours for the class, at each block.

    Args:
        found: The features.
        k: Neighbours that vote.
        seed: Of the planes and of chance.

    Raises:
        InputError: scikit-learn is not installed, or there are too few videos.
    """
    features = found.features
    places = {block: embed_features(rows, seed) for block, rows in features.items()}
    accuracy = {
        block: neighbour_accuracy(rows, found.labels, found.groups, k, seed)
        for block, rows in features.items()
    }
    return Separation(found, accuracy, places, seed)


def describe_depth(accuracy: Mapping[str, NeighbourAccuracy]) -> Sequence[str]:
    """Return a table of lines: what neighbours are right about, block by block."""
    lines = [f"{'block':<10}{'neighbours right':>17}{'chance':>9}{'97.5 % of chance':>19}"]
    for block, one in accuracy.items():
        lines.append(f"{block:<10}{one.accuracy:>17.1%}{one.chance:>9.1%}{one.chance_high:>19.1%}")
    return lines


def _round(found: NeighbourAccuracy) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(found).items()}
