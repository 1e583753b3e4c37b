"""The detector: boxes are proposed on the key frame, cut out of the video's features, and named.

    key frame (B, 3, H, W) -> image net -----> proposals (N, 4)
    clips (B, C, T, H, W) -> blocks to `at` -> features (B, C, T', H/16, W/16)
        the same box at every step          -> volumes (N, C, T', h, w)
        the blocks behind `at`              -> averaged over time and place, (N, C')
        the mean over frames and flow       -> classes (N, K), and the box mended (N, 4)

Source: paper section 5.3; Gu et al., AVA, arXiv 1705.08421, section 5; Ren et al., Faster R-CNN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.clip import ClipSpec
from s3d.detect.geometry.roi_align import roi_align_in_time
from s3d.detect.network.proposals import ProposalHead
from s3d.detect.network.resnet import ResNet, build_resnet
from s3d.detect.network.shape import STRIDE_PX, DetectorShape, count_places, key_place, steps_apart
from s3d.errors import InputError
from s3d.models.blocks import BLOCKS, Inception
from s3d.models.network import Network

RGB, FLOW = "rgb", "flow"
DROPOUT = 0.2


class Detector(nn.Module):
    """Propose boxes and name what is done in them.

    Attributes:
        shape: What it is beside its networks.
        specs: What each stream takes; all of one size, number of frames and rate.
        streams: A network of the family for "rgb", "flow" or each; its own head is not used.
        num_classes: Without that of nobody doing anything.
    """

    def __init__(
        self,
        streams: Mapping[str, Network],
        specs: Mapping[str, ClipSpec],
        shape: DetectorShape,
        num_classes: int,
    ) -> None:
        super().__init__()
        check_streams(streams, specs, shape)
        self.shape, self.specs, self.num_classes = shape, dict(specs), num_classes
        self.streams = nn.ModuleDict(streams)
        self.image: ResNet | None = None
        proposing = count_channels(next(iter(streams.values())), shape.at)
        if shape.image_net != "none":
            self.image = build_resnet(shape.image_net, shape.image_width)
            proposing = self.image.out_channels
        anchors = len(shape.anchor_px) * len(shape.anchor_ratios)
        self.proposing = ProposalHead(proposing, anchors)
        # A stream of another width than the others is turned to theirs before they are averaged.
        widths = {name: count_channels(net, BLOCKS[-1]) for name, net in streams.items()}
        self.width = max(widths.values())
        self.turn = nn.ModuleDict(
            {n: nn.Linear(w, self.width) for n, w in widths.items() if w != self.width}
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.classes = nn.Linear(self.width, num_classes + (not shape.multi_label))
        self.mending = nn.Linear(self.width, 4)
        for layer in (self.classes, self.mending):
            # A meta tensor has no values; to fill one, torch imports for a second and a half.
            if not layer.weight.is_meta:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    @property
    def spec(self) -> ClipSpec:
        """Return what the first stream takes."""
        return next(iter(self.specs.values()))

    @property
    def apart(self) -> int:
        """Return the frames from one step of the features to the next."""
        return steps_apart(self.network.style, self.shape.at)

    @property
    def network(self) -> Network:
        """Return the network of the first stream."""
        found = next(iter(self.streams.values()))
        assert isinstance(found, Network)
        return found

    @property
    def key_place(self) -> int:
        """Return which frame of a window is its key frame."""
        return key_place(self.spec.frames, self.apart)

    def features(self, clips: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return features (B, C, T', h, w) of each stream's clips (B, C, T, H, W)."""
        return {name: self._stream(name).features(x, self.shape.at) for name, x in clips.items()}

    def propose_from(
        self, features: Mapping[str, Tensor], pictures: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return objectness and box shifts of every anchor.

        Args:
            features: Of each stream.
            pictures: (B, 3, H, W) key frames, RGB from 0 to 1; None where there is no image net.
        """
        if self.image is not None:
            assert pictures is not None
            x = self.image(pictures)
        else:
            first = next(iter(features.values()))
            x = first[:, :, min(self.key_place // self.apart, first.shape[2] - 1)]
        found: tuple[Tensor, Tensor] = self.proposing(x)
        return found

    def cut(self, features: Mapping[str, Tensor], boxes: Sequence[Tensor]) -> dict[str, Tensor]:
        """Cut boxes out of features at every step.

        Args:
            features: (B, C, T', h, w) of each stream.
            boxes: (n, 4) in px of the input, of each of the B windows.

        Returns:
            Volumes (N, C, T', *roi_px) of each stream, N over all windows.
        """
        places = torch.cat([torch.full((len(b),), i) for i, b in enumerate(boxes)])
        joined = torch.cat(list(boxes))
        places = places.to(joined.device)
        return {
            name: roi_align_in_time(x, joined, places, self.shape.roi_px, 1 / STRIDE_PX)
            for name, x in features.items()
        }

    def name_volumes(self, volumes: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return class logits (N, K or K + 1) and box shifts (N, 4) of volumes, N from 0 on."""
        if not len(next(iter(volumes.values()))):  # The blocks take no batch of nothing.
            nothing = self.classes.weight.new_zeros(0, self.width)
            return self.classes(nothing), self.mending(nothing)
        ends = {n: self._stream(n).go_on(v, self.shape.at) for n, v in volumes.items()}
        return self.name_ends(ends)

    def name_ends(self, ends: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return class logits and box shifts of what the last block gives for each stream.

        Args:
            ends: (N, C, T, h, w) of each stream.
        """
        pooled = []
        for name, x in ends.items():
            mean = x.mean((2, 3, 4))
            pooled.append(self.turn[name](mean) if name in self.turn else mean)
        x = self.dropout(torch.stack(pooled).mean(0))
        return self.classes(x), self.mending(x)

    def scores(self, logits: Tensor) -> Tensor:
        """Return scores (N, K) of class logits: without that of nobody doing anything, the last."""
        if self.shape.multi_label:
            return torch.sigmoid(logits)
        return F.softmax(logits, 1)[:, : self.num_classes]

    def _stream(self, name: str) -> Network:
        network = self.streams[name]
        assert isinstance(network, Network)
        return network


def count_channels(network: Network, at: str) -> int:
    """Return the channels of what a block gives; pools give as many as they take."""
    blocks = (network.get_submodule(name) for name in reversed(BLOCKS[: BLOCKS.index(at) + 1]))
    return next(block.out_channels for block in blocks if isinstance(block, Inception))


def check_streams(
    streams: Mapping[str, Network], specs: Mapping[str, ClipSpec], shape: DetectorShape
) -> None:
    """Check that networks go together in one detector.

    Raises:
        InputError: They look at other frames, or take what their stream does not give.
    """
    if not streams or set(streams) != set(specs) or not set(streams) <= {RGB, FLOW}:
        raise InputError("a detector has a stream rgb, flow or both, each with its clip.")
    if shape.image_net != "none" and RGB not in streams:
        raise InputError("an image net looks at frames; a detector of flow alone has none.")
    looks = {(s.frames, s.rate_fps, s.size_px, s.resize_px) for s in specs.values()}
    apart = {steps_apart(network.style, shape.at) for network in streams.values()}
    if len(looks) > 1 or len(apart) > 1:
        raise InputError(
            "the streams of a detector look at different frames; give both the same frames, rate "
            "and size, and networks of one style."
        )
    for name, network in streams.items():
        if specs[name].modality != name or network.channels != specs[name].channels:
            raise InputError(
                f"stream {name} of a detector has a network of {network.channels} channels for a "
                f"clip of {specs[name].modality}."
            )
    spec = next(iter(specs.values()))
    if spec.size_px != spec.resize_px or spec.resize != "squash":
        raise InputError(
            "a detector sees whole frames: its clip's resize is 'squash', to the size it sees."
        )
    if min(count_places(spec.size_px)) < 2:
        raise InputError(f"a detector needs at least 32 px a side, not {spec.size_px}.")
