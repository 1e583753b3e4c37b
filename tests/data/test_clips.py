"""A clip is drawn before its file is read, and a view is always the same clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.clips import Augmentation, draw_clip, draw_view, read_clip, read_clips
from s3d.data.decode import Frames, Indices
from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.file import save_flow
from s3d.data.flow.levels import dequantise_flow
from s3d.data.loader import ClipLoader
from s3d.data.store import FrameStore, open_videos
from s3d.data.videos import Video, list_videos

SPEC = ClipSpec(4, 8.0, (40, 44), (32, 32))
AUGMENTATION = Augmentation(0.2, flip=True)


@pytest.fixture(scope="module")
def store(colours: Path) -> FrameStore:
    return FrameStore(open_videos(list_videos(colours).videos, 2).infos, SPEC)


def test_clips_of_a_video_are_those_read_alone_from_one_decoding(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = [draw_view(store, 3, AUGMENTATION, 0, view) for view in range(6)]
    alone = np.stack([read_clip(store, 3, draw) for draw in draws])
    asked: list[int] = []

    def read(self: FrameStore, video: int, indices: Indices) -> Frames:
        asked.append(len(indices))
        return whole(self, video, indices)

    whole = FrameStore.read
    monkeypatch.setattr(FrameStore, "read", read)
    np.testing.assert_array_equal(read_clips(store, 3, draws), alone)
    assert asked == [len(np.unique([d.indices for d in draws]))]


def test_a_view_follows_from_seed_video_and_number(store: FrameStore) -> None:
    def facts(seed: int, video: int, view: int) -> tuple[object, ...]:
        draw = draw_view(store, video, AUGMENTATION, seed, view)
        return (*draw.indices, draw.top, draw.left, draw.is_mirrored, draw.tone)

    assert facts(0, 1, 2) == facts(0, 1, 2)
    places = [(0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3), (0, 0, 0), (0, 1, 0)]
    assert len({facts(*place) for place in places}) == len(places)


def test_crops_and_mirrors_reach_every_place(store: FrameStore) -> None:
    rng = np.random.default_rng(0)
    draws = [draw_clip(store, 0, AUGMENTATION, rng) for _ in range(300)]
    assert {draw.top for draw in draws} == set(range(9))
    assert {draw.left for draw in draws} == set(range(13))
    assert 100 < sum(draw.is_mirrored for draw in draws) < 200
    assert all(abs(draw.tone[0] - 1) <= 0.2 >= abs(draw.tone[1]) for draw in draws)


def shown(store: FrameStore, views: int) -> set[bytes]:
    loader = ClipLoader(store, [0] + [-1] * 15, 40, 0, AUGMENTATION, views=views)
    batches = [next(loader.batches(epoch)) for epoch in (0, 1)]
    tones = torch.cat([batch.tones for batch in batches]).numpy()
    frames = torch.cat([batch.frames for batch in batches]).numpy()
    return {f.tobytes() + t.tobytes() for f, t in zip(frames, tones, strict=True)}


def test_training_sees_as_many_clips_of_a_video_as_there_are_views(store: FrameStore) -> None:
    assert len(shown(store, 3)) == 3
    assert len(shown(store, 1)) == 1
    assert len(shown(store, 0)) == 80
    draws = [draw_view(store, 0, AUGMENTATION, 0, view) for view in range(3)]
    wanted = {
        clip.tobytes() + np.array(draw.tone, np.float32).tobytes()
        for draw, clip in zip(draws, read_clips(store, 0, draws), strict=True)
    }
    assert shown(store, 3) == wanted


def test_flow_is_mirrored_with_its_sign_and_keeps_its_values(tmp_path: Path) -> None:
    half = (0.5, 0.5)
    spec = ClipSpec(2, 25.0, (36, 36), (32, 32), mean=half, std=half, modality="flow")
    flow = np.full((4, 36, 36, 2), (5, 3), np.float32)
    save_flow(tmp_path / "a", flow, np.arange(4) / 25, FlowRecipe().parameters())
    kept = FrameStore(open_videos([Video(str(tmp_path / "a"), "a")], 1).infos, spec)
    rng = np.random.default_rng(0)
    draws = [draw_clip(kept, 0, AUGMENTATION, rng) for _ in range(20)]
    assert {draw.tone for draw in draws} == {(1.0, 0.0)}  # another brightness is another motion
    assert len({draw.is_mirrored for draw in draws}) == 2
    for draw in draws:
        across, down = dequantise_flow(read_clip(kept, 0, draw)).mean((0, 1, 2))
        assert across == pytest.approx(-5 if draw.is_mirrored else 5, abs=0.2)
        assert down == pytest.approx(3, abs=0.2)
