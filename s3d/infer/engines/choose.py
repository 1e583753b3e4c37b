"""Which engine a model runs by: the fastest on this machine, measured once and remembered.

Each choice is a file of its own, so that processes that choose at once lose none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from s3d import __version__
from s3d.clip import ClipSpec
from s3d.compiled import find_compiler
from s3d.errors import InputError
from s3d.files import cache_folder, make_folder, write_json
from s3d.infer.engines.engine import EAGER, KINDS, Engine, check_engine, usable_engines
from s3d.infer.engines.measure import EngineFigures, measure_engines
from s3d.models.family import network_name
from s3d.models.network import Network

AUTO = "auto"
VARIABLE = "S3D_ENGINE"
PROBE_FRAMES = 16
"""Frames of the clip by which engines are compared: their order is that of longer ones."""

MOST_REMEMBERED = 500

Tell = Callable[[str], None]

_MEASURING = threading.Lock()
"""Two measurements at once would disturb each other."""


def choose_engine(
    network: Network, spec: ClipSpec, wanted: str | None = None, tell: Tell | None = None
) -> Engine:
    """Return the engine to run a network by.

    Args:
        network: In eval mode, where it is to run.
        spec: Its clip.
        wanted: An engine by name; "auto" or None is what S3D_ENGINE names, or the fastest. Which
            one that is was measured before on this machine, or is measured now, within seconds.
        tell: Is told in a line when it is measured.

    Raises:
        InputError: There is no such engine, or it cannot run here.
    """
    device = _device_of(network)
    if wanted not in (None, AUTO):
        return Engine(network, spec, wanted)
    named = os.environ.get(VARIABLE) or AUTO
    if named == AUTO:
        return Engine(network, spec, _fastest(network, spec, tell))
    try:
        check_engine(named, device)
    except InputError as error:
        raise InputError(f"the variable {VARIABLE}: {error}") from None
    return Engine(network, spec, named)


def fastest_equal(figures: Sequence[EngineFigures]) -> str:
    """Return the fastest engine whose answers are those of eager; eager where there is none."""
    equal = [found for found in figures if found.is_equal]
    return min(equal, key=lambda found: found.latency_ms).name if equal else EAGER


def remember_choice(
    network: Network, spec: ClipSpec, figures: Sequence[EngineFigures]
) -> Path | None:
    """Let "auto" take the fastest of measured engines from now on, on this machine.

    It is taken for networks of this kind, whatever their weights, and for clips of this size.

    Args:
        network: What was measured, where it was.
        spec: The clip.
        figures: Of every engine that can run here.

    Returns:
        The file in which it stands; None where none can be written.
    """
    name = fastest_equal(figures)
    values = {
        "engine": name,
        "network": network_name(network.word),
        "latency_ms": {f.name: round(f.latency_ms, 2) for f in figures if f.is_equal},
    }
    try:
        path = choice_file(network, spec)
        make_folder(path.parent)
        write_json(path, values)
    except InputError:
        return None  # Without a place to remember it is measured again: slower, and not wrong.
    _forget_oldest(path.parent)
    return path


def read_choice(network: Network, spec: ClipSpec) -> str | None:
    """Return the engine that is remembered; None where the file is missing or damaged."""
    try:
        found = json.loads(choice_file(network, spec).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, InputError):
        return None
    name = found.get("engine") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None


def choice_file(network: Network, spec: ClipSpec) -> Path:
    """Return where the choice for a network and a clip is remembered; it need not exist.

    Raises:
        InputError: No home folder is known.
    """
    return cache_folder() / "engines" / f"{_key(network, spec)}.json"


def _fastest(network: Network, spec: ClipSpec, tell: Tell | None) -> str:
    with _MEASURING:
        remembered = read_choice(network, spec)
        if remembered is not None and _can_run(remembered, _device_of(network)):
            return remembered
        if tell is not None:
            tell("measuring once which engine is the fastest here")
        usable = usable_engines(_device_of(network))
        short = replace(spec, frames=min(spec.frames, PROBE_FRAMES))
        found = measure_engines(network, short, usable, runs=3, measures_batch=False)
        remember_choice(network, spec, found)
    return fastest_equal(found)


def _can_run(name: str, device: str) -> bool:
    try:
        check_engine(name, device)
    except InputError:
        return False
    return True


def _key(network: Network, spec: ClipSpec) -> str:
    """Return what the choice depends on, as one word."""
    device = _device_of(network)
    facts = [
        platform.machine(), _processor(device), torch.get_num_threads(), device,
        network.word, network.style.to_json(), network.width, network.num_classes,
        network.channels, min(spec.frames, PROBE_FRAMES), spec.size_px, _versions(),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _device_of(network: Network) -> str:
    return next(network.parameters()).device.type


def _processor(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    # What it can do as well: a virtual machine gives its processors one name for many.
    return " ".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))


def _versions() -> list[str]:
    packages = ["torch", *{package for kind in KINDS.values() for package in kind.packages}]
    compiler = f"C compiler {find_compiler() or '-'}"
    found = sorted(f"{name} {package_version(name)}" for name in packages)
    return [f"s3d {__version__}", compiler, *found]


def package_version(package: str) -> str:
    """Return the version of an installed package, or "-"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def _forget_oldest(folder: Path) -> None:
    with contextlib.suppress(OSError):
        files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in files[:-MOST_REMEMBERED]:
            path.unlink(missing_ok=True)
