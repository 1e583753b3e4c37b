"""Features of blocks: what is computed, which neighbours vote, what is drawn."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.data.video_list import Video
from s3d.data.videos import list_videos
from s3d.errors import InputError
from s3d.explore.analyse import embed
from s3d.explore.analyse.embed import embed_features
from s3d.explore.analyse.features import (
    BlockFeatures,
    check_blocks,
    check_protocol,
    choose_videos,
    compute_block_features,
)
from s3d.explore.analyse.features_plot import choose_looks, draw_features
from s3d.explore.analyse.neighbours import neighbour_accuracy
from s3d.explore.analyse.separation import measure_separation
from s3d.infer.recognizer import Recognizer
from s3d.infer.views import read_views
from s3d.models.model_file import ModelFile
from s3d.models.network import build

SPEC = ClipSpec(frames=4, rate_fps=8, size_px=(32, 32))
ANGLES = (0, 2, 4, 7, 90, 92)
LABELS = ("a", "a", "a", "b", "b", "b")


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    torch.manual_seed(4)
    network = build("s3d_fast", num_classes=2, width=0.1)
    return Recognizer(ModelFile(network, ("blue", "red"), SPEC)).use("torch")


def at_angles(*degrees: float) -> npt.NDArray[np.float32]:
    """Return points of several lengths, which do not count, at these angles."""
    angles = np.radians(degrees)
    lengths = np.arange(1, len(angles) + 1)[:, None]
    return (np.stack([np.cos(angles), np.sin(angles)], 1) * lengths).astype(np.float32)


# --- which videos, which blocks ---


def test_videos_are_chosen_evenly_of_each_class() -> None:
    videos = [Video(f"{i}", "ab"[i >= 10]) for i in range(13)]
    assert [v.path for v in choose_videos(videos, 3)] == ["1", "5", "8", "10", "11", "12"]
    assert choose_videos(videos, 50) == tuple(videos)
    with pytest.raises(InputError, match="0 videos a class are asked for; at least 1 is needed"):
        choose_videos(videos, 0)


def test_blocks_come_once_in_order_of_depth() -> None:
    assert check_blocks(["mixed5c", "pool3a", "mixed5c"]) == ("pool3a", "mixed5c")
    with pytest.raises(InputError, match=r"unknown block 'mixed5d'. Did you mean mixed5"):
        check_blocks(["mixed5d"])
    with pytest.raises(InputError, match=r"no block is named\. Known: conv1a, "):
        check_blocks([])


def test_protocols_whose_clips_differ_in_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"not taken under protocol 'all-frames'\. Known: clip, "):
        check_protocol("all-frames")


# --- features ---


@pytest.mark.parametrize("protocol", ["clip", "cover"])
def test_features_are_those_of_the_network_averaged_over_views(
    recognizer: Recognizer, colours: Path, protocol: str
) -> None:
    long = replace(SPEC, rate_fps=30)  # several such clips cover a second
    other = Recognizer(ModelFile(recognizer.network, ("blue", "red"), long)).use("torch")
    video = Video(str(colours / "red" / "0.mp4"), "red")
    found = compute_block_features(other, [video], ["mixed3b", "pool5a"], protocol)
    (frames,) = read_views(video.path, long, protocol).pieces
    assert len(frames) == (1 if protocol == "clip" else 8)
    clips = normalise(torch.from_numpy(frames), long)
    for block in ("mixed3b", "pool5a"):
        with torch.inference_mode():
            wanted = other.network.features(clips, block).mean((2, 3, 4)).mean(0)
        torch.testing.assert_close(torch.from_numpy(found.features[block][0]), wanted)


def test_the_network_runs_once_for_all_blocks(
    recognizer: Recognizer, colours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran, engine = [], recognizer.engine
    run = engine.run

    def note(x: torch.Tensor, after: str | None = None, until: str = "head") -> torch.Tensor:
        ran.append((after, until))
        return run(x, after, until)

    monkeypatch.setattr(engine, "run", note)
    blocks = ["conv1a", "pool4a", "mixed5c"]
    compute_block_features(recognizer, [Video(str(colours / "red/0.mp4"), "red")], blocks)
    assert ran == [(None, "conv1a"), ("conv1a", "pool4a"), ("pool4a", "mixed5c")]


def test_a_broken_video_is_named_and_copies_are_of_one_source(
    recognizer: Recognizer, colours: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"")
    shutil.copy(colours / "red/0.mp4", tmp_path / "copy.mp4")
    paths = ("broken.mp4", "copy.mp4", colours / "red/0.mp4", colours / "red/1.mp4")
    videos = [Video(str(tmp_path / path), "red") for path in paths]
    told = list[tuple[int, int]]()
    found = compute_block_features(
        recognizer, videos, ["conv1a"], progress=lambda done, of: told.append((done, of))
    )
    assert [video.path for video in found.videos] == [str(tmp_path / path) for path in paths[1:]]
    assert [path for path, _ in found.failures] == [str(tmp_path / "broken.mp4")]
    assert found.features["conv1a"].shape[0] == len(found.groups) == 3
    assert found.groups[0] == found.groups[1] != found.groups[2]
    assert told[-1] == (4, 4)
    with pytest.raises(InputError, match=r"not one of 1 videos can be read; first: .*is empty"):
        compute_block_features(recognizer, videos[:1], ["conv1a"])
    with pytest.raises(InputError, match="not one of 0 videos can be read; first: the list is"):
        compute_block_features(recognizer, [], ["conv1a"])


# --- neighbours ---


@pytest.mark.parametrize(
    ("k", "right"),
    [
        (1, 5),  # of 7 degrees the nearest is 4, of the other class
        (2, 5),  # one vote each for 4 degrees: the nearer, 2, wins over 7
        (3, 5),
        (50, 0),  # all others vote: two of a video's own class, three of the other
    ],
)
def test_neighbours_vote_by_angle(k: int, right: int) -> None:
    assert neighbour_accuracy(at_angles(*ANGLES), LABELS, k=k).accuracy == right / 6


def test_neighbours_of_the_same_source_do_not_vote() -> None:
    found = neighbour_accuracy(at_angles(*ANGLES), LABELS, ["x", "x", "x", "y", "z", "w"], k=1)
    assert (found.accuracy, found.videos) == (2 / 6, 6)
    # 0 sees only the b's; 2 and 4 see 0 first.
    found = neighbour_accuracy(at_angles(*ANGLES), LABELS, ["x", *"yyyyy"], k=5)
    assert (found.accuracy, found.videos) == (2 / 6, 6)
    with pytest.raises(InputError, match="no video has a neighbour of another source"):
        neighbour_accuracy(at_angles(*ANGLES), LABELS, ["x"] * 6)


def test_chance_is_what_shuffled_labels_give() -> None:
    labels = [c for c in "abcd" for _ in range(20)]
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(80, 8)).astype(np.float32)
    found = neighbour_accuracy(noise, labels)
    assert 0.15 < found.chance < 0.3 and found.chance < found.chance_high < 0.45
    assert found.accuracy < found.chance_high
    told = neighbour_accuracy(np.repeat(np.eye(4, dtype=np.float32), 20, 0), labels)
    assert told.accuracy == 1
    assert told.chance_high < 0.45
    # Nine in ten are of one class: a vote is right by chance about as often.
    assert neighbour_accuracy(noise, ["a"] * 72 + ["b"] * 8).chance > 0.85
    assert neighbour_accuracy(noise, labels) == found


def test_many_videos_are_held_against_each_other_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from s3d.explore.analyse import neighbours

    whole = neighbour_accuracy(at_angles(*ANGLES), LABELS, [*"xxyyzw"], k=2)
    monkeypatch.setattr(neighbours, "ROWS_AT_ONCE", 4)
    assert neighbour_accuracy(at_angles(*ANGLES), LABELS, [*"xxyyzw"], k=2) == whole


def test_neighbours_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="0 neighbours are asked for; at least 1 is needed"):
        neighbour_accuracy(at_angles(*ANGLES), LABELS, k=0)
    with pytest.raises(InputError, match="6 features, 5 labels and 6 groups; one each a video"):
        neighbour_accuracy(at_angles(*ANGLES), LABELS[1:], list("uvwxyz"))


# --- the plane ---


def test_a_plane_keeps_neighbours_and_is_the_same_for_a_seed() -> None:
    rng = np.random.default_rng(2)
    centres = np.repeat(np.eye(2, 9), 10, 0)
    features = (centres + rng.normal(size=(20, 9)) / 50).astype(np.float32)
    places = embed_features(features)
    assert np.abs(places).max() == 1
    assert np.array_equal(embed_features(features), places)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 9 * np.eye(20)
    assert (apart.argmin(1) // 10 == np.arange(20) // 10).all()


def test_a_dead_block_lies_in_one_place() -> None:
    assert not embed_features(np.ones((7, 3), np.float32)).any()


def test_what_cannot_be_laid_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="5 videos can be laid out; at least 6 are needed"):
        embed_features(np.ones((5, 3), np.float32))
    monkeypatch.setattr(embed, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs scikit-learn.*`pip install 's3d\[analyze\]'`"):
        embed_features(np.ones((9, 3), np.float32))


# --- tables and pictures ---


def made_up(labels: Sequence[str]) -> BlockFeatures:
    rng = np.random.default_rng(3)
    videos = tuple(Video(f"{i}.mp4", label) for i, label in enumerate(labels))
    features = {b: rng.random((len(labels), 6)).astype(np.float32) for b in ("pool3a", "mixed5c")}
    groups = tuple(f"source {i}" for i in range(len(labels)))
    return BlockFeatures(videos, groups, features, (("gone.mp4", "no such file"),))


def test_rows_and_json_hold_every_number() -> None:
    separation = measure_separation(made_up(["x"] * 5 + ["y"] * 4), k=3)
    rows = separation.to_rows()
    assert len(rows) == 18
    assert {k: rows[9][k] for k in ("path", "label", "group", "block")} == {
        "path": "0.mp4", "label": "x", "group": "source 0", "block": "mixed5c",
    }  # fmt: skip
    assert float(str(rows[9]["x"])) == pytest.approx(separation.places["mixed5c"][0, 0], abs=1e-5)
    values = json.loads(json.dumps(separation.to_json(), allow_nan=False))
    assert (values["videos"], values["classes"], values["sources"]) == (9, 2, 9)
    assert values["failures"] == [{"path": "gone.mp4", "reason": "no such file"}]
    first = values["blocks"][0]
    assert (first["block"], first["channels"], first["neighbours"]) == ("pool3a", 6, 3)
    assert first["accuracy"] == round(separation.accuracy["pool3a"].accuracy, 4)


def test_classes_beyond_twenty_are_grey_and_counted() -> None:
    labels = [f"class {i}" for i in range(23) for _ in range(2 if i > 4 else 1)]
    looks, rest = choose_looks(labels)
    assert rest == 3
    assert {look.label for look in looks} >= {f"class {i}" for i in range(5, 23)}
    assert len({(look.color, look.marker) for look in looks}) == len(looks) == 20
    assert choose_looks(["b", "a", "b"])[1] == 0


@pytest.mark.parametrize("classes", [2, 23])
def test_the_picture_is_drawn_without_a_warning(classes: int) -> None:
    from matplotlib.image import imread

    labels = [f"$class_{i}$ 日本" for i in range(classes) for _ in range(4 if classes == 2 else 1)]
    picture = draw_features(measure_separation(made_up(labels), k=2), "x" * 200)
    assert imread(io.BytesIO(picture)).shape[1] >= 960


def test_default_blocks_work_on_a_folder(recognizer: Recognizer, colours: Path) -> None:
    videos = choose_videos(list_videos(colours).videos, 4)
    found = compute_block_features(recognizer, videos, threads=2)
    assert list(found.features) == ["pool3a", "pool4a", "pool5a", "mixed5c"]
    assert found.labels == ("blue",) * 4 + ("red",) * 4
    # A colour is told even by the blocks of an untrained network.
    groups = [str(i) for i in range(8)]
    assert neighbour_accuracy(found.features["pool3a"], found.labels, groups, 3).accuracy == 1
