"""What conversion chooses, what it says of a file, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s3d.errors import InputError
from s3d.models.download import Remote
from s3d.models.model_file import load_model, save_model
from s3d.models.network import build
from s3d.models.published import convert as convert_module
from s3d.models.published.convert import convert, identify, read_labels, summarise_unused
from s3d.models.published.sources import SOURCES
from s3d.models.published.weights import Weights
from tests.models.published.publish import make_network, publish, write_published

S3D, S3D_G, I3D = "s" * 11, "s" + "g" * 10, "3" * 11
WORDS = {"piergiaj": I3D, "deepmind": I3D, "slim": S3D_G, "tf-garden": S3D_G, "mil-nce": S3D_G}


def make_tensors(source: str, classes: int = 5, channels: int = 3) -> dict[str, Tensor]:
    style = replace(SOURCES[source].style, fewest_channels=1)
    word = WORDS.get(source, S3D)
    network = make_network(word, style, width=0.02, classes=classes, channels=channels)
    return publish(network, source)


def write(folder: Path, source: str, classes: int = 5, channels: int = 3) -> Path:
    return write_published(folder, make_tensors(source, classes, channels), source)


def refused(path: Path, message: str, **options: Any) -> str:
    with pytest.raises(InputError, match=message) as caught:
        convert(path, **options)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 700
    return line


# Sources


def test_an_unknown_source_names_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path, "torchvision")
    known = "torchvision, kylemin, piergiaj, deepmind, slim, tf-garden, mil-nce, ibm"
    refused(path, rf"^unknown source 'google'\. Known: {known}\.$", source="google")


def test_names_that_nobody_uses_are_refused(tmp_path: Path) -> None:
    torch.save({"stem.weight": torch.ones(2), "stem.bias": torch.ones(2)}, tmp_path / "a.pt")
    message = r"a\.pt: nobody's names that are known here \(it begins with stem\.weight, stem\.bias"
    refused(tmp_path / "a.pt", message)


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_is_told_is_not_guessed(source: str, tmp_path: Path) -> None:
    path = write(tmp_path, source)
    told, guessed = convert(path, source), convert(path)
    assert (told.source, told.guessed) == (source, False)
    assert (guessed.source, guessed.guessed) == (source, True)
    assert (told.used, told.unused) == (guessed.used, guessed.unused)


def test_the_wrong_source_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "torchvision")
    for source in set(SOURCES) - {"torchvision"}:
        told = f"its names are those of torchvision, not of {source}. Take --from torchvision."
        assert told in refused(path, "its names are those of torchvision", source=source)


def test_weights_of_ours_need_no_converting(tmp_path: Path) -> None:
    torch.save(build("s3d", width=0.1).state_dict(), tmp_path / "ours.pt")
    refused(tmp_path / "ours.pt", r"ours\.pt: holds weights of s3d itself already")


def test_names_of_weights_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(Path("s3d-kinetics400"), "need no converting. Use them as --model s3d-kinetics400")


@pytest.mark.parametrize("source", SOURCES)
def test_page_and_licence_are_the_source_s(source: str, tmp_path: Path) -> None:
    model = convert(write(tmp_path, source)).model
    assert model.licence == SOURCES[source].licence
    assert SOURCES[source].page.split(" ")[0] in model.source or source == "mil-nce"


# Tensors


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = make_tensors("torchvision")
    for name in ("features.5.branch1.0.1.bias", "classifier.1.bias", "features.0.0.0.weight"):
        rest = {n: t for n, t in tensors.items() if n != name}
        torch.save(rest, tmp_path / "a.pt")
        refused(tmp_path / "a.pt", rf"^.*a\.pt: tensor '{name}' is missing\.", source="torchvision")


@pytest.mark.parametrize("value", [torch.ones(7), torch.ones(1, 7), torch.ones(2, 2)])
def test_a_wrong_shape_is_named(value: Tensor, tmp_path: Path) -> None:
    tensors = make_tensors("torchvision") | {"features.5.branch1.0.1.bias": value}
    torch.save(tensors, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", r"tensor 'features\.5\.branch1\.0\.1\.bias' is torch\.float32 \(")


def test_a_tensor_of_whole_numbers_is_refused(tmp_path: Path) -> None:
    tensors = make_tensors("torchvision")
    name = "features.5.branch1.0.1.bias"
    tensors[name] = torch.zeros(tensors[name].shape, dtype=torch.int32)
    torch.save(tensors, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", rf"tensor '{name}' is torch\.int32 \(")


@pytest.mark.parametrize("source", ["ibm", "slim"])
def test_weights_of_images_are_sent_where_they_belong(source: str, tmp_path: Path) -> None:
    tensors = make_tensors(source)
    flat = {n: t.mean(2) if t.ndim == 5 else t for n, t in tensors.items()}
    path = write_published(tmp_path, flat, source)
    refused(path, r"kernel has 5 axes\. Weights of images are for --init or s3d\.build\(inflate")


@pytest.mark.parametrize("channels", [1, 4, 5])
@pytest.mark.parametrize("source", ["torchvision", "mil-nce"])
def test_channels_of_neither_rgb_nor_flow_are_refused(
    source: str, channels: int, tmp_path: Path
) -> None:
    path = write(tmp_path, source, channels=channels)
    refused(path, rf"its clips have {channels} channels; 3 \(rgb\) or 2 \(flow\) are read")


@pytest.mark.parametrize("source", SOURCES)
def test_two_channels_are_flow(source: str, tmp_path: Path) -> None:
    spec = convert(write(tmp_path, source, channels=2)).model.spec
    assert (spec.modality, spec.value_range, spec.resize) == ("flow", (-1, 1), "keep")


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 1, 3, 1, 1), (0, 1, 3, 1, 1), (5, 5)])
@pytest.mark.parametrize(
    "name", ["conv3.conv_t.bias", "conv3.conv_t.weight", "conv3.conv.weight", "fc.weight"]
)
def test_odd_tensors_of_ibm_are_refused(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    tensors = make_tensors("ibm")
    tensors["conv3.conv_t.bias"] = torch.zeros_like(tensors["conv3.bn_t.bias"])
    torch.save(tensors | {name: torch.ones(shape)}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "tensor|no width|makes no network", source="ibm")


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64])
def test_a_bias_of_ibm_that_is_no_float_is_refused(dtype: torch.dtype, tmp_path: Path) -> None:
    tensors = make_tensors("ibm")
    tensors["conv3.conv_t.bias"] = torch.zeros_like(tensors["conv3.bn_t.bias"], dtype=dtype)
    torch.save(tensors, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", r"'conv3\.conv_t\.bias' is torch\.\w+ \(3,\), its norm's mean")


def test_a_depth_wise_kernel_of_a_million_channels_is_not_unfolded(tmp_path: Path) -> None:
    kernel = torch.ones(1_000_000, 1, 3, 1, 1)
    torch.save(make_tensors("ibm") | {"conv3.conv_t.weight": kernel}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", r"tensor 'conv3\.conv_t\.weight' is torch\.float32 \(1000000, 1, ")


@pytest.mark.parametrize("arch", ["kinetics400-rgb-s3d-ts-avg-f8", "a-tp-avg" + "x" * 5000])
def test_average_pools_are_refused(arch: str, tmp_path: Path) -> None:
    torch.save({"state_dict": make_tensors("ibm"), "arch": arch}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "with average pools; only max pools are built")


SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (3,), (2, 3), (1, 1, 1, 1, 1), (9, 3, 7, 7))


def spoil(tensors: dict[str, Tensor], rng: np.random.Generator) -> None:
    """Drop, reshape, turn or retype some tensors."""
    for _ in range(rng.integers(1, 4)):
        name = str(rng.choice(list(tensors)))
        tensor, kind = tensors[name], rng.integers(6)
        if kind == 0 and len(tensors) > 1:
            del tensors[name]
        elif kind == 1:
            tensors[name] = torch.ones(SHAPES[rng.integers(len(SHAPES))])
        elif kind == 2:
            tensors[name] = tensor.to(torch.int64 if rng.integers(2) else torch.bool)
        elif kind == 3:
            tensors[name] = torch.cat([tensor, tensor]) if tensor.ndim else tensor
        elif kind == 4:
            tensors[name] = tensor.transpose(0, 1) if tensor.ndim > 1 else tensor[..., None]
        else:
            tensors[str(rng.choice(list(tensors)))] = tensor


@pytest.mark.parametrize("source", SOURCES)
def test_spoiled_state_dicts_are_converted_or_refused_in_one_line(
    source: str, tmp_path: Path
) -> None:
    rng, whole = np.random.default_rng(0), make_tensors(source)
    # First of all the tensors that settings are read from.
    first = [n for n in whole if any(mark in n for mark in ("conv3.", "_2c", "logits", "Logits"))]
    for number in range(6):
        tensors = dict(whole)
        spoil(tensors, rng)
        if number % 2 and first:
            tensors[str(rng.choice(first))] = torch.ones(SHAPES[number % len(SHAPES)])
        torch.save(tensors, tmp_path / "a.pt")
        try:
            convert(tmp_path / "a.pt", source)
        except InputError as error:
            assert str(error).isprintable()
            assert len(str(error)) < 700


# Labels


@pytest.mark.parametrize(
    ("source", "classes", "first"),
    [
        ("torchvision", 400, "abseiling"),
        ("deepmind", 600, "abseiling"),
        ("piergiaj", 157, "c000"),
        ("deepmind", 157, "class 0"),
        ("ibm", 200, "class 0"),
        ("kylemin", 1, "class 0"),
    ],
)
def test_labels_follow_from_how_many_there_are(
    source: str, classes: int, first: str, tmp_path: Path
) -> None:
    labels = convert(write(tmp_path, source, classes)).model.labels
    assert (len(labels), len(set(labels)), labels[0]) == (classes, classes, first)
    last = {"abseiling": "zumba", "c000": "c156"}.get(first, f"class {classes - 1}")
    assert labels[-1] == last


@pytest.mark.parametrize("source", ["torchvision", "mil-nce"])
def test_labels_that_are_given_are_taken(source: str, tmp_path: Path) -> None:
    path, names = write(tmp_path, source), ["e", "d", "c", "b", "a"]
    assert convert(path, labels=names).model.labels == tuple(names)
    for wrong in ([], names[:4], [*names, "f"]):
        refused(path, rf"^{len(wrong)} labels for 5 classes; one each is needed", labels=wrong)


@pytest.mark.parametrize("classes", [512, 400, 20])
def test_an_embedding_has_no_labels(classes: int, tmp_path: Path) -> None:
    assert convert(write(tmp_path, "mil-nce", classes)).model.labels == ()


@pytest.mark.parametrize(("classes", "name"), [(400, "kinetics400"), (600, "kinetics600")])
def test_the_lists_of_labels_are_whole(classes: int, name: str) -> None:
    labels = read_labels(name)
    assert len(labels) == len(set(labels)) == classes
    assert list(labels) == sorted(labels)
    assert all(label == label.strip() and label.isprintable() and label for label in labels)


@pytest.mark.parametrize(("short", "name"), [("k400", "kinetics400"), ("k600", "kinetics600")])
def test_the_lists_of_labels_are_the_published_ones(
    short: str, name: str, shared_dir: Path
) -> None:
    path = shared_dir / "annotations" / "labels" / f"{short}.txt"
    if not path.is_file():
        pytest.skip(f"no list at {path}")
    assert list(read_labels(name)) == path.read_text(encoding="utf-8").splitlines()


# Styles


def test_a_style_is_changed_by_what_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "torchvision")
    before = convert(path).model.network.style
    changes = {"head": "global", "padding": "same", "dropout": 0.5, "separable_branches": [1, 2]}
    after = convert(path, style=changes).model.network.style
    assert after == replace(before, head="global", padding="same", dropout=0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"haed": "global"}, "makes no network: a style needs exactly the fields"),
        ({"head": "local"}, "makes no network: Style head is 'local'; it is one of"),
        ({"dropout": 2}, "makes no network: Style dropout is 2"),
        ({"norm_has_scale": False}, None),
        ({"temporal_first": True}, None),
        ({"temporal_norm": "bias"}, "tensor '.*' is missing"),
        ({"separable_branches": (0, 1, 2, 3)}, "tensor '.*' is "),
        ({"fewest_channels": 16}, "needs"),
    ],
)
def test_a_style_that_cannot_be_is_refused(
    changes: dict[str, Any], message: str | None, tmp_path: Path
) -> None:
    path = write(tmp_path, "torchvision")
    if message is None:
        # The network has another shape: what it has no place for is left, or does not fit.
        try:
            assert convert(path, style=changes).unused
        except InputError as error:
            assert "tensor" in str(error)
        return
    refused(path, rf"weights\.pt: {message}" if "makes" in message else message, style=changes)


# Which of the published weights a file is


def digest_of(path: Path, kind: str) -> str:
    data = path.read_bytes()
    if kind == "git":
        return f"git:{hashlib.sha1(b'blob %d' % len(data) + bytes(1) + data).hexdigest()}"
    whole = hashlib.sha256(data).hexdigest()
    return f"sha256:{whole if kind == 'sha256' else whole[:8]}"


METRICS = ({"metric": "top1", "value": 0.5, "protocol": "as published"},)


def name_file(
    monkeypatch: pytest.MonkeyPatch, digest: str, source: str, url: str = "https://there/a.pt"
) -> None:
    remote = Remote("a.pt", url, digest, None, "https://there")
    table = {
        "other": Weights("Another", source, (replace(remote, digest="sha256:00000000"),)),
        "known": Weights("A known net", source, (remote,), METRICS),
    }
    monkeypatch.setattr(convert_module, "WEIGHTS", table)


@pytest.mark.parametrize("kind", ["sha256", "sha256 prefix", "git"])
@pytest.mark.parametrize("source", ["torchvision", "deepmind"])
def test_a_published_file_is_known_by_its_content(
    kind: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, source)
    data = path.with_name(f"{path.name}.data-00000-of-00001") if source == "deepmind" else path
    name_file(monkeypatch, digest_of(data, kind), source)
    done = convert(path)
    assert identify(path) == done.name == "known"
    assert done.model.metrics == METRICS
    assert done.model.source == "A known net, converted from https://there/a.pt"
    save_model(tmp_path / "m.safetensors", done.model)
    assert load_model(tmp_path / "m.safetensors").metrics == METRICS


def test_a_checkpoint_is_known_by_its_values_whichever_file_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = write(tmp_path, "deepmind")
    data = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    name_file(monkeypatch, digest_of(data, "git"), "deepmind")
    for path in (prefix, data, prefix.with_name(f"{prefix.name}.index"), tmp_path):
        assert identify(path) == "known"


def test_a_file_that_differs_in_a_byte_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "torchvision")
    name_file(monkeypatch, digest_of(path, "sha256"), "torchvision")
    with path.open("ab") as file:
        file.write(b"\0")
    done = convert(path)
    assert (done.name, done.model.metrics) == (None, ())
    assert done.model.source == (
        "converted from https://github.com/pytorch/vision; "
        "the file is none of the published ones known here"
    )


def test_a_published_file_without_an_address_names_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "torchvision")
    name_file(monkeypatch, digest_of(path, "sha256"), "torchvision", url="")
    assert convert(path).model.source == "A known net, converted from https://there"


@pytest.mark.parametrize("source", ["torchvision", "piergiaj", "deepmind", "slim", "ibm"])
def test_a_file_of_somebody_else_has_no_metrics(source: str, tmp_path: Path) -> None:
    done = convert(write(tmp_path, source, 400))
    assert (done.name, done.model.metrics) == (None, ())
    assert "none of the published ones" in done.model.source


@pytest.mark.parametrize(
    ("name", "classes", "trusted"),
    [
        ("S3D_kinetics400.pt", 400, True),
        ("S3D_kinetics400.pt", 600, False),
        ("S3D_kinetics400.pt", 20, False),
        ("mine.pt", 400, False),
    ],
)
def test_a_file_without_a_published_checksum_is_known_by_its_name(
    name: str, classes: int, trusted: bool, tmp_path: Path
) -> None:
    done = convert(write(tmp_path, "kylemin", classes).rename(tmp_path / name))
    assert done.name is None
    assert (done.model.metrics != ()) == trusted
    assert ("of which nobody gives a checksum" in done.model.source) == trusted


def test_nothing_is_known_where_no_file_is(tmp_path: Path) -> None:
    assert identify(tmp_path / "gone") is None
    assert identify(tmp_path) is None


# What was not used


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ((), []),
        (("a/b", "c"), ["a/b", "c"]),
        (("a.m", "b/m", "c.m"), ["a.m", "b/m", "c.m"]),
        (("a.m", "b/m", "c.m", "m", "x.y"), ["4 x m", "x.y"]),
        ([f"{i}.n" for i in range(9)] + [f"{i}/k" for i in range(4)], ["9 x n", "4 x k"]),
    ],
)
def test_names_that_end_alike_are_one(names: tuple[str, ...], wanted: list[str]) -> None:
    assert summarise_unused(names) == wanted


# Embeddings: a model without labels


def make_embedding(folder: Path) -> Path:
    model = convert(write(folder, "mil-nce", 512)).model
    save_model(folder / "m.safetensors", model)
    return folder / "m.safetensors"


def edit(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], object]) -> Path:
    """Write a model file with its header or its tensors changed."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["s3d"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, tensors)
    save_file(tensors, path, {"s3d": json.dumps(header)})
    return path


def test_an_embedding_survives_its_file(tmp_path: Path) -> None:
    model = convert(write(tmp_path, "mil-nce", 512)).model
    save_model(tmp_path / "m.safetensors", model)
    found = load_model(tmp_path / "m.safetensors")
    assert found.labels == ()
    assert found.network.num_classes == 512
    for field in fields(model):
        if field.name != "network":
            assert getattr(found, field.name) == getattr(model, field.name)
    clips = torch.rand(1, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(found.network(clips), model.network(clips))


BIAS = "head.classifier.bias"


@pytest.mark.parametrize("shape", [(511,), (513,), (1,), (0,), (), (512, 1), (2, 256)])
def test_an_embedding_with_a_wrong_bias_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    def change(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        tensors[BIAS] = torch.zeros(shape)

    path = edit(make_embedding(tmp_path), change)
    with pytest.raises(InputError, match=r"m\.safetensors: (tensor|the model's header)"):
        load_model(path)


def test_an_embedding_without_a_bias_is_refused(tmp_path: Path) -> None:
    path = edit(make_embedding(tmp_path), lambda _, tensors: tensors.pop(BIAS))
    with pytest.raises(InputError, match=r"header cannot be used: num_classes is 0; it needs"):
        load_model(path)


def test_an_embedding_of_too_many_numbers_is_refused(tmp_path: Path) -> None:
    def change(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        tensors[BIAS] = torch.zeros(1_000_001)

    path = edit(make_embedding(tmp_path), change)
    with pytest.raises(InputError, match="header cannot be used: num_classes is 1000001"):
        load_model(path)


def test_labels_may_be_given_to_what_was_an_embedding(tmp_path: Path) -> None:
    def change(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        header["labels"] = [f"word {number}" for number in range(512)]

    assert len(load_model(edit(make_embedding(tmp_path), change)).labels) == 512
    with pytest.raises(InputError, match=r"tensor 'head\.classifier"):
        load_model(edit(make_embedding(tmp_path), lambda h, _: h.update(labels=["a", "b"])))
