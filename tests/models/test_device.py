"""Where a network computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from s3d.errors import InputError
from s3d.models.device import choose_device, name_processor


@pytest.mark.parametrize(
    ("name", "has_gpu", "found"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cpu", True, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_a_gpu_is_used_where_there_is_one(
    name: str, has_gpu: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert choose_device(name) == found


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="PyTorch sees no GPU here"):
        choose_device("cuda")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown device 'tpu'\. Known: auto, cpu, cuda"):
        choose_device("tpu")


def test_a_processor_has_the_name_that_the_system_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "processor\t: 0\nmodel name\t: Some CPU: 2\nmodel name\t: Another\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert name_processor("cpu") == "Some CPU: 2"


def test_a_processor_has_a_name_where_the_system_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", fail)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert name_processor("cpu") == "riscv64"


def test_a_gpu_has_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    assert name_processor("cuda") == "Some GPU"
