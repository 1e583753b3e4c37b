"""Boxes of a key frame: found by engines as by the plain modules, and kept by slow definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from s3d.data.decode import read_frames
from s3d.data.frame_source import open_source
from s3d.data.loader import normalise
from s3d.detect.geometry.boxes import STRONG, clip_boxes, decode_boxes
from s3d.detect.network.anchors import make_anchors
from s3d.detect.network.detector_file import DetectorFile
from s3d.detect.network.proposals import propose
from s3d.detect.network.settings import proposal_settings
from s3d.detect.network.shape import STRIDE_PX, count_places
from s3d.detect.run.finder import BoxFinder, FrameBoxes, Keeping
from s3d.detect.run.key_frames import features_of_window
from s3d.errors import InputError
from s3d.infer.engines.engine import usable_engines
from tests.detect.tiny_detector import SIZE, make_detector

ENGINES = [name for name in ("torch", "eager", "openvino") if name in usable_engines("cpu")]
PICTURE_PX = (96, 192)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return the overlap of two boxes, from its definition."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return wide * high / (sum(areas) - wide * high)


def draw_found(seed: int, count: int = 12, classes: int = 3) -> FrameBoxes:
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 30, (count, 2)), rng.uniform(15, 30, (count, 2))
    boxes = np.concatenate([corner, corner + side], 1).astype(np.float32)
    return FrameBoxes(boxes, rng.uniform(0, 1, (count, classes)).astype(np.float32))


def rows_by_definition(found: FrameBoxes, keeping: Keeping) -> list[tuple[int, int]]:
    """Return (box, class) pairs: the best first, each unless a better one of its class is on it."""
    pairs = [(b, k) for b, row in enumerate(found.scores) for k in range(len(row))]
    pairs = [p for p in pairs if found.scores[p] >= keeping.least_score]
    pairs.sort(key=lambda p: -found.scores[p])
    kept: list[tuple[int, int]] = []
    for box, label in pairs:
        others = [found.boxes[b] for b, k in kept if k == label]
        if all(iou(found.boxes[box], other) <= keeping.iou for other in others):
            kept.append((box, label))
    return kept[: keeping.most]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("keeping", [Keeping(), Keeping(0.4, 0.3, 7), Keeping(0.0, 0.9)])
def test_rows_are_the_best_of_each_class(seed: int, keeping: Keeping) -> None:
    found = draw_found(seed)
    rows, wanted = found.rows(17, keeping), rows_by_definition(found, keeping)
    assert rows.labels.tolist() == [k for _, k in wanted]
    assert rows.scores.tolist() == [found.scores[p] for p in wanted]
    assert rows.boxes.tolist() == [found.boxes[b].tolist() for b, _ in wanted]
    assert rows.frames.tolist() == [17] * len(wanted)


@pytest.mark.parametrize("seed", range(5))
def test_people_are_each_there_once_with_all_their_scores(seed: int) -> None:
    found, keeping = draw_found(seed), Keeping(0.5, 0.4, 5)
    # A person does something: all classes are as one, the highest.
    single = FrameBoxes(found.boxes, found.scores.max(1, keepdims=True))
    wanted = [b for b, _ in rows_by_definition(single, keeping)]
    people = found.people(keeping)
    assert people.boxes.tolist() == found.boxes[wanted].tolist()
    assert people.scores.tolist() == found.scores[wanted].tolist()


def test_of_nothing_and_of_no_numbers_nothing_is_kept() -> None:
    nothing = FrameBoxes(np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32))
    bad = draw_found(0, count=2)
    bad.boxes[0, 1], bad.scores[1] = np.nan, np.nan
    for found in (nothing, bad):
        assert len(found.rows(0, Keeping())) == 0
        people = found.people(Keeping())
        assert (people.boxes.shape, people.scores.shape) == ((0, 4), (0, 3))


def find_plainly(
    model: DetectorFile, windows: dict[str, np.ndarray]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return boxes in px of the input and scores, module by module."""
    detector = model.detector
    clips = {
        name: normalise(torch.from_numpy(frames)[None], detector.specs[name])
        for name, frames in windows.items()
    }
    pictures = None
    if detector.image is not None:
        key = windows["rgb"][detector.key_place]
        pictures = torch.from_numpy(key).permute(2, 0, 1)[None] / 255
    shape = detector.shape
    with torch.no_grad():
        features = detector.features(clips)
        objectness, deltas = detector.propose_from(features, pictures)
        grid = make_anchors(count_places(SIZE), STRIDE_PX, shape.anchor_px, shape.anchor_ratios)
        (found,) = propose(objectness, deltas, grid, SIZE, proposal_settings(shape))
        boxes = found.boxes[found.scores >= 0.01]
        logits, shifts = detector.name_volumes(detector.cut(features, [boxes]))
        return clip_boxes(decode_boxes(shifts, boxes, STRONG), SIZE), detector.scores(logits)


def read_windows(model: DetectorFile, path: Path) -> dict[str, np.ndarray]:
    frames = np.arange(6, 6 + model.detector.spec.frames)
    return {
        name: open_source(path, spec).read(frames, spec.size_px)
        for name, spec in model.detector.specs.items()
    }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("streams", "image_net", "multi_label"),
    [
        (("rgb",), "none", False),
        (("rgb",), "resnet18", True),
        (("rgb", "flow"), "none", False),
        (("flow",), "none", True),
    ],
)
def test_engines_find_what_the_modules_find(
    drifting: Path, engine: str, streams: tuple[str, ...], image_net: str, multi_label: bool
) -> None:
    model = make_detector(streams, image_net=image_net, multi_label=multi_label)
    windows = read_windows(model, drifting)
    boxes, scores = find_plainly(model, windows)
    finder = BoxFinder(model, engine=engine)
    features = {
        name: features_of_window(finder.engines[name], frames, model.detector.shape.at)
        for name, frames in windows.items()
    }
    picture = windows["rgb"][model.detector.key_place] if "rgb" in windows else None
    found = finder.find(features, picture, PICTURE_PX)
    assert 1 < len(boxes) <= 5
    scale = np.array([3, 2, 3, 2])  # 192 / 64 across, 96 / 48 down
    np.testing.assert_allclose(found.boxes, boxes.numpy() * scale, atol=2e-2)
    np.testing.assert_allclose(found.scores, scores.numpy(), atol=1e-4)
    assert found.scores.std() > 1e-3
    if not multi_label:
        assert (found.scores.sum(1) < 1).all()


def test_what_is_found_depends_on_what_is_seen(drifting: Path, shared_dir: Path) -> None:
    model = make_detector()
    finder = BoxFinder(model, engine="torch")
    clip = shared_dir / "videos" / "detection" / "v_IceDancing_g02_c05.mp4"
    scores = []
    for path in (drifting, clip):
        window = read_frames(path, range(8), SIZE)
        features = features_of_window(finder.engines["rgb"], window, "mixed4e")
        scores.append(finder.find({"rgb": features}, None, SIZE).scores)
    assert scores[0].shape != scores[1].shape or not np.allclose(*scores, atol=1e-3)


def test_where_nobody_is_proposed_nobody_is_found(drifting: Path) -> None:
    model = make_detector()
    model.detector.proposing.objectness.weight.data.zero_()
    model.detector.proposing.objectness.bias.data.fill_(-9)
    finder = BoxFinder(model, engine="torch")
    features = features_of_window(
        finder.engines["rgb"], read_frames(drifting, range(8), SIZE), "mixed4e"
    )
    found = finder.find({"rgb": features}, None, PICTURE_PX)
    assert (found.boxes.shape, found.scores.shape) == ((0, 4), (0, 2))
    assert found.boxes.dtype == found.scores.dtype == np.float32


def test_an_engine_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown engine 'torhc'\. Did you mean torch"):
        BoxFinder(make_detector(), engine="torhc")
