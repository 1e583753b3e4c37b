"""Where and when a network looks: identities, and films that are read back."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from s3d.clip import ClipSpec
from s3d.data.decode import probe_video
from s3d.data.video_info import VideoInfo
from s3d.errors import InputError
from s3d.explore.analyse.activation import Activation, activation_of, class_maps
from s3d.explore.analyse.activation_film import MARGIN_PX, curve_of, fit_px, write_film
from s3d.explore.analyse.activation_strip import draw_strip, pick_moments
from s3d.explore.analyse.heat import Region, colour_table, heat_over, resize_map, seen_region
from s3d.infer.recognizer import Recognizer
from s3d.models.model_file import ModelFile
from s3d.models.network import Network, build
from s3d.models.style import PAPER
from tests.conftest import WriteVideo

SPEC = ClipSpec(8, 8.0, (40, 40), (32, 32))
LABELS = ("red", "green", "blue")
HEADS = ("windows", "pairs", "global")


def make_network(head: str = "windows", word: str = "s3d_fast") -> Network:
    torch.manual_seed(0)
    return build(word, num_classes=3, width=0.1, style=replace(PAPER, head=head)).eval()


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(ModelFile(make_network(), LABELS, SPEC)).use("torch")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return 2.5 s at 16 fps, 60 x 48 px: two windows of a second, and one over the end."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (40, 6, 5, 3), dtype=np.uint8).repeat(10, 1).repeat(10, 2)
    path = tmp_path_factory.mktemp("activation") / "noise.mp4"
    return write_video(path, frames, 16)


@pytest.mark.parametrize("head", HEADS)
def test_the_last_blocks_map_sums_to_the_logit_without_the_bias(head: str) -> None:
    network = make_network(head)
    clips = torch.rand(2, 3, 24, 32, 64) * 2 - 1
    bias = network.head.classifier.bias.detach()
    for number in range(3):
        maps, logits = class_maps(network, clips, number)
        assert maps.shape == (2, 3, 1, 2)
        torch.testing.assert_close(logits, network(clips).detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(
            maps.sum((1, 2, 3)), logits[:, number] - bias[number], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("head", HEADS)
def test_a_place_counts_as_often_as_windows_hold_it(
    head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Count windows one by one, on a grid larger than a window of 2 x 7 x 7."""
    network = make_network(head)
    weight = network.head.classifier.weight.detach().flatten(1)
    features = torch.randn(1, weight.shape[1], 3, 9, 8)
    monkeypatch.setattr(network, "features", lambda _, at: features)
    maps, _ = class_maps(network, torch.empty(0), 1)
    size = {"windows": (2, 7, 7), "pairs": (2, 9, 8), "global": (3, 9, 8)}[head]
    held = torch.zeros(3, 9, 8)
    starts = [range(n - k + 1) for n, k in zip((3, 9, 8), size, strict=True)]
    for t in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                held[t : t + size[0], y : y + size[1], x : x + size[2]] += 1
    expected = torch.einsum("c,cthw->thw", weight[1], features[0]) * held / held.sum()
    torch.testing.assert_close(maps[0], expected, rtol=1e-4, atol=1e-6)


def test_an_earlier_blocks_map_weighs_channels_by_what_the_logit_gains() -> None:
    """Take each weight from a finite difference: a step of the whole channel."""
    network = make_network().double()
    clips = torch.rand(1, 3, 8, 32, 32, dtype=torch.float64) * 2 - 1
    features = network.features(clips, at="mixed4f").detach()
    step, places = 1e-6, features[0, 0].numel()
    weights = []
    for channel in range(features.shape[1]):
        moved = [features.clone(), features.clone()]
        moved[0][:, channel] += step
        moved[1][:, channel] -= step
        more, less = (network.classify(one, after="mixed4f")[0, 2].item() for one in moved)
        weights.append((more - less) / (2 * step) / places)
    weighed = torch.tensor(weights, dtype=torch.float64)[:, None, None, None] * features[0]
    maps, _ = class_maps(network, clips, 2, at="mixed4f")
    torch.testing.assert_close(maps[0], weighed.sum(0).relu(), rtol=1e-5, atol=1e-9)
    assert maps.min() == 0 < maps.max()


def make_activation(maps: np.ndarray, starts: list[float], info: VideoInfo) -> Activation:
    scores = np.linspace(0.2, 0.8, len(starts), dtype=np.float32)
    begins = np.array(starts)
    return Activation("v", info, SPEC, "red", "mixed5c", begins, maps.astype(np.float32), scores)


def make_info(seconds: float, height: int = 48, width: int = 60) -> VideoInfo:
    count = round(seconds * 16)
    return VideoInfo("v", height, width, count, 16.0, seconds, np.arange(count) / 16)


def test_moments_and_places_are_trilinear() -> None:
    maps = np.random.default_rng(0).random((1, 3, 2, 4)).astype(np.float32)
    found = make_activation(maps, [0.5], make_info(3))
    grown = F.interpolate(torch.from_numpy(maps)[None], (8, 5, 9), mode="trilinear")[0, 0]
    for frame in range(8):
        moment = found.moment(0.5 + (frame + 0.5) / SPEC.rate_fps)
        np.testing.assert_allclose(resize_map(moment, (5, 9)), grown[frame], atol=1e-6)
    np.testing.assert_array_equal(found.moment(0.0), maps[0, 0])
    np.testing.assert_array_equal(found.moment(9.0), maps[0, -1])
    assert found.strength(9.0) == pytest.approx(maps[0, -1].sum())


def test_where_windows_overlap_their_maps_are_mixed_by_nearness() -> None:
    maps = np.stack([np.full((2, 1, 1), value) for value in (1.0, 3.0)])
    found = make_activation(maps, [0.0, 0.5], make_info(1.5))
    assert found.span == (0, 1.5)
    at = [float(found.moment(time)[0, 0]) for time in (0.25, 0.625, 0.75, 1.25)]
    assert at == pytest.approx([1, (0.75 * 1 + 0.25 * 3) / 1, 2, 3], abs=5e-3)
    assert found.score_at(0.75) == pytest.approx(0.5)
    assert found.score == pytest.approx(0.5)


def test_the_peak_is_never_below_zero() -> None:
    assert make_activation(np.full((2, 1, 1, 1), -1.0), [0, 0.5], make_info(1.5)).peak == 0
    maps = np.arange(8.0).reshape(2, 2, 2, 1)
    assert make_activation(maps, [0, 0.5], make_info(1.5)).peak == 7


def test_what_the_crop_holds_is_where_heat_lies() -> None:
    squashed = make_activation(np.zeros((1, 1, 1, 1)), [0.0], make_info(1))
    # 40 x 40 px, of which 32 x 32 are cropped: a tenth is lost at each edge, whatever the shape.
    assert seen_region(squashed, (100, 200)) == Region(10, 90, 20, 180)
    kept = replace(squashed, spec=replace(SPEC, resize="keep"))
    # 48 x 60 becomes 40 x 50: 9 columns are lost at each side.
    assert seen_region(kept, (480, 600)) == Region(48, 432, 108, 492)


def test_heat_is_drawn_in_the_region_alone() -> None:
    frame = np.full((10, 10, 3), (200, 100, 0), np.uint8)
    grey = 0.299 * 200 + 0.587 * 100
    hot, cold = (
        heat_over(frame, np.full((2, 2), value, np.float32), Region(2, 8, 4, 10))
        for value in (1.0, 0.0)
    )
    assert hot[0, 0].tolist() == cold[0, 0].tolist() == [round(grey * 0.35)] * 3
    np.testing.assert_allclose(hot[5, 5], 0.28 * grey + 0.72 * colour_table()[255], atol=1)
    np.testing.assert_allclose(cold[5, 5], 0.88 * grey + 0.12 * colour_table()[0], atol=1)


def test_colours_are_even_steps_of_lightness() -> None:
    grey = colour_table() @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    assert (np.diff(grey) > -0.2).all()
    assert grey[0] < 5 < 230 < grey[-1]


def test_a_whole_video_is_looked_at_in_windows(recognizer: Recognizer, video: Path) -> None:
    found = activation_of(recognizer, video, "green")
    np.testing.assert_allclose(found.start_seconds, [0, 1, 1.5])
    assert found.maps.shape == (3, 1, 1, 1)
    assert (found.label, found.span) == ("green", (0, 2.5))
    alone = activation_of(recognizer, video, "green", start_seconds=1.0)
    assert alone.maps.sum() == pytest.approx(found.maps[1].sum())
    values = json.loads(json.dumps(found.to_json()))
    assert values["method"] == "class activation map"
    assert [one["sum"] for one in values["windows"]] == pytest.approx(
        found.maps.sum((1, 2, 3)).tolist(), rel=1e-4
    )
    rows = found.to_rows()
    assert [row["seconds"] for row in rows] == (np.arange(20) / 8).tolist()
    assert rows[0]["activation"] == pytest.approx(found.strength(1 / 16), rel=1e-4)


def test_the_likeliest_class_is_looked_for_where_none_is_named(
    recognizer: Recognizer, video: Path
) -> None:
    found = activation_of(recognizer, video)
    others = [activation_of(recognizer, video, label).score for label in LABELS]
    assert found.score == max(others)


def test_a_window_late_in_a_video_is_moved_to_its_end(recognizer: Recognizer, video: Path) -> None:
    found = activation_of(recognizer, video, "red", start_seconds=2.4)
    assert found.span == (1.5, 2.5)


@pytest.mark.parametrize(
    ("label", "at", "start", "message"),
    [
        ("gren", "mixed5c", None, "class 'gren' is unknown to the model. Did you mean green"),
        ("red", "mixed5d", None, "unknown block 'mixed5d'. Did you mean mixed5"),
        ("red", "mixed5c", 2.5, "start is 2.5 s; .*noise.mp4 has 0 to 2.5 s, and a window of 1 s"),
        ("red", "mixed5c", float("nan"), "start is nan s"),
        ("red", "mixed5c", -1.0, "start is -1 s"),
    ],
)
def test_what_cannot_be_looked_at_is_told(
    recognizer: Recognizer, video: Path, label: str, at: str, start: float | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        activation_of(recognizer, video, label, at, start)


def test_an_embedding_and_a_missing_file_are_told(recognizer: Recognizer, video: Path) -> None:
    with pytest.raises(InputError, match="this model gives an embedding"):
        activation_of(Recognizer(ModelFile(make_network(), (), SPEC)), video)
    with pytest.raises(InputError, match="no such file"):
        activation_of(recognizer, video.with_name("none.mp4"))


def test_flow_has_no_picture_to_draw_on(
    recognizer: Recognizer, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = replace(probe_video(video), channels=2)
    monkeypatch.setattr("s3d.explore.analyse.activation.probe_video", lambda _: flow)
    with pytest.raises(InputError, match=r"noise\.mp4: holds optical flow, no picture to draw on"):
        activation_of(recognizer, video)


def read_film(path: Path) -> tuple[list[float], np.ndarray]:
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        frames = list(container.decode(video=0))
    return [frame.time for frame in frames], np.stack(
        [f.to_ndarray(format="rgb24") for f in frames]
    )


def test_a_film_has_the_videos_pace_and_a_cursor_that_runs(
    recognizer: Recognizer, video: Path, tmp_path: Path
) -> None:
    found = activation_of(recognizer, video, "red", at="mixed3c")
    write_film(found, tmp_path / "film.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    times, frames = read_film(tmp_path / "film.mp4")
    np.testing.assert_allclose(times, np.arange(40) / 16, atol=1e-3)
    cursor = frames[:, -40].astype(int).sum(2).argmin(1)
    width = frames.shape[2] - 2 * MARGIN_PX
    np.testing.assert_allclose(cursor, MARGIN_PX + np.arange(40) / 16 / 2.5 * width, atol=3)


def test_of_one_window_a_film_shows_that_time_alone(
    recognizer: Recognizer, video: Path, tmp_path: Path
) -> None:
    found = activation_of(recognizer, video, "red", start_seconds=1.0)
    write_film(found, tmp_path / "film.mp4")
    times, _ = read_film(tmp_path / "film.mp4")
    assert times[0] == 0
    assert times[-1] == pytest.approx(1.0, abs=0.07)


def test_a_film_that_cannot_be_written_is_told(
    recognizer: Recognizer, video: Path, tmp_path: Path
) -> None:
    found = activation_of(recognizer, video, "red", start_seconds=0.0)
    with pytest.raises(InputError, match=r"film\.mp4: cannot be written"):
        write_film(found, tmp_path / "none" / "film.mp4")


def test_a_strip_shows_moments_from_first_to_last(recognizer: Recognizer, video: Path) -> None:
    found = activation_of(recognizer, video, "red", at="mixed4f")
    times, pictures = pick_moments(found)
    assert (times[0], times[-1], len(times)) == (0, 39 / 16, 8)
    assert pictures.shape == (8, 320, 267, 3)
    assert Image.open(io.BytesIO(draw_strip(found))).width > 1000


def test_a_strip_shows_no_frame_that_does_not_decode(
    recognizer: Recognizer, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = activation_of(recognizer, video, "red", start_seconds=1.5)
    longer = replace(found, info=replace(found.info, times_seconds=np.arange(48) / 16 - 0.5))
    times, _ = pick_moments(longer)
    assert times[-1] == 39 / 16 - 0.5


def test_pictures_fit_the_box_at_even_sizes() -> None:
    assert fit_px(48, 60) == (378, 472)
    assert fit_px(1080, 1920) == (266, 472)
    assert fit_px(1920, 1080) == (420, 236)


def test_a_curve_of_hours_has_hundreds_of_points() -> None:
    starts = list(np.arange(3600.0))
    maps = np.zeros((3600, 1, 1, 1)) + np.arange(3600.0)[:, None, None, None]
    found = make_activation(maps, starts, make_info(3600))
    times, values = curve_of(found)
    assert len(times) == 600
    assert values[0] == 0
    assert (np.diff(values) >= 0).all()
