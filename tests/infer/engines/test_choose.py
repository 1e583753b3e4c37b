"""Which engine is taken: the one that is named, or the one remembered, or the fastest."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.infer.engines import choose as choose_module
from s3d.infer.engines import engine as engine_module
from s3d.infer.engines.choose import (
    MOST_REMEMBERED,
    choice_file,
    choose_engine,
    fastest_equal,
    read_choice,
    remember_choice,
)
from s3d.infer.engines.measure import EngineFigures
from s3d.infer.recognizer import Recognizer
from s3d.models.model_file import ModelFile
from s3d.models.network import Network
from s3d.models.style import PAPER, SLIM
from tests.models.published.publish import make_network

SPEC = ClipSpec(frames=32, size_px=(32, 32), resize_px=(32, 32))


class Measure:
    """Stands for `measure_engines`: gives what it is told, and notes what it was asked."""

    def __init__(self, **latencies_ms: float) -> None:
        self.figures = [EngineFigures(name, latency_ms=ms) for name, ms in latencies_ms.items()]
        self.specs: list[ClipSpec] = []
        self.names: list[Sequence[str]] = []

    def __call__(
        self, network: Network, spec: ClipSpec, names: Sequence[str], **_: Any
    ) -> list[EngineFigures]:
        self.specs.append(spec)
        self.names.append(names)
        return self.figures


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("S3D_ENGINE")
    return tmp_path / "home"


@pytest.fixture
def network() -> Network:
    return make_network("sgggggggggg", PAPER)


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Measure:
    fake = Measure(torch=5.0, eager=9.0)
    monkeypatch.setattr(choose_module, "measure_engines", fake)
    return fake


def test_the_fastest_is_measured_once_and_remembered(
    network: Network, measure: Measure, home: Path
) -> None:
    told: list[str] = []
    assert choose_engine(network, SPEC, tell=told.append).name == "torch"
    assert told == ["measuring once which engine is the fastest here"]
    (file,) = (home / "engines").iterdir()
    assert file == choice_file(network, SPEC)
    assert json.loads(file.read_text()) == {
        "engine": "torch",
        "network": "s3d_g",
        "latency_ms": {"torch": 5.0, "eager": 9.0},
    }
    measure.figures = [EngineFigures("eager", latency_ms=1.0)]
    assert choose_engine(network, SPEC, "auto", told.append).name == "torch"
    assert (len(told), len(measure.specs)) == (1, 1)


def test_it_is_measured_by_a_short_clip_of_the_same_size(
    network: Network, measure: Measure
) -> None:
    choose_engine(network, SPEC)
    (spec,) = measure.specs
    assert (spec.frames, spec.size_px) == (16, SPEC.size_px)
    assert list(measure.names[0]) == engine_module.usable_engines("cpu")


@pytest.mark.parametrize(
    ("figures", "wanted"),
    [
        ([("openvino", 9.0, 0.0, None), ("torch", 5.0, 1e-7, None)], "torch"),
        ([("openvino", 1.0, 2e-4, None), ("torch", 5.0, 1e-7, None)], "torch"),
        ([("openvino", 0.0, 0.0, "broken"), ("torch", 5.0, 0.0, None)], "torch"),
        ([("half", 1.0, 1e-3, None), ("torch", 5.0, 0.0, None)], "half"),
        ([("half", 1.0, 3e-2, None), ("eager", 5.0, 0.0, None)], "eager"),
        ([("torch", 1.0, float("nan"), None)], "eager"),
        ([], "eager"),
    ],
)
def test_a_slower_failing_or_unequal_engine_is_not_taken(
    figures: list[tuple[str, float, float, str | None]], wanted: str
) -> None:
    found = [
        EngineFigures(name, latency_ms=ms, difference=difference, error=error)
        for name, ms, difference, error in figures
    ]
    assert fastest_equal(found) == wanted


def test_an_engine_that_is_unequal_is_neither_taken_nor_noted(
    network: Network, measure: Measure
) -> None:
    measure.figures = [
        EngineFigures("torch", latency_ms=1.0, difference=0.1),
        EngineFigures("eager", latency_ms=5.0),
    ]
    assert choose_engine(network, SPEC).name == "eager"
    assert json.loads(choice_file(network, SPEC).read_text())["latency_ms"] == {"eager": 5.0}


def test_what_is_named_is_taken_and_nothing_measured(network: Network, measure: Measure) -> None:
    assert choose_engine(network, SPEC, "eager").name == "eager"
    assert not measure.specs


def test_the_variable_names_an_engine(
    network: Network, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3D_ENGINE", "eager")
    assert choose_engine(network, SPEC).name == "eager"
    assert choose_engine(network, SPEC, "auto").name == "eager"
    assert choose_engine(network, SPEC, "torch").name == "torch"
    assert not measure.specs
    for value in ("", "auto"):
        monkeypatch.setenv("S3D_ENGINE", value)
        assert choose_engine(network, SPEC).name == "torch"
    assert len(measure.specs) == 1


def test_a_wrong_variable_is_named(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3D_ENGINE", "opnvino")
    message = r"^the variable S3D_ENGINE: unknown engine 'opnvino'\. Did you mean openvino\?"
    with pytest.raises(InputError, match=message):
        choose_engine(network, SPEC)
    monkeypatch.setenv("S3D_ENGINE", "half")
    with pytest.raises(InputError, match="the variable S3D_ENGINE: engine half runs on cuda"):
        choose_engine(network, SPEC)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'"torch"', b'{"engine": 3}', b"\xff", b"[" * 100_000]
)
def test_a_damaged_file_is_measured_anew_and_mended(
    network: Network, measure: Measure, content: bytes
) -> None:
    path = choice_file(network, SPEC)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert read_choice(network, SPEC) is None
    assert choose_engine(network, SPEC).name == "torch"
    assert read_choice(network, SPEC) == "torch"


def test_an_engine_that_is_no_longer_installed_is_measured_anew(
    network: Network, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember_choice(network, SPEC, [EngineFigures("openvino", latency_ms=1.0)])
    monkeypatch.setattr(engine_module, "find_spec", lambda name: None)
    assert read_choice(network, SPEC) == "openvino"
    assert choose_engine(network, SPEC).name == "torch"
    assert read_choice(network, SPEC) == "torch"


def test_where_nothing_can_be_written_it_works_all_the_same(
    network: Network, measure: Measure, home: Path
) -> None:
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file, not a folder")
    assert choose_engine(network, SPEC).name == "torch"
    assert choose_engine(network, SPEC).name == "torch"
    assert len(measure.specs) == 2
    assert remember_choice(network, SPEC, measure.figures) is None


def test_a_choice_is_for_one_kind_of_network_clip_and_machine(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(word: str = "sgggggggggg", style: Any = PAPER, **options: Any) -> Network:
        return make_network(word, style, **options)

    files = {
        choice_file(network, SPEC),
        choice_file(other("sssssssssss"), SPEC),
        choice_file(other(style=SLIM), SPEC),
        choice_file(other(width=0.1), SPEC),
        choice_file(other(classes=6), SPEC),
        choice_file(network, ClipSpec(frames=8, size_px=(32, 32))),
        choice_file(network, ClipSpec(frames=32, size_px=(32, 33))),
    }
    torch.set_num_threads(before := torch.get_num_threads() + 1)
    files.add(choice_file(network, SPEC))
    torch.set_num_threads(before - 1)
    monkeypatch.setattr(choose_module, "_processor", lambda device: "another")
    files.add(choice_file(network, SPEC))
    monkeypatch.setattr(choose_module, "_versions", lambda: ["torch 99"])
    files.add(choice_file(network, SPEC))
    assert len(files) == 10


def test_weights_and_longer_clips_share_a_choice(network: Network) -> None:
    torch.manual_seed(7)
    fresh = make_network("sgggggggggg", PAPER)
    with torch.no_grad():
        fresh.conv2b.weight.add_(1)
    assert choice_file(fresh, ClipSpec(frames=64, size_px=(32, 32))) == choice_file(network, SPEC)


def test_threads_measure_once(network: Network, measure: Measure) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(choose_engine(network, SPEC).name))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["torch"] * 4
    assert len(measure.specs) == 1


def test_the_oldest_choices_are_forgotten(network: Network, home: Path) -> None:
    folder = home / "engines"
    folder.mkdir(parents=True)
    for number in range(MOST_REMEMBERED):
        path = folder / f"{number:024d}.json"
        path.write_text("{}")
        os.utime(path, (1000 + number, 1000 + number))
    remember_choice(network, SPEC, [EngineFigures("eager", latency_ms=1.0)])
    left = {path.name for path in folder.iterdir()}
    assert len(left) == MOST_REMEMBERED
    assert f"{0:024d}.json" not in left
    assert f"{1:024d}.json" in left
    assert choice_file(network, SPEC).name in left


def test_a_recognizer_asks_when_it_first_scores(network: Network, measure: Measure) -> None:
    recognizer = Recognizer(ModelFile(network, tuple("abcde"), SPEC))
    assert not measure.specs
    assert recognizer.engine.name == "torch"
    assert recognizer.engine is recognizer.engine
    assert recognizer.use("eager").engine.name == "eager"
    assert recognizer.use().engine.name == "torch"
    assert len(measure.specs) == 1
    with pytest.raises(InputError, match=r"unknown engine 'ager'\. Did you mean eager"):
        recognizer.use("ager")
