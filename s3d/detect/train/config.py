"""What training a detector can be told: one frozen dataclass, whose fields are the verb's options.

None leaves a choice to `s3d.detect.train.plan`, which looks at the data and the machine and says
what it chose and why.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from s3d.detect.network.shape import IMAGE_NETS
from s3d.errors import InputError
from s3d.train.config import check_range, read_shares

MODALITIES = ("rgb", "flow", "both")


def _option(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True)
class DetectorConfig:
    """Describe the training of a detector.

    Attributes:
        data: What `s3d.detect.annotations.read.read_annotated` takes.
        out: The run's folder. An interrupted run in it goes on.
    """

    data: str = _option("", "boxes: CSV, COCO video JSON, CVAT or Label Studio export, or NAME:DIR")
    out: str = _option("", "folder of the run; an interrupted run in it goes on", metavar="RUN")
    part: str | None = _option(None, "part of the data to learn from (train where there is one)")

    init: str | None = _option(
        None, "start from: a model file, named weights or image weights", metavar="MODEL"
    )
    flow_init: str | None = _option(None, "the same for the stream of flow", metavar="MODEL")
    image_init: str | None = _option(
        None, "weights of the image net: a file, or resnet50-imagenet", metavar="FILE"
    )
    network: str | None = _option(None, "network or 11-letter word (`s3d list`)")
    width: float | None = _option(None, "multiplier of the channels")
    image_net: str | None = _option(
        None, "proposes boxes on the key frame; none: the video's features do", choices=IMAGE_NETS
    )
    image_width: float = _option(1.0, "multiplier of the image net's channels")

    modality: str = _option("rgb", "rgb, flow, or both fused", choices=MODALITIES)
    flow: str | None = _option(None, "folder of flow; what is missing is computed", metavar="DIR")

    frames: int | None = _option(None, "frames looked at around a key frame (the paper: 20)")
    rate_fps: float | None = _option(None, "their rate (that of the videos)")
    size: str | None = _option(None, "HEIGHTxWIDTH in px of what is looked at", metavar="HxW")
    roi: int | None = _option(None, "places each way that are cut out of features for a box")
    proposals: int | None = _option(None, "boxes that are looked at in a frame")

    steps: int | None = _option(None, "steps in all")
    batch: int = _option(8, "key frames in a step, of all processes together")
    lr: float | None = _option(
        None, "highest learning rate (1e-3 for adamw, 0.1 / 32 a frame: sgd)"
    )
    optimizer: str = _option("adamw", "adamw or sgd (momentum 0.9)", choices=("adamw", "sgd"))
    schedule: str = _option("cosine", "cosine, or step (x0.1)", choices=("cosine", "step"))
    decay_at: str = _option(
        "0.75,0.875", "shares of the steps after which schedule step takes a tenth", metavar="A,B"
    )
    warmup: float = _option(0.05, "share of the steps in which the learning rate rises")
    weight_decay: float = _option(0.05, "weight decay of kernels")
    ema: float = _option(0.995, "decay of the averaged weights that are kept; 0 is off")
    norm_decay: float = _option(0.9, "decay of the batch norms' statistics")
    freeze_norms: bool | None = _option(None, "norms stay as they are (where weights are loaded)")
    sampled: int = _option(16, "boxes of a key frame that the head learns from")

    empty_share: float = _option(0.15, "share of key frames drawn among those without a box")
    jitter: float = _option(0.2, "largest change of brightness and contrast")
    zoom: float = _option(0.2, "largest share of the picture that is cut away")
    flip: bool = _option(False, "mirror half of the clips (left becomes right!)")
    balance: bool = _option(True, "draw every class equally often")

    max_failed: float = _option(0.1, "stop if a larger share of the files cannot be read")
    cache_gb: float = _option(8.0, "keep decoded frames if they fit this many GB")
    seed: int = _option(0, "decides everything random")
    device: str = _option("auto", "auto, cpu or cuda", choices=("auto", "cpu", "cuda"))
    threads: int | None = _option(None, "threads that decode (the machine's cores)")
    checkpoint_seconds: float = _option(20.0, "time between saved states, at most")

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            check_range(name, getattr(self, name), low, high)
        for option in fields(self):
            choices, value = option.metadata.get("choices"), getattr(self, option.name)
            if choices and value is not None and value not in choices:
                raise InputError(f"{option.name} is {value!r}; it is one of {', '.join(choices)}.")
        read_shares(self.decay_at)
        if self.size is not None:
            read_size(self.size)
        if self.image_init and self.image_net == "none":
            raise InputError("--image-init fills an image net; leave --image-net none out.")
        if self.flow_init and self.modality == "rgb":
            raise InputError("--flow-init is for a stream of flow; add --modality both or flow.")
        if self.flow and self.modality == "rgb":
            raise InputError("--flow is looked at with --modality flow or both. Add one of them.")
        if self.freeze_norms and not (self.inits or self.image_init):
            raise InputError(
                "--freeze-norms keeps the norms of weights that are loaded, and none are. Add "
                "--init or --image-init, or leave it out."
            )

    @property
    def decay_shares(self) -> tuple[float, ...]:
        """Return the shares of the steps after which the schedule "step" takes a tenth."""
        return read_shares(self.decay_at)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the streams."""
        return ("rgb", "flow") if self.modality == "both" else (self.modality,)

    @property
    def inits(self) -> dict[str, str]:
        """Return what each stream starts from, of those that start from something."""
        asked = {"rgb": self.init, "flow": self.flow_init}
        if self.modality == "flow":
            asked = {"flow": self.flow_init or self.init}
        return {name: init for name, init in asked.items() if init is not None}

    def to_json(self) -> dict[str, Any]:
        """Return the options as plain JSON values."""
        return asdict(self)


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("width", 0.01, 8.0),
    ("image_width", 0.05, 4.0),
    ("frames", 1, 512),
    ("rate_fps", 0.01, 1000.0),
    ("roi", 2, 64),
    ("proposals", 1, 2000),
    ("steps", 1, 1_000_000_000),
    ("batch", 1, 65536),
    ("lr", 1e-9, 1e3),
    ("warmup", 0.0, 1.0),
    ("weight_decay", 0.0, 10.0),
    ("ema", 0.0, 0.999999),
    ("norm_decay", 0.0, 0.999999),
    # A quarter of them is of somebody: of fewer than 4 nobody would be.
    ("sampled", 4, 4096),
    ("empty_share", 0.0, 0.9),
    ("jitter", 0.0, 1.0),
    ("zoom", 0.0, 0.8),
    ("max_failed", 0.0, 1.0),
    ("cache_gb", 0.0, 1e6),
    ("seed", 0, 2**31 - 1),
    ("threads", 1, 1024),
    ("checkpoint_seconds", 0.0, 1e6),
)


def read_size(text: str) -> tuple[int, int]:
    """Return (height, width) in px of a text such as 320x400.

    Raises:
        InputError: It is not one, or below 32 px or above 2048.
    """
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", str(text).strip().lower())
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(32 <= side <= 2048 for side in size):
        raise InputError(
            f"--size is {text!r}; it needs HEIGHTxWIDTH from 32 to 2048 px, as in 320x400."
        )
    return size
