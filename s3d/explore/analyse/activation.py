"""Where and when a network looks: what each place of a block adds to the logit of a class.

The head is linear in what the last block gives: averages, then a classifier, then a mean. With
features F (C, T, H, W), class k and bias b_k

    logit_k = b_k + sum over c, t, h, w of  g[c, t, h, w] F[c, t, h, w],     g = d logit_k / d F

exactly, whatever the style's head is: g is the class's weight of channel c times the share with
which place (t, h, w) enters the averages, which windows of 2 x 7 x 7 make smaller at the ends. The
map is the sum over channels: the class activation map, and its sum is the logit without the bias.
It may be below zero, where a place speaks against the class.

For an earlier block there is no such identity, and the map is that of Grad-CAM, over time as well:

    weight_c = mean over t, h, w of d logit_k / d F[c]
    map      = max(0, sum over c of weight_c F[c])

Source: Zhou et al., Learning Deep Features for Discriminative Localization (2016), section 2;
Selvaraju et al., Grad-CAM (2017), section 3, equations 1 and 2.
"""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.decode import probe_video
from s3d.data.frame_source import FrameSource, open_source
from s3d.data.loader import normalise
from s3d.data.paths import AnyPath
from s3d.data.sample import latest_start
from s3d.data.video_info import FLOW_CHANNELS, Times, VideoInfo
from s3d.errors import InputError
from s3d.explore.analyse.partners import number_class
from s3d.files import show_path
from s3d.infer.recognizer import Recognizer
from s3d.infer.windows import Windows, plan_windows, read_windows, with_true_length
from s3d.models.blocks import BLOCKS
from s3d.models.network import Network, block_number

LAST = BLOCKS[-1]
MOST_ASKED = 10
"""Windows that are asked for the class, where none is named."""
LEAST_WEIGHT = 1e-3

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Activation:
    """Hold where and when a network looks in a video, for one class.

    Attributes:
        path: The video.
        info: Of it, as the network looked at it.
        spec: The clip that a window is.
        label: The class.
        at: The block.
        start_seconds: (W,) when each window begins.
        maps: (W, T, H, W) on the block's grid, in a file that is gone with them: of a window's map
            the sum is the logit without the bias where the block is the last.
        scores: (W,) of the class in each window, 0 to 1.
    """

    path: str
    info: VideoInfo
    spec: ClipSpec
    label: str
    at: str
    start_seconds: Times
    maps: Values
    scores: Values

    @property
    def score(self) -> float:
        """Return the score of the class, the mean over the windows."""
        return float(self.scores.mean())

    @property
    def is_exact(self) -> bool:
        """Return whether a map's sum is the logit without the bias."""
        return self.at == LAST

    @property
    def span(self) -> tuple[float, float]:
        """Return when the first window begins and the last one ends, in seconds of the video."""
        end = float(self.start_seconds[-1]) + self.spec.span_seconds
        return float(self.start_seconds[0]), min(end, self.info.duration_seconds)

    @property
    def peak(self) -> float:
        """Return the highest value of the maps, never below 0."""
        return max(0.0, *(float(window.max()) for window in self.maps))

    def moment(self, seconds: float) -> Values:
        """Return the map (H, W) of a moment: linear in time between the middles of the steps.

        Where windows overlap it is the mean of theirs, each weighing less the nearer its end is.

        Args:
            seconds: Of the video; outside of the windows it is their first or last moment.
        """
        return np.asarray(self._mean_at(seconds, self._map_at), dtype=np.float32)

    def strength(self, seconds: float) -> float:
        """Return the sum of the map of a moment."""
        return float(self.moment(seconds).sum())

    def score_at(self, seconds: float) -> float:
        """Return the class's score at a moment, of the windows that hold it."""
        return float(self._mean_at(seconds, lambda window, _: self.scores[window]))

    def _mean_at(self, seconds: float, value: Any) -> Any:
        span = self.spec.span_seconds
        first, last = float(self.start_seconds[0]), float(self.start_seconds[-1])
        time = min(max(seconds, first), last + span)
        high = int(np.searchsorted(self.start_seconds, time, side="right"))
        low = min(int(np.searchsorted(self.start_seconds, time - span)), high - 1)
        total, weights = 0.0, 0.0
        for window in range(low, high):
            share = (time - float(self.start_seconds[window])) / span
            weight = max(LEAST_WEIGHT, 1 - abs(2 * share - 1))
            total, weights = total + weight * value(window, share), weights + weight
        return total / weights

    def _map_at(self, window: int, share: float) -> Values:
        maps = self.maps[window]
        steps = len(maps)
        place = min(max(share * steps - 0.5, 0.0), steps - 1.0)
        low = min(int(place), max(steps - 2, 0))
        part = np.float32(place - low)
        return np.asarray((1 - part) * maps[low] + part * maps[min(low + 1, steps - 1)])

    def to_rows(self) -> list[dict[str, float]]:
        """Return a row for each frame that the network saw: when, its activation and score."""
        begin, end = self.span
        count = max(1, round((end - begin) * self.spec.rate_fps))
        times = begin + np.arange(count) / self.spec.rate_fps
        middle = 0.5 / self.spec.rate_fps
        return [
            {
                "seconds": round(float(time), 4),
                "activation": float(f"{self.strength(time + middle):.6g}"),
                "score": round(self.score_at(time + middle), 4),
            }
            for time in times
        ]

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain JSON values, the maps left out."""
        return {
            "video": self.path,
            "class": self.label,
            "score": round(self.score, 4),
            "block": self.at,
            "method": "class activation map" if self.is_exact else "Grad-CAM",
            "sums_to": "the logit without the bias" if self.is_exact else None,
            "grid": list(self.maps.shape[1:]),
            "windows": [
                {
                    "start_seconds": round(float(start), 4),
                    "score": round(float(score), 4),
                    "sum": float(f"{window.sum():.6g}"),
                }
                for start, score, window in zip(
                    self.start_seconds, self.scores, self.maps, strict=True
                )
            ],
        }


def activation_of(
    recognizer: Recognizer,
    video: AnyPath,
    label: str | None = None,
    at: str = LAST,
    start_seconds: float | None = None,
) -> Activation:
    """Return where and when a network looks in a video, for a class; see the module's text.

    Args:
        recognizer: The model.
        video: A local file of any length; also for a network of flow, which is computed.
        label: The class; None is the likeliest.
        at: The block, one of `s3d.models.blocks.BLOCKS`.
        start_seconds: Of one window; None lays windows over the whole video.

    Raises:
        InputError: The video cannot be read, the model has no classes or not that one, or there is
            no such block.
    """
    recognizer.check_has_classes()
    block_number(at)
    number = None if label is None else number_class(label, recognizer.labels)
    if probe_video(video).channels == FLOW_CHANNELS:
        shown = show_path(video)
        raise InputError(f"{shown}: holds optical flow, no picture to draw on. Give the video.")
    device = next(recognizer.network.parameters()).device
    source = open_source(video, recognizer.spec, device.type)

    def whole(info: VideoInfo) -> Activation:
        windows = _lay_windows(info, recognizer.spec, start_seconds)
        chosen = _likeliest(recognizer, windows, source) if number is None else number
        maps, scores = _look(recognizer, windows, source, (chosen, at))
        name = recognizer.labels[chosen]
        starts = windows.start_seconds
        return Activation(os.fspath(video), info, recognizer.spec, name, at, starts, maps, scores)

    return with_true_length(source.info, whole)


def _lay_windows(info: VideoInfo, spec: ClipSpec, start_seconds: float | None) -> Windows:
    windows = plan_windows(info, spec, spec.span_seconds)
    if start_seconds is None:
        return windows
    latest = latest_start(info, spec)
    if not (math.isfinite(start_seconds) and 0 <= start_seconds < info.duration_seconds):
        raise InputError(
            f"start is {start_seconds:g} s; {show_path(info.path)} has 0 to "
            f"{info.duration_seconds:.4g} s, and a window of {spec.span_seconds:.3g} s."
        )
    begin = np.array([min(start_seconds, latest)])
    end = np.minimum(begin + spec.span_seconds, info.duration_seconds)
    return replace(windows, start_seconds=begin, end_seconds=end)


def _likeliest(recognizer: Recognizer, windows: Windows, source: FrameSource) -> int:
    count = len(windows.start_seconds)
    few = np.unique(np.linspace(0, count - 1, min(count, MOST_ASKED)).round().astype(int))
    starts, ends = windows.start_seconds[few], windows.end_seconds[few]
    asked = replace(windows, start_seconds=starts, end_seconds=ends)
    # By the modules, as the maps are: for a few windows no engine is worth being measured.
    total = np.zeros(len(recognizer.labels))
    for frames in read_windows(asked, source):
        clips = normalise(torch.from_numpy(frames)[None], windows.spec)
        total += recognizer.score_clips(clips, check=False)[0]
    return int(total.argmax())


def _look(
    recognizer: Recognizer, windows: Windows, source: FrameSource, what: tuple[int, str]
) -> tuple[Values, Values]:
    """Return the maps of all windows and the class's scores; memory holds one window's."""
    weight = next(recognizer.network.parameters())
    scores = np.empty(len(windows.start_seconds), np.float32)
    kept: Values | None = None
    for place, frames in enumerate(read_windows(windows, source)):
        whole = torch.from_numpy(np.ascontiguousarray(frames))[None].to(weight.device)
        clips = normalise(whole, windows.spec).to(weight)
        maps, logits = class_maps(recognizer.network, clips, *what)
        if kept is None:
            # In a file, so that hours of video need no more memory than seconds.
            with tempfile.TemporaryFile() as file:
                shape = (len(scores), *maps.shape[1:])
                kept = np.memmap(file, np.float32, "w+", shape=shape)
        kept[place] = maps[0].float().cpu().numpy()
        scores[place] = float(logits[0].softmax(0)[what[0]])
    assert kept is not None
    return kept, scores


def class_maps(
    network: Network, clips: Tensor, number: int, at: str = LAST
) -> tuple[Tensor, Tensor]:
    """Return where a class's logit comes from; see the module's text.

    Args:
        network: In eval mode.
        clips: (B, C, T, H, W), as the network takes them.
        number: The class.
        at: One of `s3d.models.blocks.BLOCKS`.

    Returns:
        Maps (B, T, H, W) on the block's grid; and the logits (B, K).

    Raises:
        InputError: There is no such block, or the shape cannot be used.
    """
    block_number(at)
    with torch.no_grad():
        features = network.features(clips, at=at)
    features = features.detach().requires_grad_()
    with torch.enable_grad():
        logits = network.classify(features, after=at)
        (slopes,) = torch.autograd.grad(logits[:, number].sum(), features)
    features = features.detach()
    if at == LAST:
        return (features * slopes).sum(1), logits.detach()
    weights = slopes.mean((2, 3, 4), keepdim=True)
    return (features * weights).sum(1).relu(), logits.detach()
