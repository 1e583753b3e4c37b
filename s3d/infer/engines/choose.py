"""Which engine a model runs by: the fastest on this machine, measured once and remembered."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.files import cache_folder, make_folder, write_json
from s3d.infer.engines.engine import KINDS, Engine, check_engine, usable_engines
from s3d.infer.engines.measure import measure_engines
from s3d.models.network import Network

AUTO = "auto"
VARIABLE = "S3D_ENGINE"
PROBE_FRAMES = 16
"""Frames of the clip by which engines are compared: their order is that of longer ones."""

MOST_REMEMBERED = 500

Tell = Callable[[str], None]


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
    name = wanted or AUTO
    if name == AUTO:
        name = os.environ.get(VARIABLE) or AUTO
    if name == AUTO:
        name = _fastest(network, spec, tell)
    check_engine(name, next(network.parameters()).device.type)
    return Engine(network, spec, name)


def _fastest(network: Network, spec: ClipSpec, tell: Tell | None) -> str:
    device = next(network.parameters()).device.type
    usable = usable_engines(device)
    key = _key(network, spec, device)
    remembered = read_choices().get(key)
    if remembered in usable:
        return str(remembered)
    if tell is not None:
        tell("measuring once which engine is the fastest here")
    short = replace(spec, frames=min(spec.frames, PROBE_FRAMES))
    found = measure_engines(network, short, runs=3, measures_batch=False)
    name = found[0].name
    _remember(key, name)
    return name


def _key(network: Network, spec: ClipSpec, device: str) -> str:
    """Return what the choice depends on, as one word."""
    facts = [
        platform.machine(), _processor(), torch.get_num_threads(), device, network.word,
        network.style.to_json(), network.width, network.num_classes, network.channels,
        min(spec.frames, PROBE_FRAMES), spec.size_px, _versions(),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    # What it can do as well: a virtual machine gives its processors one name for many.
    return " ".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))


def _versions() -> list[str]:
    packages = ["torch", *{package for kind in KINDS.values() for package in kind.packages}]
    return sorted(f"{package} {_version(package)}" for package in packages)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def choices_file() -> Path:
    """Return where choices are remembered; it need not exist."""
    return cache_folder() / "engines.json"


def read_choices() -> dict[str, Any]:
    """Return what is remembered: nothing where the file is missing or damaged."""
    try:
        found = json.loads(choices_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, InputError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(key: str, name: str) -> None:
    choices = {**read_choices(), key: name}
    while len(choices) > MOST_REMEMBERED:
        del choices[next(iter(choices))]
    try:
        make_folder(choices_file().parent)
        write_json(choices_file(), choices)
    except InputError:
        return  # Without a place to remember it is measured again: slower, and not wrong.
