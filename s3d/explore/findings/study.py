"""What one trained network of the miniature shows: a row of plain numbers, small enough to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.data.synthetic import ACTIONS, ORDER_PAIRS, Entry, SampleConfig, plan_split
from s3d.data.videos import Video, list_videos
from s3d.errors import InputError
from s3d.explore.analyse.features import compute_block_features
from s3d.explore.analyse.kernels import measure_kernels
from s3d.explore.analyse.neighbours import neighbour_accuracy
from s3d.explore.trial import Outcome, Scores, Trial, read_scores, read_trial
from s3d.infer.recognizer import load
from s3d.models.blocks import BLOCKS
from s3d.models.cost import count_cost

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float32]
NEIGHBOUR_BLOCKS = ("pool2a", "pool3a", "pool4a", "pool5a", "mixed5c")
DIGITS = 4


@dataclass(frozen=True)
class Row:
    """Hold what one network and seed gave.

    Attributes:
        network: Of the family.
        seed: Of its training.
        parameters: Learnt numbers.
        macs: Multiply-adds of a clip.
        top1: On all test videos.
        order_top1: On those of the classes of order.
        look_top1: On those of the classes of appearance.
        reversed_order_top1: The first, played backwards.
        reversed_look_top1: The second, played backwards.
        within: Share of videos of order whose class scores above its partner's; chance is 0.5.
        reversed_within: The same, played backwards.
        right: Bits of which test videos are named right, in the order of the list, as hex.
        kernels: Outer taps over the centre, root mean square, by layer; none without such kernels.
        neighbours: Share of videos whose five nearest, of other scenes, vote right, by block.
        minutes: Of training.
        date: When it ended.
        hardware: What trained it.
        command: Gives it again.
    """

    network: str
    seed: int
    parameters: int
    macs: int
    top1: float
    order_top1: float
    look_top1: float
    reversed_order_top1: float
    reversed_look_top1: float
    within: float
    reversed_within: float
    right: str
    kernels: Mapping[str, float]
    neighbours: Mapping[str, float]
    minutes: float
    date: str
    hardware: Mapping[str, str]
    command: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def study(place: Path, outcome: Outcome, sample: SampleConfig, command: str) -> Row:
    """Return the row of a trial that has ended well.

    Args:
        place: The trial's folder.
        outcome: What came of it.
        sample: The videos it was trained on and scored with.
        command: Gives the row again.

    Raises:
        InputError: The trial's files are missing or damaged.
    """
    trial, scores = read_trial(place), read_scores(place)
    if scores.backwards is None:
        raise InputError(f"{place}: was not played backwards; delete it to try again.")
    _check_order(scores, sample, place)
    forwards, backwards = scores.forwards, scores.backwards
    is_order = np.isin(np.array(scores.labels), ACTIONS)[scores.truth]
    right, reversed_right = (s.argmax(1) == scores.truth for s in (forwards, backwards))
    candidate = trial.candidate
    cost = count_cost(
        candidate.network, candidate.frames, (candidate.size_px,) * 2,
        num_classes=len(scores.labels), width=candidate.width,
    )  # fmt: skip
    return Row(
        network=candidate.network,
        seed=trial.seed,
        parameters=cost.parameters,
        macs=cost.macs,
        top1=_share(right),
        order_top1=_share(right[is_order]),
        look_top1=_share(right[~is_order]),
        reversed_order_top1=_share(reversed_right[is_order]),
        reversed_look_top1=_share(reversed_right[~is_order]),
        within=_share(own_above_partner(scores, forwards)),
        reversed_within=_share(own_above_partner(scores, backwards)),
        right=pack(right),
        kernels=_measure_kernels(place),
        neighbours=_measure_neighbours(place, trial, sample),
        minutes=round(outcome.minutes, 1),
        date=outcome.date,
        hardware=outcome.hardware,
        command=command,
    )


def own_above_partner(scores: Scores, given: Numbers) -> Bools:
    """Return for each video of a class of order whether its class scores above its partner's."""
    partner = dict(ORDER_PAIRS) | {second: first for first, second in ORDER_PAIRS}
    number = {label: place for place, label in enumerate(scores.labels)}
    other = np.array([number[partner.get(label, label)] for label in scores.labels])[scores.truth]
    rows = np.flatnonzero(other != scores.truth)
    above: Bools = given[rows, scores.truth[rows]] > given[rows, other[rows]]
    return above


def pack(right: Bools) -> str:
    """Return bits as hex."""
    return np.packbits(right).tobytes().hex()


def unpack(text: str, count: int) -> Bools:
    """Return the bits that `pack` wrote.

    Raises:
        InputError: There are not so many.
    """
    try:
        packed = np.frombuffer(bytes.fromhex(text), np.uint8)
    except ValueError:
        packed = np.zeros(0, np.uint8)
    if len(packed) != -(-count // 8):
        raise InputError(f"a row holds {8 * len(packed)} answers, not {count}; train it again.")
    return np.unpackbits(packed, count=count).astype(np.bool_)


def scored_scenes(sample: SampleConfig) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the class and the scene of each test video, in the order in which they are scored."""
    entries = _scored_entries(sample)
    return [entry.label for entry in entries], np.array([entry.scene for entry in entries])


def _scored_entries(sample: SampleConfig) -> list[Entry]:
    return sorted(plan_split("test", sample), key=lambda entry: (entry.label, entry.path))


def _check_order(scores: Scores, sample: SampleConfig, place: Path) -> None:
    """Check that the videos were scored in the order that `scored_scenes` tells."""
    wanted = [Path(entry.path).parts[-2:] for entry in _scored_entries(sample)]
    if [Path(path).parts[-2:] for path in scores.paths] != wanted:
        raise InputError(f"{place}: scored other videos, or in another order. Delete it.")


def _measure_kernels(place: Path) -> dict[str, float]:
    network = load(place / "run" / "model.safetensors").network
    try:
        spreads = measure_kernels(network)
    except InputError:  # An I2D has none.
        return {}
    return {s.layer: round(s.outer_ratio, DIGITS) for s in spreads if s.part == "layer"}


def _measure_neighbours(place: Path, trial: Trial, sample: SampleConfig) -> dict[str, float]:
    recognizer = load(place / "run" / "model.safetensors")
    recognizer.use("torch")
    _, scenes = scored_scenes(sample)
    videos: Sequence[Video] = list_videos(trial.scored).videos
    found = compute_block_features(recognizer, videos, NEIGHBOUR_BLOCKS)
    groups = [str(scene) for scene in scenes]
    return {
        block: round(
            neighbour_accuracy(found.features[block], found.labels, groups).accuracy, DIGITS
        )
        for block in sorted(found.features, key=BLOCKS.index)
    }


def _share(values: Bools) -> float:
    return round(float(values.mean()), DIGITS)
