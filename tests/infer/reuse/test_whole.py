"""All frames in pieces: the answer is that of the whole at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.infer.engines.engine import Engine
from s3d.infer.reuse import whole as whole_module
from s3d.infer.reuse.whole import can_go_in_pieces, score_whole
from s3d.models.style import STYLES
from tests.infer.reuse.nets import difference, make_network, noise

TOLERANCE = 1e-5
"""Of the norm of the logits."""


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("word", ["s3d_fast", "s3d", "i3d_bottom_2"])
@pytest.mark.parametrize(("frames", "piece"), [(61, 17), (50, 8)])
def test_pieces_give_the_answer_of_the_whole(
    word: str, style: str, frames: int, piece: int
) -> None:
    engine = Engine(make_network(word, style), ClipSpec(), "torch")
    clip = noise(frames)
    wanted = engine.logits(torch.from_numpy(clip)[None])[0]
    pieces = (clip[i : i + piece] for i in range(0, frames, piece))
    found = score_whole(engine, pieces, frames)
    assert difference(found.numpy(), wanted.numpy()) < TOLERANCE


def test_frames_wider_than_the_heads_window() -> None:
    engine = Engine(make_network("s3d_fast", "torchvision"), ClipSpec(), "torch")
    clip = np.random.default_rng(1).integers(0, 256, (40, 32, 288, 3), np.uint8)
    wanted = engine.logits(torch.from_numpy(clip)[None])[0]
    found = score_whole(engine, iter([clip[:23], clip[23:]]), 40)
    assert difference(found.numpy(), wanted.numpy()) < TOLERANCE


def test_little_is_held_of_what_went_through() -> None:
    passing = whole_module._Pass(Engine(make_network("s3d"), ClipSpec(), "torch"), 200, (32, 32))
    for piece in np.split(noise(200), 10):
        passing.add(torch.from_numpy(piece))
        for _, stage, found in passing.stages:
            assert found.stop - found.first <= 32, stage.name
    assert passing.finish().shape == (5,)


def test_a_gated_network_cannot_go_in_pieces() -> None:
    assert can_go_in_pieces(make_network("s3d"))
    assert not can_go_in_pieces(make_network("22222222ssg"))
