"""Read the tensors of somebody's file without running anything in it.

PyTorch files go through `torch.load(weights_only=True)`, TensorFlow checkpoints and safetensors
through readers that know numbers only.
"""

from __future__ import annotations

import os
import reprlib
import tarfile
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.published.tf_checkpoint import checkpoint_prefix, read_checkpoint

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Where training scripts put the weights beside an optimizer's state."""

_LONGEST_NAME = 300
_TURNED = {2: (1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)}
"""Of a kernel with so many axes in TensorFlow, their order in PyTorch."""


@dataclass(frozen=True)
class Contents:
    """Hold what a file holds.

    Attributes:
        tensors: By name.
        arch: What a training script called the network, where it says so.
    """

    tensors: dict[str, Tensor]
    arch: str = ""


def read_contents(path: str | Path) -> Contents:
    """Return a file's tensors by name.

    Args:
        path: A PyTorch file of a state dict (`.pt`, `.pth`), a safetensors file, or a TensorFlow V2
            checkpoint by its prefix, its index or one of its data files. Kernels of TensorFlow,
            (T, H, W, in, out), (H, W, in, out) or (in, out), are turned to PyTorch's order,
            (out, in, T, H, W) and so on.

    Raises:
        InputError: There is no such file, it is damaged, or it holds more than tensors.
    """
    shown = show_path(path)
    if checkpoint_prefix(path) is not None:
        return Contents({k: _from_tensorflow(v) for k, v in read_checkpoint(path).items()})
    if not os.path.isfile(path):  # noqa: PTH113 - Path raises for a name that no file can have
        raise InputError(f"{shown}: no such file. Name a .pt, .pth, .safetensors or .index file.")
    try:
        with Path(path).open("rb") as file:
            start = file.read(16)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{shown}: cannot be read ({reason}).") from None
    if start[8:10] == b'{"':
        tensors = _read_safetensors(path, shown)
        _check_names(tensors, shown)
        return Contents(tensors)
    _check_zip(path, start, shown)
    _check_tar(path, shown)
    return _pick(_load(path, start, shown), shown)


def _from_tensorflow(value: Any) -> Tensor:
    tensor = torch.from_numpy(value)
    if tensor.ndim in _TURNED:
        return tensor.permute(_TURNED[tensor.ndim])
    return tensor


def _read_safetensors(path: str | Path, shown: str) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        cause = str(error).splitlines()[0]
        raise InputError(f"{shown}: not a readable safetensors file ({cause}).") from None


def _check_zip(path: str | Path, start: bytes, shown: str) -> None:
    """Refuse a zip whose parts unpack to more than they are, or lie over each other."""
    if not start.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise InputError(f"{shown}: a damaged PyTorch file. Download or copy it again.") from None
    if any(part.compress_type != 0 for part in parts):
        raise InputError(f"{shown}: its parts are compressed, as PyTorch never writes them.")
    if sum(part.file_size for part in parts) > Path(path).stat().st_size:
        raise InputError(f"{shown}: its parts claim more bytes than the file has.")


def _check_tar(path: str | Path, shown: str) -> None:
    """Refuse a tar, PyTorch's format before 0.1.10.

    With torch up to 2.5 such a file can run code even so (CVE-2025-32434).
    """
    try:
        tarfile.open(path, "r:").close()
    except Exception:
        # It is none. Of a damaged one torch.load finds the same.
        return
    raise InputError(
        f"{shown}: a tar, as PyTorch wrote in 2016, which is not read. Load it with an old "
        "PyTorch and save its state_dict() again."
    )


def _load(path: str | Path, start: bytes, shown: str) -> object:
    if start.startswith(b"\x89HDF"):
        raise InputError(
            f"{shown}: a Keras .h5 file, which is not read. Save the weights as a TensorFlow "
            "checkpoint, with tf.train.Checkpoint(model=model).write(NAME)."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Of a foreign or damaged file torch.load raises nearly anything.
        if any(mark in str(error) for mark in _FORBIDDEN):
            raise InputError(
                f"{shown}: holds more than tensors (a pickle that could run code), so it is not "
                "read. Where you trust it, save its state_dict() alone with torch.save."
            ) from None
        raise InputError(
            f"{shown}: not a readable PyTorch file ({type(error).__name__}). "
            "Download or copy it again."
        ) from None


_FORBIDDEN = ("nsupported global", "nsupported class", "not an allowed global", "Trying to ")
"""What torch.load says of a pickle that names functions or classes."""


def _pick(content: object, shown: str) -> Contents:
    """Return the state dict, wherever in a checkpoint it lies."""
    arch = content.get("arch", "") if isinstance(content, Mapping) else ""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise InputError(f"{shown}: holds a {type(content).__name__}, not a state dict.")
    tensors = {str(k): v.detach() for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        raise InputError(
            f"{shown}: holds no tensors. Save a network's state_dict() with torch.save."
        )
    _check_names(tensors, shown)
    for name, tensor in tensors.items():
        _check_dense(name, tensor, shown)
    prefix = "module."
    if all(name.startswith(prefix) for name in tensors):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return Contents(tensors, arch if isinstance(arch, str) else "")


def _check_names(tensors: Mapping[str, Tensor], shown: str) -> None:
    """Refuse names that no message could show."""
    for name in tensors:
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise InputError(f"{shown}: {reprlib.repr(name)} is no name of a tensor.")


def _check_dense(name: str, tensor: Tensor, shown: str) -> None:
    """Refuse a tensor that claims more values than the file holds."""
    odd = tensor.is_quantized or tensor.is_meta or tensor.is_nested
    dense = tensor.layout == torch.strided and not odd
    if not dense or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise InputError(f"{shown}: tensor {name!r} is not a plain dense tensor.")


class Tensors:
    """Published tensors, each of which may be taken once."""

    def __init__(self, tensors: Mapping[str, Tensor], path: str) -> None:
        self.path = path
        self._tensors = dict(tensors)
        self._left = dict.fromkeys(tensors)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return every tensor's shape."""
        return {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    @property
    def left(self) -> tuple[str, ...]:
        """Return the names that were not taken."""
        return tuple(self._left)

    def take(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Return a tensor in the shape that is needed; axes of size 1 may differ.

        Raises:
            InputError: It is missing, of another shape, taken already, or not of floats.
        """
        if name not in self._left:
            state = "is needed twice" if name in self._tensors else "is missing"
            raise InputError(f"{self.path}: tensor {name!r} {state}.")
        tensor = self._tensors[name]
        if _squeezed(tensor.shape) != _squeezed(shape) or not tensor.is_floating_point():
            raise InputError(
                f"{self.path}: tensor {name!r} is {tensor.dtype} {tuple(tensor.shape)}; "
                f"the network that its other tensors make needs {shape}."
            )
        del self._left[name]
        return tensor.reshape(shape)


def _squeezed(shape: tuple[int, ...] | torch.Size) -> tuple[int, ...]:
    return tuple(side for side in shape if side != 1)
