"""Which clip lengths hide the order of frames from a network without temporal kernels."""

import torch

import s3d


def test_an_i2d_answers_alike_to_a_clip_and_its_reverse_at_16m_minus_3_frames() -> None:
    torch.manual_seed(0)
    net = s3d.build("i2d", num_classes=7, width=0.25).eval()
    for frames, is_blind in ((13, True), (29, True), (16, False)):
        clips = torch.rand(2, 3, frames, 48, 48)
        with torch.no_grad():
            same = torch.allclose(net(clips), net(clips.flip(2)), atol=1e-5)
        assert same == is_blind, frames
