"""Ours against the slow obvious reference, on the same weights, in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from s3d.models.network import Network, build
from s3d.models.style import STYLES, Style
from tests.models.reference import Reference
from tests.tolerances import FLOAT64, GRADIENT64, assert_close

ALL_STYLES = {
    **STYLES,
    "static": Style(padding="static"),
    "all gates": Style(gate_place="branch_and_concat", temporal_first=True, padding="same"),
    "no strides": Style(time_strides="none", padding="symmetric", last_pool=3, stem="full"),
    "pairs": Style(head="pairs"),
}
WORDS = ("22222222222", "33333333333", "sssssssssss", "sgggggggggg", "wvg3s2g2sw3")
TRAINED_WORDS = WORDS[3:]
CLIPS = (2, 3, 9, 40, 33)


def make_network(word: str, style: Style, *, training: bool) -> Network:
    torch.manual_seed(0)
    network = build(word, num_classes=5, style=style, width=0.05).double()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            # Nothing stays 0 or 1, so that a weight that is not used shows.
            spread = torch.rand_like(tensor) + 0.5
            noise = torch.randn_like(tensor) * 0.2
            tensor.copy_(spread if name.endswith("running_var") else tensor * spread + noise / 4)
    network.head.dropout.p = 0.0
    return network.train(training)


def make_clips() -> Tensor:
    return torch.rand(CLIPS, generator=torch.Generator().manual_seed(1)).double() * 2 - 1


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("style", ALL_STYLES)
def test_logits_equal_the_reference(style: str, word: str) -> None:
    network = make_network(word, ALL_STYLES[style], training=False)
    with torch.no_grad():
        wanted = Reference(network)(make_clips())
        assert_close(network(make_clips()), wanted, FLOAT64)
    # Nothing died on its way, though gates upon gates leave little.
    assert (wanted[0] - wanted[1]).norm() > 1e-5 * wanted.norm()


@pytest.mark.parametrize("word", TRAINED_WORDS)
@pytest.mark.parametrize("style", ALL_STYLES)
def test_a_training_step_equals_the_reference(style: str, word: str) -> None:
    network = make_network(word, ALL_STYLES[style], training=True)
    reference = Reference(network)
    clips = make_clips()
    wanted, wanted_gradients = answer_and_gradients(reference, network, clips)
    found, gradients = answer_and_gradients(network, network, clips)
    assert_close(found, wanted, FLOAT64)
    for name, gradient in gradients.items():
        assert_close(gradient, wanted_gradients[name], GRADIENT64, name)
    for name, buffer in network.named_buffers():
        if "running" in name:
            assert_close(buffer, reference.state[name], FLOAT64)


@pytest.mark.parametrize("style", STYLES)
def test_gradients_in_eval_mode_equal_the_reference(style: str) -> None:
    network = make_network(WORDS[-1], STYLES[style], training=False)
    clips = make_clips()
    _, wanted = answer_and_gradients(Reference(network), network, clips)
    _, gradients = answer_and_gradients(network, network, clips)
    for name, gradient in gradients.items():
        assert_close(gradient, wanted[name], GRADIENT64, name)


def answer_and_gradients(
    answerer: Network | Reference, network: Network, clips: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    clips = clips.clone().requires_grad_()
    logits = answerer(clips)
    named = {"clips": clips, **dict(network.named_parameters())}
    loss = (logits * torch.arange(1, 6)).sin().sum()
    gradients = torch.autograd.grad(loss, list(named.values()))
    return logits.detach(), dict(zip(named, gradients, strict=True))
