"""A model file rebuilds its network, and nothing else passes for one."""

from __future__ import annotations

import errno
import json
import math
import os
import pickle
import random
import stat
import struct
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.models.model_file import FORMAT, ModelFile, load_model, save_model
from s3d.models.network import build
from s3d.models.style import STYLES

LABELS = ("open", "close it", "Tür zu", "押す")
SPEC = ClipSpec(frames=4, size_px=(32, 40), resize_px=(48, 48), rate_fps=12.5, resize="keep")
METRICS = ({"metric": "top-1", "value": 0.75, "protocol": "10x3"},)


def make_model(network: str = "s3d_fast", style: str = "paper") -> ModelFile:
    torch.manual_seed(0)
    built = build(network, num_classes=len(LABELS), style=style, width=0.02).eval()
    for name, buffer in built.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return ModelFile(built, LABELS, SPEC, METRICS, "trained here", "Apache-2.0")


@pytest.fixture(scope="module")
def whole() -> bytes:
    """Return a good model file's bytes."""
    model = make_model("i2d")
    tensors = {k: v for k, v in model.network.state_dict().items() if "num_batches" not in k}
    header = {
        "format": FORMAT,
        "word": "22222222222",
        "style": model.network.style.to_json(),
        "width": 0.02,
        "channels": 3,
        "labels": list(LABELS),
        "clip": SPEC.to_json(),
        "metrics": list(METRICS),
        "source": "trained here",
        "licence": "Apache-2.0",
    }
    return save(tensors, {"s3d": json.dumps(header)})


def split_file(whole: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return safetensors' own header, our header in it, and the tensors' bytes."""
    length = struct.unpack("<Q", whole[:8])[0]
    outer = json.loads(whole[8 : 8 + length])
    return outer, json.loads(outer["__metadata__"]["s3d"]), whole[8 + length :]


def write_file(path: Path, whole: bytes, header: object) -> Path:
    """Write a good file with another header of ours, given as text or as values."""
    outer, _, tensors = split_file(whole)
    outer["__metadata__"]["s3d"] = header if isinstance(header, str) else json.dumps(header)
    text = json.dumps(outer).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + tensors)
    return path


def refused(path: Path, message: str) -> str:
    """Check that a file is refused in one line; return the line."""
    with pytest.raises(InputError, match=message) as caught:
        load_model(path)
    line = str(caught.value)
    assert line.startswith(str(path))
    assert line.isprintable()
    assert len(line) < 1000
    return line


# What is written can be read


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("network", ["s3d_g", "i2d", "g3s2g2s3gs3"])
def test_a_model_survives_its_file(network: str, style: str, tmp_path: Path) -> None:
    model = make_model(network, style)
    save_model(tmp_path / "m.safetensors", model)
    found = load_model(tmp_path / "m.safetensors")
    assert replace(found, network=model.network) == model
    ours, theirs = model.network, found.network
    assert (theirs.word, theirs.style, theirs.width) == (ours.word, ours.style, ours.width)
    assert not any(module.training for module in theirs.modules())
    clips = torch.rand(2, 3, 4, 32, 40)
    with torch.no_grad():
        assert torch.equal(theirs(clips), ours(clips))


def test_a_loaded_model_trains_as_the_saved_one(tmp_path: Path) -> None:
    model = make_model("s3d_g", "slim")
    save_model(tmp_path / "m.safetensors", model)
    found = load_model(tmp_path / "m.safetensors").network
    names = [name for name, p in model.network.named_parameters() if p.requires_grad]
    assert [name for name, p in found.named_parameters() if p.requires_grad] == names
    assert all(t.device.type == "cpu" for t in found.state_dict().values())
    assert [n for n, b in found.named_buffers() if "num_batches" in n and b.item() != 0] == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_loads_as_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    model = make_model()
    model.network.to(dtype)
    save_model(tmp_path / "m.safetensors", model)
    found = load_model(tmp_path / "m.safetensors").network.state_dict()
    for name, tensor in model.network.state_dict().items():
        if tensor.is_floating_point():
            assert found[name].dtype == torch.float32
            assert torch.equal(found[name], tensor.float())


def test_the_header_says_all(tmp_path: Path) -> None:
    model = make_model()
    save_model(tmp_path / "m.safetensors", model)
    _, header, _ = split_file((tmp_path / "m.safetensors").read_bytes())
    assert header == {
        "format": "s3d-model-1",
        "word": "222222222ss",
        "style": json.loads(json.dumps(model.network.style.to_json())),
        "width": 0.02,
        "channels": 3,
        "labels": ["open", "close it", "Tür zu", "押す"],
        "clip": json.loads(json.dumps(SPEC.to_json())),
        "metrics": list(METRICS),
        "source": "trained here",
        "licence": "Apache-2.0",
    }
    assert not [k for k in load_file(tmp_path / "m.safetensors") if "num_batches" in k]


def test_a_model_file_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save_model(tmp_path / "m.safetensors", make_model())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m.safetensors").stat().st_mode) == 0o644


def test_a_flow_model_survives_its_file(tmp_path: Path) -> None:
    network = build("i2d", num_classes=4, width=0.02, channels=2).eval()
    flow = replace(SPEC, modality="flow", mean=(0.5, 0.5), std=(0.5, 0.5))
    save_model(tmp_path / "m.safetensors", ModelFile(network, LABELS, flow))
    assert load_model(tmp_path / "m.safetensors").network.channels == 2


# What cannot be written leaves nothing


def test_a_full_disk_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")

    def fail(self: Path, content: bytes) -> int:
        self.open("wb").close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        save_model(path, make_model())
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": LABELS[:3]}, "3 different labels for 4 classes; one each is needed"),
        ({"labels": ("a", "b", "c", "a")}, "3 different labels for 4 classes"),
        ({"labels": ("a", "b", "c", "\udcff")}, "is not Unicode text; rename it"),
        (
            {"spec": replace(SPEC, modality="flow", mean=(0.5, 0.5), std=(0.5, 0.5))},
            "a clip of flow has 2 channels, not 3",
        ),
    ],
)
def test_what_does_not_fit_is_not_written(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        save_model(tmp_path / "m.safetensors", replace(make_model(), **change))
    assert not list(tmp_path.iterdir())


# What is not a model file


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", "no such model file")
    refused(tmp_path, "no such model file")


def test_a_file_that_may_not_be_read_is_refused(
    whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # root may read anything

    monkeypatch.setattr("s3d.models.model_file.safe_open", deny)
    (tmp_path / "m").write_bytes(whole)
    refused(tmp_path / "m", r"not a readable safetensors file \(.*Permission denied\)")


def test_odd_names_are_refused_on_one_line(tmp_path: Path) -> None:
    for name in ("a\nb", "a\0b", "x" * 300):
        with pytest.raises(InputError, match="no such model file") as caught:
            load_model(tmp_path / name)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("content", [b"", b"\0", b"\xff" * 100, b"PK\x03\x04" * 99, b"{}" * 99])
def test_other_bytes_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(content)
    refused(tmp_path / "m", "not a readable safetensors file")


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    r = random.Random(0)
    for _ in range(50):
        (tmp_path / "m").write_bytes(r.randbytes(r.randrange(1, 3000)))
        refused(tmp_path / "m", "not a readable safetensors file")


def test_a_truncated_file_is_refused(whole: bytes, tmp_path: Path) -> None:
    cuts = {*range(0, 64, 5), *range(0, len(whole), len(whole) // 60), len(whole) - 1}
    for cut in cuts:
        (tmp_path / "m").write_bytes(whole[:cut])
        refused(tmp_path / "m", "not a readable safetensors file")


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.mark, "w")


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(str(mark)))).close()
    assert mark.exists()  # the trap works
    mark.unlink()
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Trap(str(mark))))
    torch.save({"weights": Trap(str(mark))}, tmp_path / "m.pt")
    for name in ("m.pkl", "m.pt"):
        refused(tmp_path / name, "not a readable safetensors file")
    assert not mark.exists()


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / "m")
    refused(tmp_path / "m", "a safetensors file, but not a model of s3d")
    save_file({"a": torch.zeros(3)}, tmp_path / "m", {"format": "pt"})
    refused(tmp_path / "m", "a safetensors file, but not a model of s3d")


# A header that lies


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "3", '"s3d"', "[" * 100_000, '{"a":' * 100_000, "NaN", "9" * 10_000],
    ids=lambda text: f"{text[:5]}x{len(text)}",
)
def test_a_damaged_header_is_refused(text: str, whole: bytes, tmp_path: Path) -> None:
    refused(write_file(tmp_path / "m", whole, text), "the model's header is damaged")


@pytest.mark.parametrize("version", ["s3d-model-2", None, 1, [], "x" * 10_000])
def test_another_format_is_refused(version: Any, whole: bytes, tmp_path: Path) -> None:
    _, header, _ = split_file(whole)
    path = write_file(tmp_path / "m", whole, {**header, "format": version})
    refused(path, "model format .*; this s3d reads 's3d-model-1'. Use a matching version")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("word", "s3dg", "unknown network 's3dg'"),
        ("word", "sssssssssss", "is missing for the network its header names"),
        ("word", None, "damaged at 'word'"),
        ("width", math.nan, "width is nan"),
        ("width", True, "width is True"),
        ("width", -1, "width is -1"),
        ("width", 1e308, r"width is 1e\+308"),
        ("width", 10**400, "width is 1000"),
        ("width", 8, "the network its header names needs"),
        ("width", "1", "damaged at 'width'"),
        ("channels", 0, "channels is 0"),
        ("channels", True, "channels is True"),
        ("channels", 2, "a clip of rgb has 3 channels, not 2"),
        ("labels", ["a"], r"'head.classifier.weight' is F32 \(4, 64\)"),
        ("labels", ["a", "a", "b", "c"], "3 different labels for 4 classes"),
        ("labels", ["a", "b", "c", 4], "damaged at 'labels'"),
        ("labels", "abcd", "damaged at 'labels'"),
        ("labels", ["a", "b", "c", "\ud800"], "is not Unicode text"),
        ("metrics", [1], "damaged at 'metrics'"),
        ("source", None, "damaged at 'source'"),
        ("style", {}, "a style needs exactly the fields"),
        ("clip", {}, "a clip contract needs exactly the fields"),
        ("more", 1, "damaged at 'more'"),
    ],
)
def test_a_header_that_lies_is_refused(
    field: str, value: Any, message: str, whole: bytes, tmp_path: Path
) -> None:
    _, header, _ = split_file(whole)
    refused(write_file(tmp_path / "m", whole, {**header, field: value}), message)


def test_a_huge_network_is_refused_before_it_is_made(whole: bytes, tmp_path: Path) -> None:
    _, header, _ = split_file(whole)
    labels = [str(n) for n in range(100_000)]
    huge = {**header, "word": "3" * 11, "width": 8, "labels": labels}
    path = write_file(tmp_path / "m", whole, huge)
    before = peak_kib()
    refused(path, "is F32")
    # Its weights would take 6 GB; the labels themselves take some.
    assert peak_kib() - before < 200_000


def peak_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def test_other_tensors_are_refused(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(whole)
    tensors, name = load_file(tmp_path / "good"), "mixed4c.entry.weight"
    header = {"s3d": split_file(whole)[0]["__metadata__"]["s3d"]}
    rest = {k: v for k, v in tensors.items() if k != name}
    path = tmp_path / "m"
    for other, message in (
        (rest, f"tensor '{name}' is missing for the network"),
        ({**tensors, "zzz": torch.zeros(1)}, "tensor 'zzz' is not part of the network"),
        ({**rest, name: tensors[name][1:]}, f"tensor '{name}' is F32"),
        ({**rest, name: tensors[name].int()}, f"tensor '{name}' is I32"),
        ({}, "is missing for the network"),
    ):
        path.write_bytes(save(other, header))
        refused(path, message)


ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**70,
    10**400,
    0.5,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "x",
    "\n",
    "\ud800",
    "9" * 5000,
    [],
    [[]],
    [None],
    [1, 2],
    [0.5] * 3,
    ["a", "b"],
    {},
    {"a": {}},
]


def mutate(header: dict[str, Any], r: random.Random) -> None:
    """Change one value anywhere in a header, or drop, add or double one."""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys: Any = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            places.append((value, key))
            if isinstance(value[key], (dict, list)):
                walk(value[key])

    walk(header)
    home, key = r.choice(places)
    odd = deepcopy(r.choice(ODD))
    kind = r.randrange(6)
    if kind == 0:
        del home[key]
    elif kind == 1 and isinstance(home, list):
        home.append(odd)
    elif kind == 1:
        home[f"{key}x"] = odd
    elif kind == 2:
        home[key] = [home[key]]
    elif kind == 3:
        home[key] = str(home[key])
    else:
        home[key] = odd


def test_any_mutated_header_loads_or_is_refused_in_one_line(whole: bytes, tmp_path: Path) -> None:
    _, header, _ = split_file(whole)
    loaded = 0
    for seed in range(300):
        r = random.Random(seed)
        changed = deepcopy(header)
        for _ in range(r.choice((1, 1, 1, 2, 5))):
            mutate(changed, r)
        path = write_file(tmp_path / "m", whole, changed)
        try:
            model = load_model(path)
        except InputError as error:
            assert str(error).isprintable(), (seed, str(error))
            assert len(str(error)) < 1000, seed
        else:
            loaded += 1
            model.network(torch.zeros(1, 3, 1, 32, 32))
    assert 0 < loaded < 150


def test_any_damaged_byte_of_the_header_loads_or_is_refused_in_one_line(
    whole: bytes, tmp_path: Path
) -> None:
    length = 8 + struct.unpack("<Q", whole[:8])[0]
    start = whole.index(b"__metadata__")
    for seed in range(300):
        r = random.Random(seed)
        damaged = bytearray(whole)
        span = (0, length) if seed % 2 else (start, start + 2500)
        for _ in range(r.choice((1, 1, 3))):
            damaged[r.randrange(*span)] = r.randrange(256)
        (tmp_path / "m").write_bytes(damaged)
        try:
            load_model(tmp_path / "m")
        except InputError as error:
            assert str(error).isprintable(), (seed, str(error))


def test_loading_does_not_import_torch_s_compiler(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(whole)
    code = (
        "import sys; from s3d.models.model_file import load_model; "
        f"load_model({str(tmp_path / 'm')!r}); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
