"""The probe: clips read once, features of frozen blocks, and folds that are truly left out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.decode import probe_video, read_frames
from s3d.data.loader import normalise
from s3d.data.sample import clip_indices, latest_start
from s3d.data.video_list import Video
from s3d.data.videos import list_videos
from s3d.errors import InputError
from s3d.models.network import Network, build
from s3d.pretrain import frozen
from s3d.pretrain.frozen import ProbeRecipe, pool_features, read_clips
from s3d.pretrain.probe import fit_probe, make_examples, probe_folds, score_folds
from tests.tolerances import FLOAT32

SPEC = ClipSpec(4, 8.0, (32, 32), (32, 32))
RECIPE = ProbeRecipe(SPEC, 2, ("pool4a", "mixed5c", "pool4a+mixed5c"), ("average",))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build("s3d_fast", num_classes=2, width=0.1).eval()


@pytest.fixture(scope="module")
def videos(colours: Path) -> tuple[Video, ...]:
    return list_videos(colours).videos


def test_windows_are_those_at_both_ends(videos: tuple[Video, ...]) -> None:
    clips = read_clips(videos, RECIPE)
    assert clips.shape == (16, 2, 4, 32, 32, 3)
    info = probe_video(videos[3].path)
    for window, start in enumerate((0.0, latest_start(info, SPEC))):
        wanted = read_frames(info, clip_indices(info, SPEC, start), (32, 32))
        np.testing.assert_array_equal(clips[3, window], wanted)
    assert (clips[3, 0] != clips[3, 1]).any()


def test_clips_are_decoded_once(
    videos: tuple[Video, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_clips(videos, RECIPE, tmp_path)
    monkeypatch.setattr(frozen, "open_source", None)
    np.testing.assert_array_equal(read_clips(videos, RECIPE, tmp_path), first)
    os.utime(videos[0].path, (1, 1))
    with pytest.raises(TypeError):
        read_clips(videos, RECIPE, tmp_path)


def test_other_windows_are_other_clips(videos: tuple[Video, ...], tmp_path: Path) -> None:
    read_clips(videos, RECIPE, tmp_path)
    other = read_clips(videos, ProbeRecipe(SPEC, 3, ("mixed5c",)), tmp_path)
    assert other.shape[1] == 3
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_features_are_the_means_of_blocks(videos: tuple[Video, ...], network: Network) -> None:
    clips = read_clips(videos[:3], RECIPE)
    found = pool_features(network, clips, RECIPE)
    for name in ("pool4a", "mixed5c"):
        for video in range(3):
            x = normalise(torch.from_numpy(clips[video]), SPEC)
            with torch.no_grad():
                wanted = network.features(x, name).mean((0, 2, 3, 4))
            torch.testing.assert_close(
                torch.from_numpy(found[name][video]), wanted, rtol=FLOAT32[0], atol=FLOAT32[1]
            )
    joined = np.concatenate([found["pool4a"], found["mixed5c"]], 1)
    np.testing.assert_array_equal(found["pool4a+mixed5c"], joined)


def test_pools_are_over_time_once_space_is_averaged(network: Network) -> None:
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 255, (1, 1, 8, 32, 32, 3), np.uint8)
    spec = ClipSpec(8, 8.0, (32, 32), (32, 32))
    recipe = ProbeRecipe(spec, 1, ("pool4a",), ("average", "max", "deviation"))
    found = pool_features(network, clips, recipe)["pool4a"][0]
    with torch.no_grad():
        steps = network.features(normalise(torch.from_numpy(clips[0]), spec), "pool4a")
    steps = steps[0].mean((2, 3)).numpy()
    assert steps.shape[1] > 1
    wanted = np.concatenate([steps.mean(1), steps.max(1), steps.std(1)])
    np.testing.assert_allclose(found, wanted, rtol=FLOAT32[0], atol=FLOAT32[1])


def test_a_network_is_left_as_it_was(network: Network) -> None:
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pool_features(network, np.zeros((2, 1, 4, 32, 32, 3), np.uint8), RECIPE)
    assert network.training
    network.eval()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_probe_learns_what_features_show(videos: tuple[Video, ...], network: Network) -> None:
    features = pool_features(network, read_clips(videos, RECIPE), RECIPE)["mixed5c"]
    examples = make_examples(features, videos)
    assert fit_probe(examples, 2).classifier.accuracy(examples) == 1
    labels = [video.label for video in videos]
    folds = [str(number % 2) for number in range(16)]
    groups = [video.path for video in videos]
    assert probe_folds(features, labels, groups, folds) == {"0": 1.0, "1": 1.0}


def test_a_fold_is_not_learnt_from() -> None:
    """Each fold has its own code for the class: learnt with it, all is right; without, nothing."""
    labels = ["a", "b"] * 20
    folds = [str(number // 10) for number in range(40)]
    features = np.zeros((40, 4), np.float32)
    for number in range(40):
        features[number, number // 10] = 1 if labels[number] == "a" else -1
    groups = [str(number // 2) for number in range(40)]
    assert probe_folds(features, labels, groups, folds) == dict.fromkeys("0123", 0.5)
    # What chooses between blocks knows nothing of the fold either.
    changed = [*labels[:30], *reversed(labels[30:])]
    before = dict(score_folds(features, labels, groups, folds))["3"].loss
    assert dict(score_folds(features, changed, groups, folds))["3"].loss == before


def test_what_cannot_be_probed_is_refused(videos: tuple[Video, ...]) -> None:
    with pytest.raises(InputError, match="there is 1 fold; at least 2 are needed"):
        probe_folds(np.zeros((4, 2)), ["a", "b"] * 2, list("1234"), ["0"] * 4)
    with pytest.raises(InputError, match=r"unknown pool 'median'\. Known: average, max"):
        ProbeRecipe(pools=("median",))
    with pytest.raises(InputError, match=r"unknown pool ''\. Known"):
        ProbeRecipe(pools=())
    with pytest.raises(InputError, match="no block is named to probe; name one"):
        ProbeRecipe(blocks=())
    with pytest.raises(InputError, match="unknown block 'mixed6a'"):
        ProbeRecipe(blocks=("pool4a+mixed6a",))
    with pytest.raises(InputError, match="the list of videos to probe is empty"):
        read_clips((), RECIPE)
    with pytest.raises(InputError, match="no such file"):
        read_clips((Video("gone.mp4", "a"),), RECIPE)
