"""Options are checked once, wherever they come from."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from s3d.cli.entry import make_parser
from s3d.cli.parser import subparsers
from s3d.errors import InputError
from s3d.train.config import TrainConfig


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("width", float("nan"), r"--width is nan; it needs a number from 0.01 to 8"),
        ("lr", -1.0, r"--lr is -1.0"),
        ("lr", float("inf"), r"--lr is inf"),
        ("batch", 0, r"--batch is 0"),
        ("size", 31, r"--size is 31; it needs a number from 32"),
        ("val_share", 1.0, r"--val-share is 1.0"),
        ("seed", -1, r"--seed is -1"),
        ("epochs", 0, r"--epochs is 0"),
        ("rate_fps", 0.0, r"--rate-fps is 0.0"),
        ("optimizer", "adam", r"optimizer is 'adam'; it is one of adamw, sgd"),
        ("schedule", "linear", r"schedule is 'linear'; it is one of cosine, step"),
        ("resize", "crop", r"resize is 'crop'; it is one of keep, squash"),
        ("device", "tpu", r"device is 'tpu'"),
        ("lr", "fast", r"--lr is 'fast'; it needs a number"),
        ("epochs", 1.5, r"--epochs is 1.5; it needs a whole number"),
        ("flip", 1, r"--flip is 1; it is True or False"),
        ("network", 7, r"--network is 7; it needs a word"),
        ("batch", None, r"--batch is None"),
    ],
)
def test_what_cannot_be_used_is_refused(option: str, value: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        TrainConfig(**{option: value})


def test_defaults_and_bounds_are_taken() -> None:
    TrainConfig()
    TrainConfig(lr=1, width=8, mixup=0, ema=0, val_share=0, warmup=1, epochs=1)


def test_every_field_is_an_option_of_the_command_with_its_default() -> None:
    parser = subparsers(make_parser())["train"]
    found = vars(parser.parse_args(["videos"]))
    for option in fields(TrainConfig):
        wanted = "videos" if option.name == "data" else option.default
        assert found[option.name] == wanted, option.name


def test_json_rebuilds_it() -> None:
    config = TrainConfig(data="a", out="b", network="s3d", lr=0.01, flip=True)
    assert TrainConfig(**config.to_json()) == config
