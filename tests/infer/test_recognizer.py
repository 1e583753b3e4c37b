"""A model at work: scores that agree however videos are batched, cut or reversed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data import frame_source as source_module
from s3d.data.decode import read_frames
from s3d.data.loader import normalise
from s3d.data.videos import list_videos
from s3d.errors import InputError
from s3d.evaluate.evaluation import evaluate
from s3d.infer import recognizer as recognizer_module
from s3d.infer import views as views_module
from s3d.infer.engines.engine import Engine
from s3d.infer.recognizer import Prediction, Recognizer, load
from s3d.infer.views import PROTOCOLS, Views, read_views
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from s3d.models.published.sources import HOWTO100M_CLIP, TORCHVISION_CLIP
from s3d.models.style import TORCHVISION
from tests.conftest import WriteVideo
from tests.models.fakes import stand_in
from tests.models.published.publish import make_network, publish


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


def test_pieces_of_a_gated_network_are_averaged_as_logits_by_their_frames(
    fresh: Recognizer,
) -> None:
    gated = Recognizer(
        ModelFile(build("s3d_g", num_classes=2, width=0.1), fresh.labels, fresh.spec)
    )
    pieces = noise_pieces()
    with torch.no_grad():
        logits = [gated.network(normalise(torch.from_numpy(p), gated.spec)) for p in pieces]
    wanted = (0.75 * logits[0] + 0.25 * logits[1]).softmax(1)[0].numpy()
    found = gated.score(Views(iter(pieces), (6, 2), average_logits=True))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_pieces_of_any_other_network_give_the_answer_of_the_whole(fresh: Recognizer) -> None:
    pieces = noise_pieces()
    whole = torch.from_numpy(np.concatenate(pieces, 1))
    with torch.no_grad():
        wanted = fresh.network(normalise(whole, fresh.spec)).softmax(1)[0].numpy()
    found = fresh.score(Views(iter(pieces), (6, 2), average_logits=True))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def noise_pieces() -> list[npt.NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (1, t, 32, 32, 3), np.uint8) for t in (6, 2)]


def test_views_that_exceed_memory_are_scored_in_parts(
    recognizer: Recognizer, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recognizer.predict(files[0], "10x3")
    sizes: list[int] = []

    def note(engine: Engine, frames: torch.Tensor) -> torch.Tensor:
        sizes.append(len(frames))
        return run(engine, frames)

    run = Engine.logits
    monkeypatch.setattr(recognizer_module, "VIEWS_AT_ONCE_PIXELS", 7 * 4 * 32 * 32)
    monkeypatch.setattr(Engine, "logits", note)
    parts = recognizer.predict(files[0], "10x3")
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
    monkeypatch.setattr(source_module, "iterate_frames", break_off)
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


def some_frames(shape: tuple[int, ...] = (6, 32, 40, 3)) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, shape, np.uint8)


def as_clips(frames: npt.NDArray[np.uint8], spec: ClipSpec) -> torch.Tensor:
    """Return (T, H, W, C) frames as a clip (C, T, H, W), by the contract's own words."""
    mean, std = np.array(spec.mean), np.array(spec.std)
    values = (frames / 255 - mean) / std
    return torch.from_numpy(values.astype(np.float32)).movedim(-1, -4)


@pytest.fixture(scope="module")
def embedding() -> Recognizer:
    """Return a model without classes that takes values from 0 to 1."""
    torch.manual_seed(1)
    network = build("s3d_fast", num_classes=7, width=0.1)
    return Recognizer(ModelFile(network, (), HOWTO100M_CLIP))


def test_clips_of_ones_own_are_scored(fresh: Recognizer) -> None:
    clips = torch.stack([as_clips(some_frames(), fresh.spec), torch.zeros(3, 6, 32, 40) - 0.5])
    scores = fresh.score_clips(clips)
    with torch.no_grad():
        wanted = fresh.network(clips).softmax(1).numpy()
    assert (scores.shape, scores.dtype) == ((2, 2), np.float32)
    np.testing.assert_allclose(scores, wanted, atol=1e-6)
    np.testing.assert_allclose(fresh.score_clips(clips[0]), wanted[:1], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_clips_of_another_precision_are_scored(fresh: Recognizer, dtype: torch.dtype) -> None:
    clips = as_clips(some_frames(), fresh.spec)
    found = fresh.score_clips(clips.to(dtype).requires_grad_())
    np.testing.assert_allclose(found, fresh.score_clips(clips), atol=1e-2)


def test_clips_that_break_the_contract_are_refused_but_on_demand(fresh: Recognizer) -> None:
    over_255 = torch.from_numpy(some_frames() / 255).float().movedim(-1, -4)
    with pytest.raises(InputError, match=r"as frames / 255 do; .* say check=False\."):
        fresh.score_clips(over_255)
    assert fresh.score_clips(over_255, check=False).shape == (1, 2)
    with pytest.raises(InputError, match="clips hold values from"):
        fresh.score_clips(over_255 * 255)
    for check, said in ((True, "clips have shape"), (False, "clips have 2 channels")):
        with pytest.raises(InputError, match=said):
            fresh.score_clips(over_255[:2], check=check)
    with pytest.raises(InputError, match=r"clips are torch\.int64; a network takes floats"):
        fresh.score_clips(over_255.long(), check=False)
    with pytest.raises(InputError, match="clips have 6 axes"):
        fresh.score_clips(over_255[None, None], check=False)
    with pytest.raises(InputError, match="clip is 8 x 9 px"):
        fresh.score_clips(as_clips(some_frames((4, 9, 8, 3)), fresh.spec))
    with pytest.raises(InputError, match="at least 1 clip"):
        fresh.score_clips(torch.zeros(0, 3, 4, 32, 32))


def test_what_is_no_tensor_is_refused(fresh: Recognizer) -> None:
    with pytest.raises(InputError, match=r"clips are a ndarray; .* torch\.from_numpy"):
        fresh.score_clips(np.zeros((3, 4, 32, 32)))  # type: ignore[arg-type]


def test_frames_are_made_clips_by_the_contract(fresh: Recognizer) -> None:
    frames = some_frames()
    before = frames.copy()
    scores = fresh.score_frames(frames)
    assert np.array_equal(frames, before)
    with torch.no_grad():
        wanted = fresh.network(as_clips(frames, fresh.spec)[None]).softmax(1).numpy()
    assert scores.shape == (1, 2)
    np.testing.assert_allclose(scores, wanted, atol=1e-5)
    np.testing.assert_array_equal(fresh.score_frames(frames[None])[0], scores[0])
    both = fresh.score_frames(np.stack([frames[::-1], frames]))
    np.testing.assert_allclose(both[1], scores[0], atol=1e-6)
    assert not np.allclose(both[0], scores[0], atol=1e-6)
    # Dark frames are no clips that somebody forgot to scale.
    assert fresh.score_frames(np.full_like(frames, 200)).shape == (1, 2)


@pytest.mark.parametrize(
    ("frames", "came"),
    [
        (np.zeros((6, 32, 32, 3), np.float32), r"float32 \(6, 32, 32, 3\)"),
        (np.zeros((6, 32, 32, 3), np.int64), r"int64 \(6, 32, 32, 3\)"),
        (np.zeros((32, 32, 3), np.uint8), r"uint8 \(32, 32, 3\)"),
        (np.zeros((3, 6, 32, 32), np.uint8), r"uint8 \(3, 6, 32, 32\)"),
        (np.zeros((6, 32, 32, 4), np.uint8), r"uint8 \(6, 32, 32, 4\)"),
        (np.zeros((1, 2, 6, 32, 32, 3), np.uint8), r"uint8 \(1, 2, 6, 32, 32, 3\)"),
    ],
)
def test_other_frames_are_refused(
    fresh: Recognizer, frames: npt.NDArray[np.uint8], came: str
) -> None:
    said = rf"^frames are {came}; this model takes uint8 \(time, height, width, 3\): rgb\.$"
    with pytest.raises(InputError, match=said):
        fresh.score_frames(frames)


def test_an_embedding_gives_logits_and_no_classes(embedding: Recognizer, files: list[Path]) -> None:
    assert embedding.labels == ()
    frames = some_frames((8, 32, 32, 3))
    clips = torch.from_numpy(frames / 255).float().movedim(-1, -4)
    with torch.no_grad():
        wanted = embedding.network(clips[None]).numpy()
    np.testing.assert_allclose(embedding.score_clips(clips), wanted, atol=1e-6)
    np.testing.assert_allclose(embedding.score_frames(frames), wanted, atol=1e-5)
    assert abs(wanted.sum() - 1) > 1e-4
    said = "this model gives an embedding, not classes"
    with pytest.raises(InputError, match=said):
        embedding.predict(files[0])
    with pytest.raises(InputError, match=said):
        next(embedding.predict_each(files))
    with pytest.raises(InputError, match=said):
        evaluate(embedding, list_videos(files[0].parents[1]))


def test_weights_are_loaded_by_name_and_score(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("S3D_OFFLINE", "1")
    network = make_network("s" * 11, TORCHVISION, classes=400)
    stand_in(monkeypatch, tmp_path / "mirror", "s3d-kinetics400", publish(network, "torchvision"))
    recognizer = load("s3d-kinetics400")
    assert recognizer.licence == "BSD-3-Clause"
    assert [metric["metric"] for metric in recognizer.metrics] == ["top1", "top5"]
    assert recognizer.source.startswith("torchvision's S3D")
    assert recognizer.spec == TORCHVISION_CLIP
    frames = some_frames((3, 40, 40, 3))
    clips = as_clips(frames, TORCHVISION_CLIP)
    np.testing.assert_allclose(
        recognizer.score_clips(clips), recognizer.score_frames(frames), atol=1e-5
    )
    with torch.no_grad():
        wanted = network(clips[None]).softmax(1).numpy()
    np.testing.assert_allclose(recognizer.score_clips(clips), wanted, atol=1e-6)
    with pytest.raises(InputError, match=r"Did you mean s3d-kinetics400"):
        load("s3d-kinetics4000")
