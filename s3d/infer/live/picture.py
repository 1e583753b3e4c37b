"""A decoded frame as a picture of the size somebody wants, whatever size the stream has now."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from s3d.clip import ClipSpec
from s3d.data.container import displayed_size, quarter_turns
from s3d.data.transform import centre_crop, resized_px
from s3d.data.video_info import Frames


class Converter:
    """Turn decoded frames into upright RGB; each may be of another size than the one before.

    Raises:
        InputError: A frame has over 16384 px a side.
    """

    def __init__(self, stream: VideoStream, shown: str) -> None:
        self.stream, self.shown = stream, shown
        self.reformatter = VideoReformatter()

    def clip_frame(self, frame: VideoFrame, spec: ClipSpec) -> Frames:
        """Return a frame as a network sees it, (h, w, 3)."""
        displayed = displayed_size(frame, self.stream, self.shown)
        rgb = self._convert(frame, resized_px(*displayed, spec))
        return np.ascontiguousarray(centre_crop(rgb[None], spec.size_px)[0])

    def preview(self, frame: VideoFrame, longest_px: int) -> Frames:
        """Return a frame (h, w, 3), of even sides, scaled down to a longest side."""
        height, width = displayed_size(frame, self.stream, self.shown)
        scale = min(1.0, longest_px / max(height, width))
        even = [max(2, 2 * round(side * scale / 2)) for side in (height, width)]
        return self._convert(frame, (even[0], even[1]))

    def _convert(self, frame: VideoFrame, size_px: tuple[int, int]) -> Frames:
        turns = quarter_turns(frame)
        height, width = size_px[::-1] if turns % 2 else size_px
        rgb = self.reformatter.reformat(frame, width, height, "rgb24", threads=1)
        picture: Frames = np.asarray(rgb.to_ndarray(), np.uint8)
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture
