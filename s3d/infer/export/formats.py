"""The formats a model can be exported to."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from s3d.errors import InputError
from s3d.files import show_path
from s3d.infer.export.content import Content, Run
from s3d.infer.export.to_onnx import read_onnx, write_onnx
from s3d.infer.export.to_openvino import read_openvino, write_openvino
from s3d.infer.export.to_torch import read_torch, write_torch


@dataclass(frozen=True)
class Format:
    """Describe a format.

    Attributes:
        suffix: Of the file that is named.
        write: Writes a content to a path.
        read: Returns what runs a file, and what it says.
        beside: Suffix of a second file that belongs to it; "" is none.
        packages: What must be installed to write and check it, beside PyTorch.
        takes_ranges: It can hold a network of 8 bits.
    """

    suffix: str
    write: Callable[[Content, Path], None]
    read: Callable[[Path], tuple[Run, str]]
    beside: str = ""
    packages: tuple[str, ...] = ()
    takes_ranges: bool = False

    def files(self, path: Path) -> tuple[Path, ...]:
        """Return all files of an export, the one that is named last."""
        return (path.with_suffix(self.beside), path) if self.beside else (path,)


FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", write_onnx, read_onnx, packages=("onnx", "onnxruntime")),
    "openvino": Format(
        ".xml", write_openvino, read_openvino, ".bin", ("openvino",), takes_ranges=True
    ),
    "torch": Format(".pt2", write_torch, read_torch),
}
"""Every format by name."""


def find_format(name: str) -> Format:
    """Return a format whose packages are here.

    Raises:
        InputError: There is no such format, or something is not installed.
    """
    if name not in FORMATS:
        near = difflib.get_close_matches(str(name)[:30].lower(), FORMATS, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(f"unknown format {str(name)[:60]!r}.{hint} Known: {', '.join(FORMATS)}.")
    missing = [package for package in FORMATS[name].packages if not find_spec(package)]
    if missing:
        raise InputError(
            f"export to {name} needs {' and '.join(missing)}, not installed here. "
            f"Use `pip install {' '.join(missing)}`, or --to torch."
        )
    return FORMATS[name]


def name_format(path: Path) -> str:
    """Return the format that a file's suffix stands for.

    Raises:
        InputError: It stands for none.
    """
    for name, kind in FORMATS.items():
        if path.suffix == kind.suffix:
            return name
    known = ", ".join(f"{kind.suffix} ({name})" for name, kind in FORMATS.items())
    raise InputError(f"{show_path(path)}: ends in no suffix of a format. Known: {known}.")
