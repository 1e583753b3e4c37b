"""The official splits of a data set scored one by one, and their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from s3d.errors import InputError
from s3d.evaluate.evaluation import Evaluation


@dataclass(frozen=True, eq=False)
class SplitEvaluation:
    """Hold the evaluation of each split by its name.

    Attributes:
        outcomes: By split, in the order they were asked for.
    """

    outcomes: Mapping[str, Evaluation]

    @property
    def means(self) -> dict[str, float]:
        """Return the plain mean over the splits of each figure, as papers print it."""
        figures: dict[str, list[float]] = {"top1": [], "top5": [], "mean_class_accuracy": []}
        for outcome in self.outcomes.values():
            figures["top1"].append(outcome.top(1))
            figures["top5"].append(outcome.top(5))
            figures["mean_class_accuracy"].append(outcome.mean_class_accuracy)
        return {name: float(np.mean(values)) for name, values in figures.items()}

    @property
    def coverage(self) -> str:
        """Return how many of the listed videos the means are of."""
        scored = sum(len(outcome.truth) for outcome in self.outcomes.values())
        found = sum(outcome.found for outcome in self.outcomes.values())
        return f"{scored:,} of {found:,} videos"

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain JSON values."""
        means = {name: round(value, 4) for name, value in self.means.items()}
        return {
            "splits": {name: outcome.to_json() for name, outcome in self.outcomes.items()},
            "mean": {**means, "coverage": self.coverage},
        }


def pair_models(splits: str, models: str) -> dict[str, str]:
    """Return the model of each split.

    Args:
        splits: Their names with commas, as "1,2,3".
        models: As many models with commas; or one pattern that holds {}, which becomes the split,
            as "run_{}/model.safetensors".

    Raises:
        InputError: There are not as many models as splits, or a split stands twice.
    """
    names = [name.strip() for name in splits.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise InputError(f"--splits is {splits!r}; it needs different splits, as in 1,2,3.")
    if "{}" in models:
        return {name: models.replace("{}", name) for name in names}
    files = [model.strip() for model in models.split(",")]
    if len(files) != len(names) or not all(files):
        raise InputError(
            f"--models names {len(files)} for {len(names)} splits; each split needs the model that "
            "was trained on it, as in a,b,c or run_{}/model.safetensors."
        )
    return dict(zip(names, files, strict=True))
