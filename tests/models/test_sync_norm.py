"""Norms that two processes share give what one norm gives of the whole batch."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing, nn

from s3d.models.layers import Conv
from s3d.models.network import build
from s3d.models.style import STYLES
from s3d.models.sync_norm import SyncNorm, synchronise_norms

ROWS = (slice(0, 3), slice(3, 5))
"""Of five clips, those of each process."""


def make_conv(style: str) -> Conv:
    torch.manual_seed(1)
    conv = Conv((2, 3), (1, 3, 3), STYLES[style]).double().train()
    assert conv.norm is not None
    nn.init.normal_(conv.norm.bias)
    if isinstance(conv.norm.weight, nn.Parameter):
        nn.init.normal_(conv.norm.weight)
    return conv


def run(conv: Conv, clips: Tensor, grad: Tensor) -> list[Tensor]:
    """Return output, gradients and the norm's state after a pass forth and back."""
    clips = clips.clone().requires_grad_()
    y = conv(clips)
    y.backward(grad)
    assert clips.grad is not None
    assert conv.norm is not None
    return [y.detach(), clips.grad, *[p.grad for p in conv.parameters() if p.grad is not None],
            *conv.norm.state_dict().values()]  # fmt: skip


def compare(rank: int, folder: str) -> None:
    """Compare in one of two processes; an AssertionError ends both."""
    where = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=where, rank=rank, world_size=2)
    for style in sorted(STYLES):
        torch.manual_seed(0)
        clips, grad = torch.randn(5, 2, 2, 4, 4).double() + 3, torch.randn(5, 3, 2, 4, 4).double()
        whole = make_conv(style)
        shared = copy.deepcopy(whole)
        synchronise_norms(shared)
        assert type(shared.norm) is SyncNorm
        assert [*shared.state_dict()] == [*whole.state_dict()]
        wanted = run(whole, clips, grad)
        found = run(shared, clips[ROWS[rank]], grad[ROWS[rank]])
        parameters = sum(1 for _ in shared.parameters())
        for gradient in found[2 : 2 + parameters]:
            dist.all_reduce(gradient)
        wanted[:2] = [t[ROWS[rank]] for t in wanted[:2]]
        for mine, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(shared.eval()(clips), whole.eval()(clips))
    dist.destroy_process_group()


@pytest.mark.timeout(90)
def test_two_processes_normalise_as_one(tmp_path: Path) -> None:
    multiprocessing.spawn(compare, (str(tmp_path),), 2)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_alone_it_is_a_batch_norm_that_rounds_less(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = (torch.randn(6, 4, 3, 3) + 100).to(dtype)
    plain = nn.BatchNorm2d(4, momentum=0.25)
    norm, exact = SyncNorm(copy.deepcopy(plain)), copy.deepcopy(plain).double()
    y, wanted = norm(x), exact(x.double())
    assert y.dtype == dtype
    assert y.float().isfinite().all()
    tolerance = 1e-4 if dtype == torch.float32 else 0.02
    torch.testing.assert_close(y.double(), wanted, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(norm.running_var.double(), exact.running_var, rtol=1e-4, atol=1e-5)


def test_every_norm_of_a_network_is_replaced_and_keeps_its_tensors() -> None:
    network = build("s3d_g", num_classes=2, width=0.1)
    before = {name: tensor.data_ptr() for name, tensor in network.state_dict().items()}
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    synchronise_norms(network)
    assert sum(isinstance(m, SyncNorm) for m in network.modules()) == norms > 20
    assert {name: t.data_ptr() for name, t in network.state_dict().items()} == before
