"""A model at work: scores that agree however videos are batched, cut or reversed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.decode import read_frames
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.infer import recognizer as recognizer_module
from s3d.infer import views as views_module
from s3d.infer.recognizer import Prediction, Recognizer, load
from s3d.infer.views import PROTOCOLS, Views, read_views
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from tests.conftest import WriteVideo


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return load(tiny_model)


@pytest.fixture(scope="module")
def fresh(recognizer: Recognizer) -> Recognizer:
    """Return an untrained model: on noise a trained one is certain whatever it sees."""
    torch.manual_seed(1)
    network = build("s3d", num_classes=2, width=0.1)
    return Recognizer(ModelFile(network, recognizer.labels, recognizer.spec))


@pytest.fixture
def files(colours: Path) -> list[Path]:
    return sorted(colours.rglob("*.mp4"))[::3]


def test_a_model_says_what_it_is(recognizer: Recognizer) -> None:
    assert recognizer.labels == ("blue", "red")
    assert recognizer.spec.describe().startswith("4 frames at 8 fps")
    assert not recognizer.network.training
    assert recognizer.metrics[0]["metric"] == "top1"
    assert recognizer.to("cpu") is recognizer


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scores_are_a_distribution_over_the_labels(
    recognizer: Recognizer, files: list[Path], protocol: str
) -> None:
    prediction = recognizer.predict(files[0], protocol)
    assert prediction.scores.shape == (2,)
    assert prediction.scores.sum() == pytest.approx(1, abs=1e-6)
    assert prediction.top(1) == [("blue", float(prediction.scores.max()))]
    assert prediction.label == "blue"
    assert [label for label, _ in prediction.top()] == ["blue", "red"]
    assert prediction.path == str(files[0])


def test_clip_equals_the_network_on_the_frames(recognizer: Recognizer, files: list[Path]) -> None:
    spec = recognizer.spec
    frames = read_frames(files[0], np.arange(2, 6), spec.resize_px)[:, 2:34, 2:34]
    clips = normalise(torch.from_numpy(frames.copy())[None], spec)
    with torch.no_grad():
        wanted = recognizer.network(clips).softmax(1)[0].numpy()
    np.testing.assert_allclose(recognizer.predict(files[0], "clip").scores, wanted, atol=1e-6)


def test_views_are_averaged_as_scores(recognizer: Recognizer, files: list[Path]) -> None:
    views = read_views(files[0], recognizer.spec, "cover")
    (piece,) = views.pieces
    single = [
        recognizer.score(Views((piece[n : n + 1],), (4,), average_logits=False))
        for n in range(views.count)
    ]
    assert len(single) == 2
    found = recognizer.predict(files[0]).scores
    np.testing.assert_allclose(found, np.mean(single, axis=0), atol=1e-6)


def test_pieces_are_averaged_as_logits_by_their_frames(fresh: Recognizer) -> None:
    rng = np.random.default_rng(0)
    pieces = [rng.integers(0, 256, (1, t, 32, 32, 3), np.uint8) for t in (6, 2)]
    with torch.no_grad():
        logits = [fresh.network(normalise(torch.from_numpy(p), fresh.spec)) for p in pieces]
    wanted = (0.75 * logits[0] + 0.25 * logits[1]).softmax(1)[0].numpy()
    found = fresh.score(Views(iter(pieces), (6, 2), average_logits=True))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_views_that_exceed_memory_are_scored_in_parts(
    recognizer: Recognizer, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recognizer.predict(files[0], "10x3")
    sizes: list[int] = []

    def note(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))

    monkeypatch.setattr(recognizer_module, "VIEWS_AT_ONCE_PIXELS", 7 * 4 * 32 * 32)
    hook = recognizer.network.register_forward_pre_hook(note)
    parts = recognizer.predict(files[0], "10x3")
    hook.remove()
    assert sizes == [7, 7, 7, 7, 2]
    np.testing.assert_allclose(parts.scores, whole.scores, atol=1e-6)


def test_reversed_equals_the_video_played_backwards(
    fresh: Recognizer, tmp_path: Path, write_video: WriteVideo
) -> None:
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 256, (12, 5, 5, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    lossless = {"codec": "ffv1", "pixel_format": "bgr0"}
    one = write_video(tmp_path / "a.mkv", frames, 8, **lossless)
    other = write_video(tmp_path / "b.mkv", frames[::-1], 8, **lossless)
    for protocol in ("clip", "all-frames"):
        backwards = fresh.predict(one, protocol, reverse=True).scores
        np.testing.assert_array_equal(backwards, fresh.predict(other, protocol).scores)
        forwards = fresh.predict(one, protocol).scores
        assert not np.array_equal(forwards, backwards)


@pytest.mark.parametrize("threads", [1, 3])
def test_many_files_equal_one_by_one(
    recognizer: Recognizer, files: list[Path], threads: int
) -> None:
    results = list(recognizer.predict_each(files, "cover", threads=threads))
    for path, result in zip(files, results, strict=True):
        assert isinstance(result, Prediction)
        assert result.path == str(path)
        np.testing.assert_array_equal(result.scores, recognizer.predict(path).scores)


def test_a_broken_file_does_not_stop_the_others(
    recognizer: Recognizer, files: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    results = list(recognizer.predict_each([files[0], broken, "nothing.mp4", files[1]]))
    kinds = [type(result) for result in results]
    assert kinds == [Prediction, InputError, InputError, Prediction]
    assert "broken.mp4: is not a video" in str(results[1])
    assert "nothing.mp4: no such file" in str(results[2])
    with pytest.raises(InputError, match="no such file"):
        recognizer.predict("nothing.mp4")


def test_a_file_that_breaks_while_it_is_scored_does_not_stop_the_others(
    recognizer: Recognizer, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*arguments: object) -> object:
        raise InputError("gone")

    monkeypatch.setattr(views_module, "PIECE_PIXELS", 1)
    monkeypatch.setattr(views_module, "iterate_frames", break_off)
    results = list(recognizer.predict_each(files[:2], "all-frames"))
    assert [str(result) for result in results] == ["gone", "gone"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("count", [1, 2])
def test_a_video_of_a_frame_or_two_is_labelled(
    recognizer: Recognizer, tmp_path: Path, write_video: WriteVideo, protocol: str, count: int
) -> None:
    path = write_video(tmp_path / "short.mp4", np.full((count, 40, 40, 3), 99, np.uint8), 8)
    prediction = recognizer.predict(path, protocol)
    assert prediction.scores.sum() == pytest.approx(1, abs=1e-6)
    assert set(prediction.lengths) == {4}


def test_an_unknown_protocol_is_refused_at_once(recognizer: Recognizer) -> None:
    with pytest.raises(InputError, match="unknown protocol 'x'"):
        list(recognizer.predict_each([], "x"))


def test_features_of_a_loaded_network(recognizer: Recognizer) -> None:
    clips = torch.zeros(2, 3, 4, 32, 32)
    features = recognizer.network.features(clips, at="mixed5c")
    assert features.shape[:1] + features.shape[2:] == (2, 1, 1, 1)
    assert recognizer.network(clips).shape == (2, 2)


def test_scores_do_not_depend_on_the_batch(fresh: Recognizer) -> None:
    rng = np.random.default_rng(0)
    piece = rng.integers(0, 256, (4, 4, 32, 32, 3), np.uint8)
    clips = normalise(torch.from_numpy(piece), fresh.spec)
    with torch.no_grad():
        together = fresh.network(clips)
        alone = torch.cat([fresh.network(clip[None]) for clip in clips])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_the_contract_travels(recognizer: Recognizer) -> None:
    assert recognizer.spec == ClipSpec(4, 8, (37, 37), (32, 32))
