"""A detector's file rebuilds it, and nothing else passes for one."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file

from s3d.detect.network.detector import Detector
from s3d.detect.network.detector_file import (
    DetectorFile,
    build_detector,
    load_detector,
    save_detector,
)
from s3d.errors import InputError
from s3d.infer.recognizer import load
from s3d.models.model_file import ModelFile, load_model, save_model
from s3d.models.network import build
from s3d.models.style import STYLES
from tests.detect.detecting import RGB_CLIP, SHAPE, SIZE_PX, make_clips, make_detector

LABELS = ("open", "Tür zu", "押す")
METRICS = ({"metric": "frame-mAP", "value": 0.5, "protocol": "IoU 0.5"},)
BOXES = [torch.tensor([[3.0, 4, 30, 40]]), torch.tensor([[31.0, 2, 60, 45], [5, 5, 19, 22]])]
Change = Callable[[dict[str, Any]], Any]


def answers(detector: Detector) -> list[torch.Tensor]:
    """Return all that a detector says of some clips."""
    pictures = torch.rand(2, 3, *SIZE_PX, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = detector.features(make_clips(detector))
        proposed = detector.propose_from(features, pictures if detector.image else None)
        return [*proposed, *detector.name_volumes(detector.cut(features, BOXES))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a good file's bytes."""
    path = tmp_path_factory.mktemp("whole") / "d.safetensors"
    save_detector(path, DetectorFile(make_detector(), LABELS, METRICS, "made here", "Apache-2.0"))
    return path.read_bytes()


def header_of(whole: bytes) -> dict[str, Any]:
    length = struct.unpack("<Q", whole[:8])[0]
    header: dict[str, Any] = json.loads(json.loads(whole[8 : 8 + length])["__metadata__"]["s3d"])
    return header


def write_file(path: Path, whole: bytes, header: object) -> Path:
    """Write a good file with another header of ours, given as text or as values."""
    length = struct.unpack("<Q", whole[:8])[0]
    outer = json.loads(whole[8 : 8 + length])
    outer["__metadata__"]["s3d"] = header if isinstance(header, str) else json.dumps(header)
    text = json.dumps(outer).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + length :])
    return path


def refused(path: Path, message: str) -> None:
    """Check that a file is refused in one line."""
    with pytest.raises(InputError, match=message) as caught:
        load_detector(path)
    line = str(caught.value)
    assert line.startswith(str(path))
    assert line.isprintable()
    assert len(line) < 1000


# What is written can be read


@pytest.mark.parametrize("style", STYLES)
def test_a_detector_survives_its_file(style: str, tmp_path: Path) -> None:
    detector = make_detector(style=style)
    model = DetectorFile(detector, LABELS, METRICS, "made here", "Apache-2.0")
    save_detector(tmp_path / "d.safetensors", model)
    found = load_detector(tmp_path / "d.safetensors")
    assert replace(found, detector=detector) == model
    assert not any(module.training for module in found.detector.modules())
    assert (found.detector.shape, found.detector.specs) == (detector.shape, detector.specs)
    assert found.detector.network.style == STYLES[style]
    for one, two in zip(answers(found.detector), answers(detector), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("image_net", ["resnet18", "resnet50"])
def test_so_does_one_with_an_image_net(image_net: str, tmp_path: Path) -> None:
    detector = make_detector(image_net=image_net, image_width=0.1, multi_label=True)
    save_detector(tmp_path / "d.safetensors", DetectorFile(detector, LABELS))
    found = load_detector(tmp_path / "d.safetensors").detector
    for one, two in zip(answers(found), answers(detector), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("modalities", [("flow",), ("rgb", "flow")])
def test_so_do_streams(modalities: tuple[str, ...], tmp_path: Path) -> None:
    detector = make_detector(modalities, (0.02, 0.1))
    save_detector(tmp_path / "d.safetensors", DetectorFile(detector, LABELS))
    found = load_detector(tmp_path / "d.safetensors").detector
    assert tuple(found.specs) == modalities
    for one, two in zip(answers(found), answers(detector), strict=True):
        assert torch.equal(one, two)


def test_a_loaded_detector_trains_as_the_saved_one(tmp_path: Path) -> None:
    detector = make_detector(("rgb", "flow"), style="slim", image_net="resnet18", image_width=0.1)
    save_detector(tmp_path / "d.safetensors", DetectorFile(detector, LABELS))
    found = load_detector(tmp_path / "d.safetensors").detector
    names = [name for name, p in detector.named_parameters() if p.requires_grad]
    assert [name for name, p in found.named_parameters() if p.requires_grad] == names
    assert {t.device.type for t in (*found.parameters(), *found.buffers())} == {"cpu"}
    found.train()
    answers(found)
    state = found.state_dict()
    counters = {k: int(v) for k, v in state.items() if "num_batches" in k}
    assert set(counters.values()) <= {0, 1}, "each norm counts for itself"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_loads_as_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    detector = make_detector().to(dtype)
    save_detector(tmp_path / "d.safetensors", DetectorFile(detector, LABELS))
    found = load_detector(tmp_path / "d.safetensors").detector.state_dict()
    for name, tensor in detector.state_dict().items():
        if tensor.is_floating_point():
            assert found[name].dtype == torch.float32
            assert torch.equal(found[name], tensor.float())


def test_the_header_says_all(whole: bytes) -> None:
    header = header_of(whole)
    assert header["format"] == "s3d-detector-1"
    assert header["labels"] == list(LABELS)
    assert header["metrics"] == list(METRICS)
    assert header["shape"] == json.loads(json.dumps(SHAPE.to_json()))
    assert list(header["streams"]) == ["rgb"]
    assert header["streams"]["rgb"]["clip"] == json.loads(json.dumps(RGB_CLIP.to_json()))


def test_labels_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    for labels, message in (
        (("a", "b"), "2 different labels for 3 classes"),
        (("a", "b", "a"), "2 different labels for 3 classes"),
        (("a", "b", "\ud800"), r"label '\\ud800' is not Unicode text; rename it"),
    ):
        with pytest.raises(InputError, match=message):
            save_detector(tmp_path / "d", DetectorFile(make_detector(), labels))
    assert not list(tmp_path.iterdir())


# What is not one is refused


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    refused(tmp_path / "gone", "no such detector. Make one with `s3d train-detector`")
    refused(tmp_path, "no such detector")


def test_a_cut_file_is_refused_wherever_it_is_cut(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path, "not a readable safetensors file .*Copy or train it again")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "d.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    refused(path, "not a readable safetensors file")
    torch.save({"a": Trap()}, path)
    refused(path, "not a readable safetensors file")
    assert not (tmp_path / "sprung").exists()


def test_other_files_of_tensors_are_told_from_detectors(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    refused(path, "a safetensors file, but not a detector of s3d. .*train-detector")
    network = build("i2d", num_classes=2, width=0.02)
    save_model(path, ModelFile(network, ("a", "b"), RGB_CLIP, (), "", ""))
    refused(path, "not a detector of s3d. .*what `s3d train` makes gives no boxes")


def test_a_detector_is_no_model(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    path.write_bytes(whole)
    for open_it in (load, load_model):
        with pytest.raises(InputError, match=r"a detector, which gives boxes\. Use `s3d detec"):
            open_it(path)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "[]", "null", '{"format": "s3d-model-1"}']
)
def test_a_header_that_is_none(text: str, whole: bytes, tmp_path: Path) -> None:
    refused(write_file(tmp_path / "d", whole, text), "not a detector of s3d")


def without(name: str) -> Change:
    return lambda header: header.pop(name)


def put(value: object, *names: str) -> Change:
    def change(header: dict[str, Any]) -> None:
        for name in names[:-1]:
            header = header[name]
        header[names[-1]] = value

    return change


DAMAGED: list[tuple[Change, str]] = [
    (without("source"), "header is damaged at 'source'"),
    (put(1, "more"), "header is damaged at 'more'"),
    (put(3, "labels"), "header is damaged at 'labels'"),
    (put(["a", "b", 3], "labels"), "header is damaged at 'labels'"),
    (put(["x"], "metrics"), "header is damaged at 'metrics'"),
    (put([], "shape"), "header is damaged at 'shape'"),
    (put(None, "streams"), "header is damaged at 'streams'"),
    (put(1, "licence"), "header is damaged at 'licence'"),
    (put([], "labels"), "cannot be used: 0 different labels for 0 classes"),
    (put(["a", "a", "b"], "labels"), "cannot be used: 2 different labels for 3 classes"),
    (put(["a", "b"], "labels"), r"tensor 'classes.weight' is F32 \(4, 64\); .* needs \(3, 64\)"),
    (put({}, "streams"), "cannot be used: a detector has a stream rgb, flow or both"),
    (put([], "streams", "rgb"), "cannot be used: a stream needs exactly the fields word, style"),
    (put(1, "streams", "rgb", "word"), "cannot be used: "),
    (put(["g"], "streams", "rgb", "word"), "cannot be used: "),
    (put("nonsense", "streams", "rgb", "word"), "cannot be used: .*nonsense"),
    (put({}, "streams", "rgb", "style"), "cannot be used: a style needs exactly"),
    (put("1", "streams", "rgb", "width"), "cannot be used: .*width"),
    (put(1e300, "streams", "rgb", "width"), "cannot be used: .*width"),
    (put(10**400, "streams", "rgb", "width"), "cannot be used: .*width"),
    (put(float("nan"), "streams", "rgb", "width"), "cannot be used: .*width"),
    (put(10**9, "streams", "rgb", "channels"), "cannot be used: .*channels"),
    (put(10**9, "streams", "rgb", "clip", "frames"), "cannot be used: ClipSpec frames is 100000"),
    (put([10**9, 10**9], "streams", "rgb", "clip", "size_px"), "cannot be used: ClipSpec size_px"),
    (put("flow", "streams", "rgb", "clip", "modality"), "cannot be used: ClipSpec mean is"),
    (put(10**9, "shape", "proposals"), "cannot be used: a detector's proposals is"),
    (put([10**9, 10**9], "shape", "roi_px"), "cannot be used: a detector's roi_px is"),
    (put(1e9, "shape", "image_width"), "cannot be used: a detector's image_width is"),
    (put([[1]], "shape", "anchor_px"), "cannot be used: a detector's anchor_px is"),
    (put([8.0] * 10_000, "shape", "anchor_ratios"), "cannot be used: a detector's anchor_ratios"),
    (put({"a": 1}, "shape", "at"), r"cannot be used: block \{'a': 1\} cannot be"),
    (put("vgg", "shape", "image_net"), "cannot be used: image net 'vgg' is unknown"),
    (put("resnet50", "shape", "image_net"), "tensor 'image.* is missing for the detector"),
    (put(8.0, "streams", "rgb", "width"), "needs"),
    (put([12.0], "shape", "anchor_px"), r"tensor 'proposing\..*' is F32 .*; the detector its hea"),
]


@pytest.mark.parametrize("number", range(len(DAMAGED)))
def test_a_damaged_header_is_one_line(number: int, whole: bytes, tmp_path: Path) -> None:
    change, message = DAMAGED[number]
    header = header_of(whole)
    change(header)
    refused(write_file(tmp_path / "d.safetensors", whole, header), message)


def test_tensors_of_another_detector_are_refused(whole: bytes, tmp_path: Path) -> None:
    text = json.dumps(header_of(whole))
    state = {k: v for k, v in make_detector().state_dict().items() if "num_batches" not in k}
    path = tmp_path / "d.safetensors"
    for changed, message in (
        ({"classes.bias": torch.zeros(4, dtype=torch.int64)}, r"'classes.bias' is I64 \(4,\)"),
        ({"classes.bias": torch.zeros(1, 4)}, r"'classes.bias' is F32 \(1, 4\); .* needs \(4,\)"),
        ({"more": torch.zeros(1)}, "tensor 'more' is not part of the detector"),
    ):
        path.write_bytes(save({**state, **changed}, {"s3d": text}))
        refused(path, message)
    del state["mending.weight"]
    path.write_bytes(save(state, {"s3d": text}))
    refused(path, "tensor 'mending.weight' is missing for the detector")


def test_a_stream_is_built_of_its_very_fields() -> None:
    with pytest.raises(InputError, match="a stream needs exactly the fields word, style, width"):
        build_detector({"rgb": {"word": "g"}}, SHAPE, 3)
