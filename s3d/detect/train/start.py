"""What a detector starts from: models of its streams, and weights of its image net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from s3d.detect.network.detector import Detector
from s3d.detect.network.detector_file import build_detector
from s3d.detect.network.image_weights import fill_backbone, read_backbone
from s3d.detect.train.config import DetectorConfig
from s3d.detect.train.run import DetectorRun
from s3d.models.model_file import ModelFile
from s3d.models.network import Network
from s3d.models.open import open_start


@dataclass(frozen=True, eq=False)
class Started:
    """Hold a detector as it starts.

    Attributes:
        detector: It.
        licence: Under which licences its first weights were published, and so what becomes of them.
    """

    detector: Detector
    licence: str


def read_starts(config: DetectorConfig) -> dict[str, ModelFile]:
    """Return the models that streams start from.

    Raises:
        InputError: There is none of that name, or it cannot be used.
    """
    return {
        name: open_start(init, config.network, config.width).model
        for name, init in config.inits.items()
    }


def start_detector(run: DetectorRun, starts: Mapping[str, ModelFile]) -> Started:
    """Return the detector, its streams and image net as they start.

    Args:
        run: Its plan, and the seed of what is fresh.
        starts: What `read_starts` gave; the networks change.

    Raises:
        InputError: The weights of the image net do not fit.
    """
    torch.manual_seed(run.config.seed)
    detector = build_detector(run.plan.streams, run.plan.shape, len(run.labels))
    licences = [start.licence for start in starts.values()]
    for name, start in starts.items():
        _fill_stream(detector, name, start.network)
    if run.config.image_init:
        assert detector.image is not None
        backbone = read_backbone(run.config.image_init)
        fill_backbone(detector.image, backbone)
        licences.append(backbone.licence)
    return Started(detector, ", ".join(dict.fromkeys(filter(None, licences))))


def _fill_stream(detector: Detector, name: str, network: Network) -> None:
    own = detector.streams[name]
    assert isinstance(own, Network)
    network.replace_head(1)
    if network.channels != own.channels:
        network.replace_input(own.channels)
    own.load_state_dict(network.state_dict())
