"""A moment is the windows it covers, and its features are those of clips cut by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.decode import probe_video, read_frames
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.infer.features import FeatureRecipe
from s3d.infer.recognizer import Recognizer
from s3d.infer.similar.query import Query, compute_query, lay_windows
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from tests.tolerances import FLOAT32

SPEC = ClipSpec(frames=4, rate_fps=8, resize_px=(32, 32), size_px=(32, 32))  # half a second


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    torch.manual_seed(0)
    network = build("s3d_fast", num_classes=2, width=0.1)
    return Recognizer(ModelFile(network, (), SPEC)).use("torch")


@pytest.fixture
def red(colours: Path) -> Path:
    return colours / "red" / "0.mp4"  # 8 frames at 8 fps


@pytest.mark.parametrize(
    ("start", "end", "starts"),
    [
        (None, None, [0, 0.25, 0.5]),
        (0.25, None, [0.25, 0.5]),
        (None, 0.75, [0, 0.25]),
        (0.1, 0.7, [0.1, 0.2]),  # one ends where the moment does
        (0.25, 0.75, [0.25]),
        (0.4, 0.6, [0.25]),  # shorter than a window: in its middle
        (0, 0.1, [0]),
        (0.9, 7, [0.5]),  # as far as the video reaches
    ],
)
def test_where_windows_lie(
    red: Path, start: float | None, end: float | None, starts: list[float]
) -> None:
    query = Query(str(red), start, end)
    found = lay_windows(probe_video(red), SPEC, 0.25, query)
    np.testing.assert_allclose(found, starts, atol=1e-9)


def test_features_equal_those_of_clips_cut_by_hand(recognizer: Recognizer, red: Path) -> None:
    query, recipe = Query(str(red), 0.25, 1), FeatureRecipe(SPEC, "mixed4f", 0.25)
    found = compute_query(recognizer.engine, query, recipe)
    assert found.start_seconds.tolist() == [0.25, 0.5]
    assert found.end_seconds.tolist() == [0.75, 1]
    for row, first in zip(found.features, (2, 4), strict=True):
        frames = read_frames(red, np.arange(first, first + 4), SPEC.resize_px)
        with torch.no_grad():
            clips = normalise(torch.from_numpy(frames)[None], SPEC)
            wanted = recognizer.network.features(clips, "mixed4f")[0].mean((1, 2, 3)).numpy()
        np.testing.assert_allclose(row, wanted, rtol=FLOAT32.relative, atol=FLOAT32.absolute)


def test_all_of_a_video_is_what_features_gives(recognizer: Recognizer, red: Path) -> None:
    found = compute_query(
        recognizer.engine, Query(str(red), 0), FeatureRecipe(SPEC, stride_seconds=0.25)
    )
    wanted = recognizer.features(red, stride_seconds=0.25)
    np.testing.assert_allclose(found.features, wanted.features, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (-1, None, "start is -1 s; it needs seconds from 0."),
        (float("nan"), None, "start is nan s"),
        (float("inf"), None, "start is inf s"),
        (2, 1, "end is 1 s; it needs seconds after the start, 2 s."),
        (1, 1, "end is 1 s"),
        (None, float("nan"), "end is nan s"),
        (None, 0, "end is 0 s"),
    ],
)
def test_times_that_cannot_be(start: float | None, end: float | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Query("a.mp4", start, end)


def test_a_moment_beyond_the_end(red: Path) -> None:
    with pytest.raises(
        InputError, match=r"0.mp4: lasts 1 s; the moment would begin at 1 s. Choose"
    ):
        lay_windows(probe_video(red), SPEC, 0.25, Query(str(red), 1))


def test_a_stride_of_next_to_nothing(red: Path) -> None:
    with pytest.raises(InputError, match="at most 1,000,000 are taken"):
        lay_windows(probe_video(red), SPEC, 1e-9, Query(str(red)))
