"""Write networks of ours as their publishers would have: their names, their axes, their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from s3d.models.blocks import INCEPTION, Inception
from s3d.models.network import Network, build
from s3d.models.published.garden_names import names_in_garden
from s3d.models.published.places import Place, list_places
from s3d.models.published.sources import SOURCES
from s3d.models.published.tf_names import Locate, names_in_deepmind, names_in_slim
from s3d.models.style import Style
from tests.models.published.bundle import write_checkpoint

TENSORFLOW = ("deepmind", "slim", "tf-garden")
KERAS = "/.ATTRIBUTES/VARIABLE_VALUE"
FIVE_AXES = ("torchvision", "kylemin", "piergiaj", "deepmind", "slim")
"""Whose classifier is a 1x1x1 convolution."""


def make_network(
    word: str, style: Style, *, width: float = 0.05, classes: int = 5, channels: int = 3
) -> Network:
    """Return a network whose every value is drawn, norms' included."""
    torch.manual_seed(0)
    network = build(word, num_classes=classes, style=style, width=width, channels=channels)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point() and tensor.ndim < 2:
                tensor.normal_(1.0 if name.endswith("weight") else 0.0, 0.1)
    return network.eval()


def publish(network: nn.Module, source: str, scope: str = "") -> dict[str, Tensor]:
    """Return a network's tensors under published names, in PyTorch's order of axes."""
    locate, state = find_locate(network, source, scope), network.state_dict()
    published: dict[str, Tensor] = {}
    for name, places in list_places(network):
        for full in state:
            leaf = full.removeprefix(f"{name}.")
            if leaf != full and "num_batches" not in leaf:
                parts = split(network, name, state[full]) if len(places) > 1 else (state[full],)
                for place, part in zip(places, parts, strict=True):
                    assert locate(place, leaf) not in published
                    published[locate(place, leaf)] = axes_of(place, leaf, part, source)
    return published


def split(network: nn.Module, name: str, tensor: Tensor) -> tuple[Tensor, ...]:
    block = network.get_submodule(name.partition(".")[0])
    assert isinstance(block, Inception)
    return tensor.split(block.entry_widths)


def axes_of(place: Place, leaf: str, tensor: Tensor, source: str) -> Tensor:
    as_convolution = (place.part == "classifier" and source in FIVE_AXES) or (
        place.part == "gate" and source in TENSORFLOW
    )
    return tensor[..., None, None, None] if leaf == "weight" and as_convolution else tensor


def find_locate(network: nn.Module, source: str, scope: str) -> Locate:
    """Return what names a network's places; of TensorFlow's files names show the rest."""
    if source == "slim":
        return names_in_slim([f"{scope}Conv2d_1a_7x7/weights"])
    if source == "deepmind":
        odd = f"{scope}Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w"
        return names_in_deepmind([f"{scope}Conv3d_1a_7x7/conv_3d/w", odd])
    if source != "tf-garden":
        return SOURCES[source].locate({})
    assert isinstance(network, Network)
    home, style = f"{scope}layer_with_weights-", network.style
    first = 6 if network.word[1] in "gwv" else 5
    names = {f"{home}0/kernel{KERAS}": (1, 1, 1, 1, 1)}
    for number in range(first, first + len(INCEPTION)):
        names[f"{home}{number}/_branch_0_layers/0/kernel{KERAS}"] = (1,)
    if not style.pool_comes_first:
        names[f"{home}6/_branch_3_layers/0/kernel{KERAS}"] = (1,)
    if style.temporal_first:
        pair = "_branch_1_layers/3/_parameterized_conv_layers"
        names[f"{home}6/{pair}/0/kernel{KERAS}"] = (1, 1, 3, 1, 1)
    names[f"model/layer_with_weights-1/kernel{KERAS}"] = (1, 1)
    return names_in_garden(names)


def write_published(folder: Path, tensors: dict[str, Any], source: str) -> Path:
    """Write tensors as their publisher's framework does; return the path to convert."""
    if source not in TENSORFLOW:
        torch.save(tensors, folder / "weights.pt")
        return folder / "weights.pt"
    turned = {2: (1, 0), 4: (2, 3, 1, 0), 5: (2, 3, 4, 1, 0)}
    arrays = {
        name: tensor.permute(turned.get(tensor.ndim, tuple(range(tensor.ndim)))).numpy().copy()
        for name, tensor in tensors.items()
    }
    return write_checkpoint(folder, arrays)
