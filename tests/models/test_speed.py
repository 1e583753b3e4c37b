"""No layer takes PyTorch's slow paths on a CPU: 3D pooling, and convolutions outside oneDNN."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import s3d

SLOW = ("aten::max_pool3d_with_indices", "aten::slow_conv3d", "aten::im2col")


def operations(network: str, batch: int) -> set[str]:
    net = s3d.build(network, num_classes=5, width=0.25).eval()
    clips = torch.rand(batch, 3, 8, 64, 64)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU]) as record:
        net(clips)
    return {event.key for event in record.key_averages()}


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("network", ["i2d", "i3d", "s3d_g", "s3d_fast"])
def test_no_layer_takes_a_slow_path(network: str, batch: int) -> None:
    assert not operations(network, batch) & set(SLOW)


def test_a_plain_3d_network_would_take_them() -> None:
    clips = torch.rand(1, 16, 4, 16, 16)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU]) as record:
        torch.nn.functional.max_pool3d(clips, 3)
        torch.nn.functional.conv3d(clips, torch.rand(16, 16, 3, 3, 3))
    keys = {event.key for event in record.key_averages()}
    assert keys & set(SLOW) == {"aten::max_pool3d_with_indices", "aten::slow_conv3d"}
