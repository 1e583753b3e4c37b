"""The protocols: which clips of a video are scored, and how the scores become one.

cover        clips spread over the whole video, as many as it takes, at most 10; scores averaged
clip         one clip from the middle, centre crop
10x3         10 clips spread over the video, 3 crops each; scores averaged (30 views)
all-frames   every frame at the clip's rate, centre crop, logits averaged over time: the paper's; a
             long video goes through in pieces, and its answer is that of the whole at once, unless
             the network has gates: then the pieces' logits are averaged by their frames
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.clip import ClipSpec
from s3d.data.decode import Frames, VideoInfo
from s3d.data.flow.levels import play_flow_backwards
from s3d.data.frame_source import FrameSource, open_source
from s3d.data.paths import AnyPath
from s3d.data.sample import all_indices, clip_indices, spread_starts
from s3d.data.transform import centre_crop, resized_px, three_crops
from s3d.data.video_info import FLOW_CHANNELS
from s3d.errors import InputError

PROTOCOLS = ("cover", "clip", "10x3", "all-frames")
MOST_COVERING_CLIPS = 10
PIECE_PIXELS = 300 * 224 * 224
"""Pixels of the longest piece scored at once under all-frames; it bounds memory."""


@dataclass(frozen=True, eq=False)
class Views:
    """Hold what of a video is to be scored.

    Attributes:
        pieces: Each (V, T, H, W, C) uint8, views of one length. Those of a long video under
            all-frames are decoded as they are taken, once, so that memory stays flat.
        lengths: Frames of each view.
        average_logits: Average logits weighted by frames (all-frames); else softmax scores.
    """

    pieces: Iterable[npt.NDArray[np.uint8]]
    lengths: tuple[int, ...]
    average_logits: bool

    @property
    def count(self) -> int:
        """Return how many views there are."""
        return len(self.lengths)


def read_views(
    path: AnyPath, spec: ClipSpec, protocol: str, reverse: bool = False, device: str = "cpu"
) -> Views:
    """Read what a protocol scores of a video.

    Args:
        path: The video; or its flow, where the network takes flow.
        spec: The network's clip contract.
        protocol: One of `PROTOCOLS`.
        reverse: Play the frames backwards.
        device: Where flow is computed that is not at hand.

    Raises:
        InputError: The video cannot be read, or there is no such protocol.
    """
    check_protocol(protocol)
    source = open_source(path, spec, device)
    if protocol == "all-frames":
        return _all_frames(source, spec, reverse)
    info = source.info
    starts = _choose_starts(info, spec, protocol)
    indices = [clip_indices(info, spec, start) for start in starts]
    size = resized_px(info.height_px, info.width_px, spec)
    frames = _read_each_once(source, np.stack(indices), size)
    clips = [_play_backwards(part) if reverse else part for part in frames]
    if protocol == "10x3":
        crops = [crop for clip in clips for crop in three_crops(clip, spec.size_px)]
    else:
        crops = [centre_crop(clip, spec.size_px) for clip in clips]
    return Views((np.stack(crops),), (spec.frames,) * len(crops), average_logits=False)


def check_protocol(protocol: str) -> None:
    """Check that a protocol exists.

    Raises:
        InputError: It does not.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol!r}. Known: {', '.join(PROTOCOLS)}.")


def _choose_starts(info: VideoInfo, spec: ClipSpec, protocol: str) -> list[float]:
    if protocol == "cover":
        needed = math.ceil(info.duration_seconds / spec.span_seconds - 0.1)
        return spread_starts(info, spec, min(max(needed, 1), MOST_COVERING_CLIPS))
    return spread_starts(info, spec, 1 if protocol == "clip" else 10)


def _play_backwards(frames: Frames) -> Frames:
    return play_flow_backwards(frames) if frames.shape[-1] == FLOW_CHANNELS else frames[::-1]


def _read_each_once(
    source: FrameSource, indices: npt.NDArray[np.int64], size_px: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Return frames (clips, T, H, W, C), a frame that several clips share converted once."""
    wanted, places = np.unique(indices, return_inverse=True)
    frames = source.read(wanted, size_px)
    return frames[places.reshape(indices.shape)]


def _all_frames(source: FrameSource, spec: ClipSpec, reverse: bool) -> Views:
    info = source.info
    indices = all_indices(info, spec)
    lengths = split_evenly(len(indices), longest_piece(spec))
    if reverse:
        lengths.reverse()  # The pieces are those that the reversed video would have.
    wanted = np.split(indices, np.cumsum(lengths)[:-1])
    if reverse:
        wanted.reverse()
    size = resized_px(info.height_px, info.width_px, spec)

    def finish(frames: Frames) -> npt.NDArray[np.uint8]:
        crop = centre_crop(frames, spec.size_px)
        return np.ascontiguousarray(_play_backwards(crop) if reverse else crop)[None]

    pieces: Iterable[npt.NDArray[np.uint8]]
    if len(wanted) == 1:
        pieces = (finish(source.read(indices, size)),)
    elif reverse:
        pieces = (finish(source.read(piece, size)) for piece in wanted)
    else:
        pieces = map(finish, _read_in_turn(source, wanted, size))
    return Views(pieces, tuple(map(len, wanted)), average_logits=True)


def _read_in_turn(
    source: FrameSource, pieces: Sequence[npt.NDArray[np.int64]], size_px: tuple[int, int]
) -> Iterator[Frames]:
    """Yield the frames of each piece; indices never fall, so the file is decoded once."""
    frames = enumerate(source.iterate(size_px))
    number, frame = next(frames)
    for piece in pieces:
        out = np.empty((len(piece), *size_px, source.info.channels), np.uint8)
        for place, index in enumerate(piece):
            while number < index:
                number, frame = next(frames, (len(piece) + index, frame))
            if number > index:  # The file gives fewer frames than it promised.
                out = source.read(piece, size_px)
                break
            out[place] = frame
        yield out


def longest_piece(spec: ClipSpec) -> int:
    """Return the most frames scored at once under all-frames."""
    height, width = spec.size_px
    return max(spec.frames, PIECE_PIXELS // (height * width))


def split_evenly(total: int, longest: int) -> list[int]:
    """Return lengths, none above `longest`, that differ by at most 1 and sum to `total`."""
    count = max(1, -(-total // longest))
    return [total // count + (i < total % count) for i in range(count)]
