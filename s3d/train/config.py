"""What a training run can be told: one frozen dataclass, whose fields are the command's options.

"auto" (None in Python) leaves a choice to `s3d.train.plan`, which looks at the data and the machine
and says what it chose and why.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from s3d.errors import InputError

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "step")
DEVICES = ("auto", "cpu", "cuda")
AUTO = "auto"
NONE = "none"
"""Of --init: random weights; of --freeze-until: all blocks are trained."""


def _option(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True)
class TrainConfig:
    """Describe a training run.

    Attributes:
        data: Folder with one sub-folder a class, CSV with path, label [, group, split], or data set
            as it is distributed, "ucf101:DIR?split=1" (`s3d.data.videos.list_videos`).
        out: The run's folder. An interrupted run in it goes on.
    """

    data: str = _option(
        "", "folder DIR/<class>/*.*, CSV with path,label[,group][,split], or data set NAME:DIR"
    )
    out: str = _option("", "folder of the run; an interrupted run in it goes on", metavar="RUN")

    init: str | None = _option(
        None,
        "start from: a model file, named weights or image weights; none: at random; auto: a trunk "
        "that comes with s3d and fits",
        metavar="MODEL",
    )
    freeze_until: str | None = _option(
        None,
        "blocks up to and with this one stay as they are; none: all are trained",
        metavar="BLOCK",
    )
    views: int | None = _option(
        None, "different clips of a video that training sees; 0: new ones at every step"
    )

    network: str | None = _option(None, "network or 11-letter word (`s3d list`)")
    style: str | None = _option(None, "convention: paper, slim, torchvision, mil_nce")
    width: float | None = _option(None, "multiplier of the channels")

    flow: str | None = _option(
        None,
        "train on optical flow, kept in this folder; what is missing is computed",
        metavar="DIR",
    )
    flow_method: str | None = _option(
        None, "tvl1, the paper's, or dis, faster and less exact", choices=("tvl1", "dis")
    )
    flow_side: int | None = _option(None, "short side in px of the frames that flow is computed on")
    flow_px: float | None = _option(None, "flow in px that the network sees as 1 (the paper: 20)")

    frames: int | None = _option(None, "frames in a clip")
    rate_fps: float | None = _option(None, "frames a second the clip is sampled at")
    size: int | None = _option(None, "height and width of the clip in px, from 32")
    resize: str | None = _option(None, "keep (aspect) or squash", choices=("keep", "squash"))

    epochs: int | None = _option(None, "times each clip is seen")
    steps: int | None = _option(None, "steps in all, in the place of epochs")
    batch: int = _option(32, "clips in a step, of all processes together")
    accumulate: int = _option(1, "parts in which a step is done, to save memory; norms see a part")
    sync_norms: bool = _option(False, "norms see the batch of all processes (torchrun)")
    lr: float | None = _option(None, "highest learning rate (2e-3 for adamw, 0.1 for sgd)")
    optimizer: str = _option("adamw", "adamw or sgd (momentum 0.9)", choices=OPTIMIZERS)
    schedule: str = _option("cosine", "cosine, or step (x0.1 now and then)", choices=SCHEDULES)
    decay_at: str = _option(
        "0.75,0.875", "shares of the steps after which schedule step takes a tenth", metavar="A,B"
    )
    warmup: float = _option(0.05, "share of the steps in which the learning rate rises")
    weight_decay: float = _option(0.05, "weight decay of kernels")
    dropout: float | None = _option(None, "share dropped before the classifier (style's default)")
    label_smoothing: float = _option(0.1, "share of a label spread over all classes")
    mixup: float = _option(0.0, "strength (alpha) of mixing pairs of clips; 0 is off")
    ema: float = _option(0.995, "decay of the averaged weights that are kept; 0 is off")
    norm_decay: float = _option(0.9, "decay of the batch norms' statistics (the paper: 0.999)")
    jitter: float = _option(0.2, "largest change of brightness and contrast")
    flip: bool = _option(False, "mirror half of the clips (left becomes right!)")
    balance: bool = _option(True, "show every class equally often")

    keep: str = _option(
        "best", "best: the weights that validate best, or last", choices=("best", "last")
    )
    val_share: float = _option(0.2, "share held out for validation, by whole sources")
    quarantine: str | None = _option(
        None, "leave out the files that this list of `s3d check` names", metavar="FILE"
    )
    max_failed: float = _option(0.1, "stop if a larger share of the files cannot be read")
    cache_gb: float = _option(
        8.0, "keep decoded frames, or frozen features, if they fit this many GB"
    )
    seed: int = _option(0, "decides everything random")
    device: str = _option("auto", "auto, cpu or cuda", choices=DEVICES)
    threads: int | None = _option(None, "threads that decode (the machine's cores)")
    checkpoint_seconds: float = _option(20.0, "time between saved states, at most")

    def __post_init__(self) -> None:
        for name in ("init", "freeze_until"):
            if getattr(self, name) == AUTO:
                object.__setattr__(self, name, None)  # One thing to be, however it is said.
        for option in fields(self):
            _check_kind(option.name, str(option.type), getattr(self, option.name))
        for name, low, high in _RANGES:
            check_range(name, getattr(self, name), low, high)
        for option in fields(self):
            choices = option.metadata.get("choices")
            value = getattr(self, option.name)
            if choices and value is not None and value not in choices:
                raise InputError(f"{option.name} is {value!r}; it is one of {', '.join(choices)}.")
        if self.accumulate > self.batch:
            raise InputError(
                f"--accumulate {self.accumulate} parts of --batch {self.batch} leave parts without "
                f"a clip; at most {self.batch} can be had."
            )
        if self.steps is not None and self.epochs is not None:
            raise InputError("--steps and --epochs say the same thing. Leave one of them out.")
        read_shares(self.decay_at)
        if self.frozen_block is not None and self.init == NONE:
            raise refuse_freezing(self.frozen_block)

    @property
    def decay_shares(self) -> tuple[float, ...]:
        """Return the shares of the steps after which the schedule "step" takes a tenth."""
        return read_shares(self.decay_at)

    @property
    def frozen_block(self) -> str | None:
        """Return the last block that is asked to stay as it is; None where none is named."""
        return None if self.freeze_until == NONE else self.freeze_until

    def to_json(self) -> dict[str, Any]:
        """Return the options as plain JSON values."""
        return asdict(self)


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("views", 0, 10_000),
    ("width", 0.01, 8),
    ("flow_side", 16, 4096),
    ("flow_px", 0.01, 1000),
    ("frames", 1, 4096),
    ("rate_fps", 0.01, 1000),
    ("size", 32, 2048),
    ("epochs", 1, 1_000_000),
    ("steps", 1, 1_000_000_000),
    ("batch", 1, 65536),
    ("accumulate", 1, 65536),
    ("lr", 1e-9, 1e3),
    ("warmup", 0, 1),
    ("weight_decay", 0, 10),
    ("dropout", 0, 0.99),
    ("label_smoothing", 0, 0.99),
    ("mixup", 0, 100),
    ("ema", 0, 0.999999),
    ("norm_decay", 0, 0.999999),
    ("jitter", 0, 1),
    ("val_share", 0, 0.9),
    ("max_failed", 0, 1),
    ("cache_gb", 0, 1e6),
    ("seed", 0, 2**31 - 1),
    ("threads", 1, 1024),
    ("checkpoint_seconds", 0, 1e6),
)


_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "bool": (bool, "it is True or False"),
    "int": (int, "it needs a whole number"),
    "float": ((int, float), "it needs a number"),
    "str": (str, "it needs a word"),
}


def read_shares(text: str) -> tuple[float, ...]:
    """Return the shares of a text such as 0.75,0.875.

    Raises:
        InputError: They are not numbers between 0 and 1.
    """
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    # NaN fails the comparison.
    if not shares or not all(0 < share < 1 for share in shares):
        raise InputError(
            f"--decay-at is {text!r}; it needs shares of the steps between 0 and 1, as in "
            "0.75,0.875."
        )
    return shares


def refuse_freezing(block: str) -> InputError:
    """Return what is said where blocks of random weights were to stay as they are."""
    return InputError(
        f"--freeze-until {block} keeps weights that nothing has trained; name a model to start "
        "from with --init."
    )


def _check_kind(name: str, declared: str, value: object) -> None:
    kind = declared.removesuffix(" | None")
    types, need = _KINDS[kind]
    fits = isinstance(value, types) and (kind == "bool" or not isinstance(value, bool))
    if not fits and not (value is None and kind != declared):
        raise InputError(f"--{name.replace('_', '-')} is {value!r}; {need}.")


def check_range(name: str, value: float | None, low: float, high: float) -> None:
    """Check an option's number; None is one that was not given.

    Raises:
        InputError: It is no finite number from `low` to `high`.
    """
    if value is None:
        return
    if not math.isfinite(value) or not low <= value <= high:
        option = name.replace("_", "-")
        raise InputError(f"--{option} is {value!r}; it needs a number from {low:g} to {high:g}.")
