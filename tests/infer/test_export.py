"""A model as a file of another runtime: what it gives, what it says, and when it is not kept."""

from __future__ import annotations

import errno
import json
import os
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.infer.export import formats
from s3d.infer.export.export import change_clip, export_model
from s3d.infer.export.formats import FORMATS, find_format, name_format
from s3d.infer.export.parity import TOLERANCE
from s3d.infer.find_ranges import find_ranges
from s3d.infer.recognizer import Recognizer
from s3d.models.model_file import ModelFile
from s3d.models.network import build

SPEC = ClipSpec(frames=16, rate_fps=8, size_px=(32, 48), resize_px=(36, 50), std=(0.2, 0.3, 0.4))
FLOW = ClipSpec(
    frames=4, size_px=(32, 32), resize_px=(32, 32), mean=(0.5,) * 2, std=(0.1, 0.2), modality="flow"
)
LABELS = ("wave", 'jump "up" <&>', "grüße 手")
SUFFIX = {name: kind.suffix for name, kind in FORMATS.items()}


def make(
    word: str = "s3d", style: str = "paper", spec: ClipSpec = SPEC, labels: tuple[str, ...] = LABELS
) -> ModelFile:
    torch.manual_seed(0)
    network = build(word, num_classes=3, width=0.05, style=style, channels=spec.channels).eval()
    metrics = ({"metric": "top1", "value": 0.5, "protocol": "clip"},)
    return ModelFile(network, labels, spec, metrics, "somewhere", "CC-BY-4.0")


def has(name: str) -> None:
    for package in FORMATS[name].packages:
        pytest.importorskip(package, reason=f"export to {name} needs {package}")


def run_file(name: str, path: Path, frames: np.ndarray[Any, Any]) -> tuple[dict[str, Any], Any]:
    """Run a file by nothing but its runtime; return what it gives and what it says."""
    if name == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_outputs()]
        found = dict(zip(names, session.run(names, {"frames": frames}), strict=True))
        return found, json.loads(session.get_modelmeta().custom_metadata_map["s3d"])
    if name == "openvino":
        import openvino

        model = openvino.Core().read_model(str(path))
        run = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = {next(iter(key.get_names())): value for key, value in run(frames).items()}
        return found, json.loads(model.get_rt_info("s3d").astype(str))
    extra = {"s3d.json": ""}
    module = torch.export.load(path, extra_files=extra).module()
    found = {key: value.numpy() for key, value in module(torch.from_numpy(frames)).items()}
    return found, json.loads(extra["s3d.json"])


def draw(batch: int, frames: int, spec: ClipSpec = SPEC) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(1)
    shape = (batch, frames, *spec.size_px, spec.channels)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def check_file(name: str, path: Path, model: ModelFile, sizes: list[tuple[int, int]]) -> Any:
    """Check what a file gives for frames; return what it says."""
    for batch, length in sizes:
        frames = draw(batch, length, model.spec)
        found, about = run_file(name, path, frames)
        with torch.no_grad():
            wanted = model.network(normalise(torch.from_numpy(frames), model.spec))
        limit = TOLERANCE * float(wanted.norm())
        assert np.linalg.norm(found["logits"] - wanted.numpy()) < limit, (batch, length)
        if model.labels:
            np.testing.assert_allclose(found["scores"], wanted.softmax(1).numpy(), atol=1e-5)
        else:
            assert set(found) == {"logits"}
    return about


@pytest.mark.parametrize(
    "name", ["onnx", "openvino", pytest.param("torch", marks=pytest.mark.slow)]
)
def test_a_file_gives_what_the_network_gives_and_says_what_it_is(name: str, tmp_path: Path) -> None:
    has(name)
    model, path = make(), tmp_path / f"model{SUFFIX[name]}"
    exported = export_model(model, path)
    assert (exported.format, exported.bits) == (name, 32)
    assert exported.difference < TOLERANCE
    assert exported.open_axes == ("batch", "time")
    assert exported.least_frames == 9
    assert set(exported.files) == {str(file) for file in tmp_path.iterdir()}
    assert exported.size_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    about = check_file(name, path, model, [(1, 16), (4, 16), (1, 9), (2, 13), (1, 40)])
    assert about["labels"] == list(LABELS)
    assert ClipSpec.from_json(about["clip"]) == SPEC
    assert (about["source"], about["licence"]) == ("somewhere", "CC-BY-4.0")
    assert about["metrics"] == list(model.metrics)
    assert (about["network"], about["least_frames"], about["bits"]) == ("s3d", 9, 32)


@pytest.mark.parametrize(
    "name", ["onnx", "openvino", pytest.param("torch", marks=pytest.mark.slow)]
)
def test_where_padding_follows_from_the_length_time_is_fixed(name: str, tmp_path: Path) -> None:
    has(name)
    model = make("s3d_fast_g", "slim", replace(SPEC, frames=8))
    exported = export_model(model, tmp_path / f"m{SUFFIX[name]}")
    assert (exported.open_axes, exported.least_frames) == (("batch",), None)
    about = check_file(name, Path(exported.path), model, [(1, 8), (3, 8)])
    assert (about["open_axes"], about["least_frames"]) == (["batch"], None)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("word", "style"), [("s3d_g", "mil_nce"), ("i3d", "ibm"), ("s3d", "garden")]
)
def test_other_styles(name: str, word: str, style: str, tmp_path: Path) -> None:
    has(name)
    model = make(word, style)
    exported = export_model(model, tmp_path / f"m{SUFFIX[name]}")
    sizes = [(1, 16), (3, 16)] + ([(1, 21)] if exported.least_frames else [])
    check_file(name, Path(exported.path), model, sizes)


def test_an_embedding_has_logits_alone(tmp_path: Path) -> None:
    has("openvino")
    model = make("i2d", labels=())
    exported = export_model(model, tmp_path / "m.xml")
    assert exported.outputs == ("logits",)
    assert check_file("openvino", tmp_path / "m.xml", model, [(2, 16)])["labels"] == []


def test_a_model_of_flow(tmp_path: Path) -> None:
    has("onnx")
    model = make("s3d_fast", spec=FLOW)
    export_model(model, tmp_path / "m.onnx")
    about = check_file("onnx", tmp_path / "m.onnx", model, [(2, 4)])
    assert about["clip"]["modality"] == "flow"


def test_a_recognizer_exports_clips_of_another_length_and_size(tmp_path: Path) -> None:
    has("openvino")
    exported = Recognizer(make("i2d")).export(tmp_path / "m.xml", frames=12, size_px=64)
    assert (exported.spec.frames, exported.spec.size_px) == (12, (64, 64))
    frames = np.zeros((1, 12, 64, 64, 3), np.uint8)
    assert run_file("openvino", tmp_path / "m.xml", frames)[0]["scores"].shape == (1, 3)


def test_another_size_keeps_the_margin_in_proportion() -> None:
    spec = ClipSpec(size_px=(224, 224), resize_px=(256, 320))
    assert change_clip(spec, None, 112).resize_px == (128, 160)
    assert change_clip(spec, 7, None) == replace(spec, frames=7)


def test_a_model_with_ranges_goes_to_openvino_in_8_bits(tmp_path: Path) -> None:
    has("openvino")
    model = make("s3d_fast")
    clips = [torch.from_numpy(clip) for clip in draw(2, 16)]
    ranged = replace(model, ranges=find_ranges(model.network, SPEC, clips))
    exported = export_model(ranged, tmp_path / "m.xml")
    plain = export_model(model, tmp_path / "plain.xml")
    assert (exported.bits, plain.bits) == (8, 32)
    weights = [(tmp_path / file).stat().st_size for file in ("m.bin", "plain.bin")]
    assert weights[0] < 0.35 * weights[1]
    found, about = run_file("openvino", tmp_path / "m.xml", draw(1, 16))
    wanted = Recognizer(ranged).use("int8").logits_of(draw(1, 16))
    np.testing.assert_allclose(found["logits"], wanted, rtol=1e-3, atol=1e-4)
    assert about["bits"] == 8


def test_to_other_formats_it_goes_in_32_bits(tmp_path: Path) -> None:
    has("onnx")
    model = make("i2d")
    clips = [torch.from_numpy(clip) for clip in draw(1, 16)]
    ranged = replace(model, ranges=find_ranges(model.network, SPEC, clips))
    assert export_model(ranged, tmp_path / "m.onnx").bits == 32
    check_file("onnx", tmp_path / "m.onnx", model, [(1, 16)])


# What is not kept


def spoil(monkeypatch: pytest.MonkeyPatch, write: Callable[..., None]) -> None:
    kind = replace(FORMATS["openvino"], write=write)
    monkeypatch.setitem(formats.FORMATS, "openvino", kind)


def test_a_file_that_gives_something_else_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    has("openvino")
    good, old = FORMATS["openvino"].write, tmp_path / "m.xml"
    old.write_text("as it was")

    def write(content: Any, path: Path) -> None:
        *others, last = content.graph.nodes
        wrong = replace(last, bias=last.bias + 0.01)
        good(replace(content, graph=replace(content.graph, nodes=(*others, wrong))), path)

    spoil(monkeypatch, write)
    with pytest.raises(InputError, match=r"differs from the network by .* so it is not kept"):
        export_model(make("i2d"), old)
    assert old.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [old]


def test_values_that_are_no_numbers_are_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    has("openvino")
    good = FORMATS["openvino"].write

    def write(content: Any, path: Path) -> None:
        *others, last = content.graph.nodes
        wrong = replace(last, bias=last.bias * float("nan"))
        good(replace(content, graph=replace(content.graph, nodes=(*others, wrong))), path)

    spoil(monkeypatch, write)
    with pytest.raises(InputError, match="not kept"):
        export_model(make("i2d"), tmp_path / "m.xml")
    assert not list(tmp_path.iterdir())


def test_a_file_that_says_something_else_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    has("openvino")
    good = FORMATS["openvino"].write
    spoil(monkeypatch, lambda content, path: good(replace(content, about="{}"), path))
    with pytest.raises(InputError, match="not kept"):
        export_model(make("i2d"), tmp_path / "m.xml")


def test_a_file_that_cannot_be_run_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    has("openvino")
    good = FORMATS["openvino"].write

    def write(content: Any, path: Path) -> None:
        good(content, path)
        weights = path.with_suffix(".bin")
        weights.write_bytes(weights.read_bytes()[:1000])

    spoil(monkeypatch, write)
    with pytest.raises(InputError, match=r"m\.xml: cannot be written and run"):
        export_model(make("i2d"), tmp_path / "m.xml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_full_disk_leaves_nothing(name: str, tmp_path: Path) -> None:
    has(name)
    model = make("i2d", spec=replace(SPEC, frames=4))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(InputError, match="cannot be written") as caught:
            export_model(model, tmp_path / f"m{SUFFIX[name]}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert os.strerror(errno.EFBIG) in str(caught.value) or "Free some room" in str(caught.value)
    assert not list(tmp_path.iterdir())


# What is refused at once


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("onx", "unknown format 'onx'. Did you mean onnx?"),
        ("OpenVino", "Did you mean openvino?"),
        ("tflite", "Known: onnx, openvino, torch."),
    ],
)
def test_unknown_formats_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        find_format(name)
    assert message in str(caught.value)


def test_a_runtime_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxruntime" else 1)
    with pytest.raises(InputError, match=r"needs onnxruntime, not .* `pip install onnxruntime`"):
        find_format("onnx")


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        ("m.xml", "torch", r"m\.xml: a file of torch ends in \.pt2\. Name it .*m\.pt2"),
        ("m.pth", None, r"m\.pth: ends in no suffix of a format"),
        ("no/m.pt2", None, r"there is no folder .*no"),
        ("", "torch", "no file can be there"),
    ],
)
def test_places_that_do_not_fit_are_refused(
    path: str, to: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        export_model(make("i2d"), path, to)


def test_a_suffix_names_its_format() -> None:
    assert [name_format(Path(f"a.b{suffix}")) for suffix in SUFFIX.values()] == list(SUFFIX)


@pytest.mark.parametrize(("frames", "size_px"), [(0, None), (None, 20), (None, 0), (5000, None)])
def test_clips_that_cannot_be_are_refused(
    frames: int | None, size_px: int | None, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"clip is 20 x 20 px|ClipSpec (frames|size_px|resize_px)"):
        export_model(make("i2d"), tmp_path / "m.pt2", frames=frames, size_px=size_px)
    assert not list(tmp_path.iterdir())


def test_a_program_of_torch_holds_no_clip_and_names_no_folder_of_this_machine(
    tmp_path: Path,
) -> None:
    spec = replace(SPEC, frames=4, size_px=(256, 256), resize_px=(256, 256))
    model = make("i2d", spec=spec)
    exported = export_model(model, tmp_path / "m.pt2")
    weights = sum(4 * p.numel() for p in model.network.parameters())
    assert exported.size_bytes < weights + 1_000_000  # Two clips are 1.6 MB.
    assert str(Path(formats.__file__).parents[3]).encode() not in (tmp_path / "m.pt2").read_bytes()
