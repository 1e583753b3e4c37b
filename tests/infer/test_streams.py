"""Two streams: logits are added, and what one stream cannot read neither can."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.flow.levels import mirror_flow, paint_flow, play_flow_backwards, quantise_flow
from s3d.errors import InputError
from s3d.infer.recognizer import Prediction, Recognizer
from s3d.infer.streams import TwoStreams, fuse_scores
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from tests.conftest import WriteVideo
from tests.data.moving import slide

LABELS = ("a", "b", "c")
HALF = (0.5, 0.5)
RGB = ClipSpec(4, 25.0, (32, 32), (32, 32))
FLOW = ClipSpec(4, 25.0, (32, 32), (32, 32), mean=HALF, std=HALF, modality="flow", flow_side_px=32)


def make(spec: ClipSpec, labels: tuple[str, ...] = LABELS, seed: int = 0) -> Recognizer:
    torch.manual_seed(seed)
    network = build("s3d_fast", num_classes=len(labels), width=0.1, channels=spec.channels)
    return Recognizer(ModelFile(network, labels, spec))


@pytest.fixture
def video(tmp_path: Path, write_video: WriteVideo) -> Path:
    return write_video(tmp_path / "v.mp4", slide(10, (32, 40), (1, 0)))


def test_fused_scores_are_those_of_added_logits() -> None:
    one, other = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    fused = fuse_scores(one.softmax(1).numpy(), other.softmax(1).numpy())
    np.testing.assert_allclose(fused, (one + other).softmax(1).numpy(), atol=1e-6)


def test_a_score_of_nothing_does_not_break_the_fusion() -> None:
    fused = fuse_scores(np.float32([1, 0, 0]), np.float32([0, 0.5, 0.5]))
    assert fused.sum() == pytest.approx(1)
    assert np.isfinite(fused).all()


@pytest.mark.parametrize("protocol", ["clip", "cover", "all-frames"])
def test_both_streams_are_in_the_prediction(video: Path, protocol: str) -> None:
    # The classes of the flow model are in another order: names decide, not places.
    streams = TwoStreams(make(RGB), make(FLOW, ("c", "a", "b"), seed=1))
    found = streams.predict(video, protocol)
    alone = streams.flow.predict(video, protocol)
    named = [dict(alone.top(3))[label] for label in LABELS]
    np.testing.assert_allclose(found.streams["flow"].scores, named, atol=1e-6)
    seen = streams.rgb.predict(video, protocol).scores
    np.testing.assert_allclose(found.scores, fuse_scores(seen, np.float32(named)), atol=1e-6)
    assert found.views == found.streams["rgb"].views + found.streams["flow"].views
    (each,) = streams.predict_each([video], protocol)
    assert isinstance(each, Prediction)
    np.testing.assert_allclose(each.scores, found.scores, atol=1e-6)


def test_a_broken_video_is_an_error_and_the_next_is_labelled(video: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no")
    streams = TwoStreams(make(RGB), make(FLOW))
    kinds = [type(result) for result in streams.predict_each([broken, video])]
    assert kinds == [InputError, Prediction]
    kinds = [type(r) for r in streams.predict_each([video, video], flow=[str(broken), video])]
    assert kinds == [InputError, Prediction]


def test_models_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(InputError, match="the flow stream is a model that takes rgb"):
        TwoStreams(make(RGB), make(RGB))
    with pytest.raises(InputError, match="the rgb stream is a model that takes flow"):
        TwoStreams(make(FLOW), make(FLOW))
    with pytest.raises(InputError, match="know different classes \\('c' is of one alone\\)"):
        TwoStreams(make(RGB), make(FLOW, ("a", "b")))


def test_flow_of_mirrored_and_reversed_frames() -> None:
    flow = np.zeros((2, 3, 4, 2), np.float32)
    flow[0, :, :2] = (3, 1)
    flow[1, :, 2:] = (-2, 5)
    mirrored = flow[:, :, ::-1] * np.float32([-1, 1])
    difference = mirror_flow(quantise_flow(flow)).astype(int) - quantise_flow(mirrored)
    assert np.abs(difference).max() <= 1
    difference = play_flow_backwards(quantise_flow(flow)).astype(int) - quantise_flow(-flow[::-1])
    assert np.abs(difference).max() <= 1
    picture = paint_flow(quantise_flow(flow))
    assert picture.shape == (2, 3, 4, 3)
    assert picture[0, 0, 0].tolist() == [147, 134, 128]
