"""Recognise actions in video: the S3D family, from a folder of clips to labels.

    import s3d
    s3d.load("model.safetensors").predict("video.mp4").top(3)
    network = s3d.build("s3d_g", num_classes=400)

Names are imported when first used, so that `import s3d` and `s3d --help` do not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "ActionDetector": "s3d.detect.run.action_detector",
    "ClipSpec": "s3d.clip",
    "InputError": "s3d.errors",
    "NETWORKS": "s3d.models.family",
    "Network": "s3d.models.network",
    "Style": "s3d.models.style",
    "Prediction": "s3d.infer.recognizer",
    "Hit": "s3d.infer.similar.rank",
    "PersonTube": "s3d.detect.run.action_detector",
    "Recognizer": "s3d.infer.recognizer",
    "Segment": "s3d.infer.segments",
    "SegmentRule": "s3d.infer.segments",
    "Timeline": "s3d.infer.timeline",
    "TrainConfig": "s3d.train.config",
    "TwoStreams": "s3d.infer.streams",
    "VideoFeatures": "s3d.infer.features",
    "build": "s3d.models.network",
    "count_cost": "s3d.models.cost",
    "list_videos": "s3d.data.videos",
    "load": "s3d.infer.recognizer",
    "load_detector": "s3d.detect.run.action_detector",
    "save_model": "s3d.models.model_file",
    "similar": "s3d.infer.similar.similar",
}

if TYPE_CHECKING:
    from s3d.clip import ClipSpec
    from s3d.data.videos import list_videos
    from s3d.detect.run.action_detector import ActionDetector, PersonTube, load_detector
    from s3d.errors import InputError
    from s3d.infer.features import VideoFeatures
    from s3d.infer.recognizer import Prediction, Recognizer, load
    from s3d.infer.segments import Segment, SegmentRule
    from s3d.infer.similar.rank import Hit
    from s3d.infer.similar.similar import similar
    from s3d.infer.streams import TwoStreams
    from s3d.infer.timeline import Timeline
    from s3d.models.cost import count_cost
    from s3d.models.family import NETWORKS
    from s3d.models.model_file import save_model
    from s3d.models.network import Network, build
    from s3d.models.style import Style
    from s3d.train.config import TrainConfig

__all__ = [
    "NETWORKS",
    "ActionDetector",
    "ClipSpec",
    "Hit",
    "InputError",
    "Network",
    "PersonTube",
    "Prediction",
    "Recognizer",
    "Segment",
    "SegmentRule",
    "Style",
    "Timeline",
    "TrainConfig",
    "TwoStreams",
    "VideoFeatures",
    "build",
    "count_cost",
    "list_videos",
    "load",
    "load_detector",
    "save_model",
    "similar",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 's3d' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
