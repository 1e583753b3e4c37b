"""A stranger's file is read for its numbers: nothing in it runs, and none that is broken passes."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import s3d
from s3d.errors import InputError
from s3d.models.inflate import read_image_weights
from s3d.models.model_file import load_model
from s3d.models.open import open_model, open_start
from s3d.models.published.convert import convert
from s3d.models.published.tensors import Tensors, read_contents
from s3d.train.state import load_state
from tests.models.published.bundle import write_checkpoint

READERS: dict[str, Callable[[Path], Any]] = {
    "convert": convert,
    "s3d.load": s3d.load,
    "open_model": open_model,
    "open_start": lambda path: open_start(str(path)),
    "load_model": load_model,
    "read_image_weights": read_image_weights,
    "load_state": load_state,
}
"""Every way by which a file that a person brings is read as weights or as a state."""


class Attack:
    """When it is unpickled, make a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.trace}'",)


class Module(torch.nn.Linear):
    """A network that was saved whole, with an attack among its attributes."""

    def __init__(self, trace: Path) -> None:
        super().__init__(2, 2)
        self.attack = Attack(trace)


def write_torch(path: Path, content: object, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def write_tar(path: Path, trace: Path) -> Path:
    """Write what PyTorch did in 2016: a tar of three pickles."""
    data = pickle.dumps(Attack(trace), 2)
    with tarfile.open(path, "w") as tar:
        for name in ("storages", "tensors", "pickle"):
            part = tarfile.TarInfo(name)
            part.size = len(data)
            tar.addfile(part, io.BytesIO(data))
    return path


def write_pickle(path: Path, content: object, protocol: int) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


ATTACKS: dict[str, Callable[[Path, Path], Path]] = {
    "zip": lambda path, trace: write_torch(path, Attack(trace)),
    "legacy": lambda path, trace: write_torch(path, Attack(trace), zipped=False),
    "zip of a state dict": lambda path, trace: write_torch(
        path, {"state_dict": {"conv1.weight": torch.ones(2), "x": Attack(trace)}, "step": 1}
    ),
    "legacy state dict": lambda path, trace: write_torch(
        path, {"state_dict": {"conv1.weight": torch.ones(2), "x": Attack(trace)}}, zipped=False
    ),
    "a module": lambda path, trace: write_torch(path, Module(trace)),
    "a legacy module": lambda path, trace: write_torch(path, Module(trace), zipped=False),
    "a module's tensor": lambda path, trace: write_torch(
        path, {"model": {"w": torch.ones(2)}, "ema": [Module(trace)]}
    ),
    "tar": write_tar,
    **{
        f"pickle {number}": lambda path, trace, number=number: write_pickle(
            path, {"w": Attack(trace)}, number
        )
        for number in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("reader", READERS)
def test_a_pickle_that_would_run_code_is_refused(reader: str, attack: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = ATTACKS[attack](tmp_path / "weights.pt", trace)
    with pytest.raises(InputError) as caught:
        READERS[reader](path)
    assert not trace.exists()
    line = str(caught.value)
    assert line.isprintable()
    assert str(path) in line


@pytest.mark.parametrize("attack", ["zip", "legacy", "pickle 2"])
def test_the_attacks_would_work(attack: str, tmp_path: Path) -> None:
    path = ATTACKS[attack](tmp_path / "weights.pt", tmp_path / "trace")
    if attack == "pickle 2":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert (tmp_path / "trace").exists()


def test_a_text_pickle_is_one(tmp_path: Path) -> None:
    path = ATTACKS["pickle 0"](tmp_path / "weights.pt", tmp_path / "trace")
    assert path.read_bytes().isascii()
    assert "GLOBAL" in [code.name for code, _, _ in pickletools.genops(path.read_bytes())]


@pytest.mark.parametrize("attack", ["zip", "legacy state dict", "a module"])
def test_a_pickle_under_the_name_of_a_model_file_is_refused(attack: str, tmp_path: Path) -> None:
    path = ATTACKS[attack](tmp_path / "model.safetensors", tmp_path / "trace")
    for read in (convert, s3d.load, open_model, load_model):
        with pytest.raises(InputError):
            read(path)
    assert not (tmp_path / "trace").exists()


def test_the_refusal_says_what_to_do(tmp_path: Path) -> None:
    path = ATTACKS["a module"](tmp_path / "weights.pt", tmp_path / "trace")
    with pytest.raises(InputError) as caught:
        read_contents(path)
    assert str(caught.value) == (
        f"{path}: holds more than tensors (a pickle that could run code), so it is not read. "
        "Where you trust it, save its state_dict() alone with torch.save."
    )


def test_a_tar_is_refused_before_torch_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With torch up to 2.5 such a file could run code in spite of weights_only.
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch.load saw it"))
    path = write_tar(tmp_path / "weights.pt", tmp_path / "trace")
    with pytest.raises(InputError, match="a tar, as PyTorch wrote in 2016, which is not read"):
        read_contents(path)


# Files that are something else, or broken


def write_zip(path: Path, change: Callable[[zipfile.ZipFile, str, bytes], None]) -> Path:
    """Write a good file's parts again, each as `change` does it."""
    good = write_torch(path.with_suffix(".good"), {"w": torch.zeros(5000)})
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            change(new, name, old.read(name))
    return path


def test_a_good_zip_written_again_is_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.pt", lambda new, name, data: new.writestr(name, data))
    assert torch.equal(read_contents(path).tensors["w"], torch.zeros(5000))


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("part", ["data/0", "data.pkl"])
def test_a_zip_of_compressed_parts_is_refused(kind: int, part: str, tmp_path: Path) -> None:
    def pack(new: zipfile.ZipFile, name: str, data: bytes) -> None:
        new.writestr(name, data, kind if name.endswith(part) else zipfile.ZIP_STORED)

    path = write_zip(tmp_path / "a.pt", pack)
    with pytest.raises(InputError, match=r"a\.pt: its parts are compressed, as PyTorch never"):
        read_contents(path)


def test_a_zip_whose_parts_lie_over_each_other_is_refused(tmp_path: Path) -> None:
    # A few kilobytes, read for each of a million tensors, would fill any memory.
    path = tmp_path / "a.pt"
    good = write_torch(tmp_path / "good.pt", {"w": torch.zeros(5000), "v": torch.ones(5000)})
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if not name.endswith("data/1"):
                new.writestr(name, old.read(name))
        first = next(part for part in new.filelist if part.filename.endswith("data/0"))
        double = zipfile.ZipInfo(first.filename.replace("data/0", "data/1"))
        for field in ("CRC", "compress_size", "file_size", "header_offset"):
            setattr(double, field, getattr(first, field))
        new.filelist.append(double)
    with pytest.raises(InputError, match=r"a\.pt: its parts claim more bytes than the file has"):
        read_contents(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(
    zipped: bool, tmp_path: Path
) -> None:
    huge = torch.ones(1).expand(1 << 20, 1 << 20)
    path = write_torch(tmp_path / "a.pt", {"w": torch.ones(2), "huge": huge}, zipped)
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match=r"a\.pt: tensor 'huge' is not a plain dense tensor"):
        read_contents(path)


ODD_TENSORS: dict[str, Callable[[], torch.Tensor]] = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "csr": lambda: torch.eye(3).to_sparse_csr(),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "meta": lambda: torch.ones(3, device="meta"),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ODD_TENSORS)
def test_a_tensor_of_another_kind_is_refused(kind: str, tmp_path: Path) -> None:
    path = write_torch(tmp_path / "a.pt", {"w": ODD_TENSORS[kind]()})
    with pytest.raises(InputError, match=r"a\.pt: tensor 'w' is not a plain dense tensor"):
        convert(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, r"holds no tensors\. Save a network's state_dict\(\)"),
        ({"state_dict": {}}, "holds no tensors"),
        ({"epoch": 3, "lr": 0.1}, "holds no tensors"),
        ([torch.ones(2)], "holds a list, not a state dict"),
        (torch.ones(2), "holds a Tensor, not a state dict"),
        (5, "holds a int, not a state dict"),
        (None, "holds a NoneType, not a state dict"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_is_no_state_dict_is_refused(
    content: object, message: str, zipped: bool, tmp_path: Path
) -> None:
    path = write_torch(tmp_path / "a.pt", content, zipped)
    with pytest.raises(InputError, match=rf"a\.pt: {message}"):
        read_contents(path)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "a" * 301, "\u202e"])
@pytest.mark.parametrize("form", ["torch", "safetensors"])
def test_names_that_no_line_can_show_are_refused(name: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    if form == "torch":
        write_torch(path, {name: torch.ones(2), "w": torch.ones(2)})
    else:
        save_file({name: torch.ones(2)}, path)
    with pytest.raises(InputError, match=" is no name of a tensor") as caught:
        convert(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


BROKEN = {
    "empty": (b"", "not a readable PyTorch file"),
    "text": (b"hello, world\n" * 9, "not a readable PyTorch file"),
    "noise": (bytes(np.random.default_rng(0).integers(0, 256, 999, "u1")), "not a readable"),
    "zeros": (bytes(4096), r"a tar|not a readable PyTorch file"),
    "h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), r"a Keras \.h5 file, which is not read"),
    "PK": (b"PK", "a damaged PyTorch file"),
    "zip cut short": (b"PK\x03\x04" + bytes(60), "a damaged PyTorch file"),
    "safetensors": (b'\x10\0\0\0\0\0\0\0{"a":1}         ', "not a readable safetensors file"),
    "safetensors of 2^63 bytes": (b"\xff" * 8 + b'{"a' + bytes(20), "not a readable safetensors"),
    "safetensors, no text": (b'\x08\0\0\0\0\0\0\0{"\xff\xfe\xff":}', "not a readable safetensors"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("suffix", [".pt", ".h5", ""])
def test_what_is_broken_is_refused_in_one_line(kind: str, suffix: str, tmp_path: Path) -> None:
    data, message = BROKEN[kind]
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_contents(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert line.isprintable()
    assert len(line) < 400


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_anywhere_is_refused(zipped: bool, tmp_path: Path) -> None:
    whole = write_torch(tmp_path / "a.pt", {"w": torch.ones(50)}, zipped).read_bytes()
    for size in range(0, len(whole) - 1, 17):
        (tmp_path / "a.pt").write_bytes(whole[:size])
        with pytest.raises(InputError) as caught:
            read_contents(tmp_path / "a.pt")
        assert str(caught.value).isprintable(), size


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_spoiled_at_random_is_read_or_refused_in_one_line(
    zipped: bool, tmp_path: Path
) -> None:
    whole = write_torch(tmp_path / "a.pt", {"fc.weight": torch.ones(9)}, zipped).read_bytes()
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(150):
        spoiled = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 4)):
            spoiled[at] = rng.integers(256)
        (tmp_path / "a.pt").write_bytes(spoiled)
        try:
            read_contents(tmp_path / "a.pt")
            read += 1
        except InputError as error:
            assert str(error).isprintable()
    assert 0 < read < 150


@pytest.mark.parametrize("name", ["", "\0", "a\0b", "\udcff", "x" * 5000, "a\nb", ".", "gone.pt"])
def test_a_name_of_no_file_is_refused(name: str) -> None:
    for read in (read_contents, convert):
        with pytest.raises(InputError, match="no such file") as caught:
            read(name)
        assert str(caught.value).isprintable()


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file\. Name a \.pt, \.pth, \.safetensors"):
        convert(tmp_path)


def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    path = write_torch(tmp_path / "a.pt", {"w": torch.ones(2)})
    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(InputError, match=r"a\.pt: cannot be read \(Permission denied\)"):
        read_contents(path)


def test_a_name_that_is_no_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\n.pt")
    write_torch(tmp_path / "a.pt", {"w": torch.ones(2)}).rename(path)
    assert list(read_contents(path).tensors) == ["w"]


# What is read


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
def test_a_wrapped_state_dict_is_found_with_its_arch(key: str, tmp_path: Path) -> None:
    path = write_torch(tmp_path / "a.pt", {key: {"module.w": torch.ones(2)}, "arch": "s3d-f8"})
    found = read_contents(path)
    assert (list(found.tensors), found.arch) == (["w"], "s3d-f8")


@pytest.mark.parametrize("arch", [None, 5, [1], {"a": 1}])
def test_an_arch_that_is_no_text_is_none(arch: object, tmp_path: Path) -> None:
    path = write_torch(tmp_path / "a.pt", {"state_dict": {"w": torch.ones(2)}, "arch": arch})
    assert read_contents(path).arch == ""


def test_a_prefix_that_only_some_names_have_stays(tmp_path: Path) -> None:
    path = write_torch(tmp_path / "a.pt", {"module.w": torch.ones(2), "v": torch.ones(2)})
    assert list(read_contents(path).tensors) == ["module.w", "v"]


def test_what_is_no_tensor_is_passed_over(tmp_path: Path) -> None:
    path = write_torch(tmp_path / "a.pt", {"w": torch.ones(2), "epoch": 3, 7: torch.ones(1)})
    assert list(read_contents(path).tensors) == ["w", "7"]


def test_tensors_that_share_their_values_are_read(tmp_path: Path) -> None:
    whole = torch.arange(12.0)
    path = write_torch(tmp_path / "a.pt", {"a": whole.view(3, 4).T, "b": whole[2:5]})
    found = read_contents(path).tensors
    assert torch.equal(found["a"], whole.view(3, 4).T)
    assert torch.equal(found["b"], whole[2:5])


def test_tensorflow_s_kernels_are_turned(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = ((), (2,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6))
    arrays = {f"w{len(s)}": np.asarray(rng.random(s), "f4") for s in shapes}
    found = read_contents(write_checkpoint(tmp_path, arrays)).tensors
    assert torch.equal(found["w2"], torch.from_numpy(arrays["w2"]).T)
    t, h, w, c, k = 1, 2, 3, 4, 5
    assert found["w5"].shape == (6, 5, 2, 3, 4)
    assert found["w5"][k, c, t, h, 2] == arrays["w5"][t, h, 2, c, k]
    assert found["w4"].shape == (5, 4, 2, 3)
    assert found["w4"][4, 3, 1, 2] == arrays["w4"][1, 2, w, 4]
    for name in ("w0", "w1", "w3"):
        assert torch.equal(found[name], torch.from_numpy(arrays[name]))


# Taking tensors, each once


def test_a_tensor_is_taken_once_and_in_the_shape_that_is_needed() -> None:
    tensors = Tensors({"w": torch.arange(6.0).view(1, 2, 1, 3), "v": torch.ones(2)}, "file")
    assert tensors.shapes == {"w": (1, 2, 1, 3), "v": (2,)}
    assert tensors.left == ("w", "v")
    assert torch.equal(tensors.take("w", (2, 3, 1)), torch.arange(6.0).view(2, 3, 1))
    assert tensors.left == ("v",)
    with pytest.raises(InputError, match=r"^file: tensor 'w' is needed twice"):
        tensors.take("w", (2, 3))
    with pytest.raises(InputError, match=r"^file: tensor 'u' is missing"):
        tensors.take("u", (2, 3))


@pytest.mark.parametrize(
    ("tensor", "shape"),
    [
        (torch.ones(2, 3), (3, 2)),
        (torch.ones(2, 3), (6,)),
        (torch.ones(4), (5,)),
        (torch.ones(4, dtype=torch.int64), (4,)),
        (torch.ones(4, dtype=torch.bool), (4,)),
        (torch.ones(4, dtype=torch.complex64), (4,)),
    ],
)
def test_a_tensor_of_another_shape_or_kind_is_not_taken(
    tensor: torch.Tensor, shape: tuple[int, ...]
) -> None:
    tensors = Tensors({"w": tensor}, "file")
    with pytest.raises(InputError, match=r"^file: tensor 'w' is torch\.\w+ \(.*\); the network"):
        tensors.take("w", shape)
    assert tensors.left == ("w",)
