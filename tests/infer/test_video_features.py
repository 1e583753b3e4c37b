"""Features of windows equal what the network gives for the same clip cut by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.decode import read_frames
from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.place import FlowPlace
from s3d.data.flow.videos import take_flow
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.infer import features as features_module
from s3d.infer.engines.engine import Engine
from s3d.infer.recognizer import Recognizer, load
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from tests.tolerances import FLOAT32


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return load(tiny_model)


@pytest.fixture
def red(colours: Path) -> Path:
    return colours / "red" / "0.mp4"


def by_hand(recognizer: Recognizer, video: Path, first: int, at: str) -> torch.Tensor:
    frames = read_frames(video, np.arange(first, first + 4), recognizer.spec.resize_px)
    clip = frames[:, 2:34, 2:34].copy()
    with torch.no_grad():
        clips = normalise(torch.from_numpy(clip)[None], recognizer.spec)
        return recognizer.network.features(clips, at)[0]


@pytest.mark.parametrize("at", ["mixed5c", "mixed3b"])
def test_features_equal_those_of_a_clip_cut_by_hand(
    recognizer: Recognizer, red: Path, at: str
) -> None:
    found = recognizer.features(red, at, 0.25)
    np.testing.assert_allclose(found.start_seconds, [0, 0.25, 0.5])  # 8 frames at 8 fps
    wanted = [by_hand(recognizer, red, first, at).mean((1, 2, 3)) for first in (0, 2, 4)]
    np.testing.assert_allclose(
        found.features, np.stack(wanted), rtol=FLOAT32.relative, atol=FLOAT32.absolute
    )
    assert found.features.dtype == np.float32
    assert (found.video_frames, found.video_rate_fps, found.duration_seconds) == (8, 8.0, 1.0)


def test_features_that_are_not_pooled_keep_their_axes(recognizer: Recognizer, red: Path) -> None:
    found = recognizer.features(red, "mixed4f", pool="none")
    assert found.start_seconds.tolist() == [0, 0.5]  # no overlap where nobody says otherwise
    wanted = by_hand(recognizer, red, 4, "mixed4f")
    assert found.features.shape == (2, *wanted.shape)
    np.testing.assert_allclose(found.features[1], wanted, rtol=1e-4, atol=1e-6)


def test_frames_and_rate_make_another_window(recognizer: Recognizer, red: Path) -> None:
    found = recognizer.features(red, frames=2, rate_fps=4)
    assert found.recipe.spec.frames == 2
    assert found.end_seconds.tolist() == [0.5, 1.0]


def test_windows_that_exceed_memory_go_in_groups(
    recognizer: Recognizer, red: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recognizer.features(red, stride_seconds=0.125)
    sizes: list[int] = []

    def note(engine: Engine, frames: torch.Tensor, until: str) -> torch.Tensor:
        sizes.append(len(frames))
        return run(engine, frames, until=until)

    run = Engine.run
    monkeypatch.setattr(features_module, "WINDOWS_AT_ONCE_PIXELS", 2 * 4 * 32 * 32)
    monkeypatch.setattr(Engine, "run", note)
    parts = recognizer.features(red, stride_seconds=0.125)
    assert sizes == [2, 2, 1]
    np.testing.assert_allclose(parts.features, whole.features, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": "mixed9z"}, "unknown block 'mixed9z'"),
        ({"stride_seconds": 0.0}, "stride is 0 s; it needs seconds above 0"),
        ({"pool": "most"}, "unknown pool 'most'. Known: average, none"),
        ({"frames": 0}, "ClipSpec frames is 0"),
        ({"rate_fps": 0.0}, "ClipSpec rate_fps is 0.0"),
    ],
)
def test_what_cannot_be_used_is_refused(
    recognizer: Recognizer, red: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        recognizer.features(red, **options)  # type: ignore[arg-type]


def test_a_model_of_flow_gives_features_of_a_video_or_of_its_flow(
    red: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    half = (0.5, 0.5)
    spec = ClipSpec(
        2, 8.0, (32, 32), (32, 32), mean=half, std=half, modality="flow", flow_side_px=40
    )
    network = build("s3d_fast", num_classes=2, width=0.1, channels=2)
    recognizer = Recognizer(ModelFile(network, ("a", "b"), spec))
    kept = take_flow([str(red)], FlowPlace(red.parent, tmp_path), FlowRecipe(short_side_px=40))
    computed, read = (recognizer.features(path) for path in (red, kept.paths[str(red)]))
    assert computed.video_frames == read.video_frames == 7
    np.testing.assert_allclose(computed.start_seconds, read.start_seconds, atol=1e-3)
    assert np.abs(computed.features - read.features).mean() < 0.05 * computed.features.std()
    assert computed.features.std() > 0
