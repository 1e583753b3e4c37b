"""The network: Inception-v1 over space, and over time as its word says.

clips -> conv1a pool2a conv2b conv2c pool3a mixed3b mixed3c
      -> pool4a mixed4b mixed4c mixed4d mixed4e mixed4f
      -> pool5a mixed5b mixed5c -> head -> logits
"""

from __future__ import annotations

import difflib
import reprlib
from pathlib import Path

import torch
from torch import Tensor, nn

from s3d.errors import InputError
from s3d.models.blocks import BLOCKS as BLOCKS
from s3d.models.blocks import Classifier, Head, make_block
from s3d.models.family import LAYERS, network_word
from s3d.models.inflate import ImageWeights, inflate_network, read_image_weights
from s3d.models.layers import Conv, channels_last, make_identity
from s3d.models.style import PAPER, Style, find_style

SMALLEST_PX = 32
MAX_CLASSES = 1_000_000
WIDTH_RANGE = (0.01, 8.0)


class Network(nn.Module):
    """A network of the family.

    Attributes:
        word: Its eleven letters.
        style: Its convention.
        width: The multiplier of its channels.
    """

    def __init__(
        self, word: str, num_classes: int, style: Style, width: float = 1.0, channels: int = 3
    ) -> None:
        super().__init__()
        self.word, self.style, self.width = word, style, width
        self.num_classes, self.channels = num_classes, channels
        letters = dict(zip(LAYERS, word, strict=True))
        carried = channels
        for name in BLOCKS:
            block, carried = make_block(name, letters.get(name, "2"), carried, style, width)
            self.add_module(name, block)
        self.head = Head(carried, num_classes, style)

    def forward(self, clips: Tensor) -> Tensor:
        """Classify clips.

        Args:
            clips: (B, C, T, H, W), float, in the range of the clip contract; T >= 1, H and W >= 32.

        Returns:
            Logits (B, num_classes).

        Raises:
            InputError: The shape cannot be used.
        """
        logits: Tensor = self.head(self.features(clips))
        return logits

    def features(self, clips: Tensor, at: str = "mixed5c") -> Tensor:
        """Return a block's output.

        Args:
            clips: As for `forward`.
            at: One of `BLOCKS`.

        Returns:
            Features (B, C, T, H, W).

        Raises:
            InputError: There is no such block, or the shape cannot be used.
        """
        last = block_number(at)
        check_clips(clips, self.channels)
        x = channels_last(clips)
        for name in BLOCKS[: last + 1]:
            x = self.get_submodule(name)(x)
        return x

    def classify(self, features: Tensor, after: str = "mixed5c") -> Tensor:
        """Go on from a block's output: `classify(features(clips, at), at)` is `forward(clips)`.

        Args:
            features: (B, C, T, H, W), what `features(clips, at=after)` gave.
            after: One of `BLOCKS`.

        Returns:
            Logits (B, num_classes).

        Raises:
            InputError: There is no such block.
        """
        logits: Tensor = self.head(self.go_on(features, after))
        return logits

    def go_on(self, features: Tensor, after: str, at: str = "mixed5c") -> Tensor:
        """Go on from a block's output to that of another, both as in `features`.

        Args:
            features: (B, C, T, H, W), what `features(clips, at=after)` gave.
            after: One of `BLOCKS`.
            at: One of `BLOCKS`, not before it.

        Raises:
            InputError: There is no such block.
        """
        x = channels_last(features)
        for name in BLOCKS[block_number(after) + 1 : block_number(at) + 1]:
            x = self.get_submodule(name)(x)
        return x

    def replace_head(self, num_classes: int) -> None:
        """Give the network a fresh classifier, for classes it was not trained on.

        Raises:
            InputError: The number of classes cannot be used.
        """
        _check_number("num_classes", num_classes, 1, MAX_CLASSES)
        old = self.head.classifier
        self.head.classifier = Classifier(
            old.in_features, num_classes, device=old.weight.device, dtype=old.weight.dtype
        )
        self.num_classes = num_classes

    @torch.no_grad()
    def replace_input(self, channels: int) -> None:
        """Let the network take clips of other channels: each gets the mean of the old kernels.

        Args:
            channels: 3 for rgb, 2 for flow.

        Source: Wang et al., Temporal Segment Networks (2016), section 3.2, from rgb to flow.
        """
        stem = next(module for module in self.modules() if isinstance(module, Conv))
        # A stem of space-to-depth sees a cube of pixels, each with all its channels.
        cubes = stem.weight.shape[1] // self.channels
        apart = stem.weight.view(len(stem.weight), cubes, self.channels, *stem.weight.shape[2:])
        alike = apart.mean(2, keepdim=True).expand(-1, -1, channels, *apart.shape[3:])
        stem.weight = nn.Parameter(alike.flatten(1, 2).clone())
        self.channels = channels


def block_number(name: str) -> int:
    """Return a block's place in `BLOCKS`.

    Raises:
        InputError: There is no such block.
    """
    if name not in BLOCKS:
        near = difflib.get_close_matches(str(name)[:30], BLOCKS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(f"unknown block {reprlib.repr(name)}.{hint} Known: {', '.join(BLOCKS)}.")
    return BLOCKS.index(name)


def check_clips(clips: Tensor, channels: int) -> None:
    """Check that a network can take clips of this shape.

    Raises:
        InputError: It cannot.
    """
    if clips.ndim != 5:
        raise InputError(
            f"clips have {clips.ndim} axes {tuple(clips.shape)}; a network takes 5: "
            "(batch, channel, time, height, width). Add the missing one with clip[None]."
        )
    batch, found, frames, height, width = clips.shape
    if found != channels:
        raise InputError(
            f"clips have {found} channels; this network takes {channels}: "
            "(batch, channel, time, height, width)."
        )
    if not clips.is_floating_point():
        raise InputError(
            f"clips are {clips.dtype}; a network takes floats. Use (frames / 255 - mean) / std."
        )
    if batch < 1 or frames < 1:
        raise InputError(f"clips are {tuple(clips.shape)}; at least 1 clip of 1 frame is needed.")
    if min(height, width) < SMALLEST_PX:
        raise InputError(
            f"clip is {width} x {height} px; a network needs at least {SMALLEST_PX} each way. "
            "Use ClipSpec(size_px=...)."
        )


def build(
    network: str = "s3d_g",
    *,
    num_classes: int = 400,
    style: str | Style | None = None,
    width: float = 1.0,
    channels: int = 3,
    inflate: str | Path | ImageWeights | None = None,
) -> Network:
    """Build a network of the family, with fresh weights or with inflated ones.

    Args:
        network: A name (`i2d`, `i3d_top_4`, `s3d_fast`, ...) or a word of 11 letters.
        num_classes: Classes, at least 1.
        style: A convention, by name (`s3d.models.style.STYLES`) or as a `Style`; None is the
            paper's, on the grid of the image network where weights are inflated.
        width: Multiplies every layer's channels (at least 16 are kept), 0.01 to 8.
        channels: Channels of a clip: 3 for rgb, 2 for flow.
        inflate: Weights of an Inception-v1 that was trained on images, from which the network
            starts: a file of torchvision's GoogLeNet or of slim's Inception-v1, or
            "googlenet-imagenet", which is downloaded. The head stays fresh, but for as many
            classes as the images had.

    Returns:
        A module on clips (B, channels, T, H, W) that gives logits (B, num_classes).

    Raises:
        InputError: A value cannot be used.

    Example:
        >>> import torch, s3d
        >>> network = s3d.build("s3d_fast", num_classes=5, width=0.25).eval()
        >>> network(torch.zeros(1, 3, 8, 64, 64)).shape
        torch.Size([1, 5])
    """
    for name, value, low, high in (
        ("num_classes", num_classes, 1, MAX_CLASSES),
        ("width", width, *WIDTH_RANGE),
        ("channels", channels, 1, 64),
    ):
        _check_number(name, value, low, high)
    word = network_word(network)
    if inflate is None:
        chosen = PAPER if style is None else find_style(style)
        return Network(word, num_classes, chosen, float(width), channels)
    if width != 1:
        raise InputError(
            f"width is {width:g}, and image networks are whole. Inflate into a network of width 1."
        )
    images = inflate if isinstance(inflate, ImageWeights) else read_image_weights(inflate)
    chosen = images.style if style is None else find_style(style)
    started = Network(word, num_classes, chosen, float(width), channels)
    inflate_network(started, images)
    return started


def _check_number(name: str, value: object, low: float, high: float) -> None:
    whole = isinstance(low, int)
    is_number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        kind = "a whole number" if whole else "a number"
        shown = reprlib.repr(value)
        raise InputError(f"{name} is {shown}; it needs {kind} from {low} to {high}.")


def start_as_2d(network: Network) -> None:
    """Set every temporal convolution and its norm to identity: an S3D then answers as an I2D.

    Source: paper section 4; slim starts its temporal kernels this way.
    """
    for module in network.modules():
        if isinstance(module, Conv) and module.kernel[0] > 1 and module.kernel[1:] == (1, 1):
            make_identity(module)
