"""Published weights, through the importer, against what published code answered (shared/parity).

Each case goes the way that a person's file goes: written as its publisher wrote it, its source
guessed, converted.
"""

from __future__ import annotations

import json
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s3d.models.inflate import find_image_weights
from s3d.models.network import build
from s3d.models.published.convert import Conversion, convert
from s3d.models.published.tensors import read_contents
from tests.tolerances import PARITY

SLIM_NAMES = {
    "conv1a": "Conv2d_1a_7x7",
    "pool2a": "MaxPool_2a_3x3",
    "conv2b": "Conv2d_2b_1x1",
    "conv2c": "Conv2d_2c_3x3",
    "pool3a": "MaxPool_3a_3x3",
    "mixed3b": "Mixed_3b",
    "mixed3c": "Mixed_3c",
    "pool4a": "MaxPool_4a_3x3",
    "mixed4b": "Mixed_4b",
    "mixed4c": "Mixed_4c",
    "mixed4d": "Mixed_4d",
    "mixed4e": "Mixed_4e",
    "mixed4f": "Mixed_4f",
    "pool5a": "MaxPool_5a_2x2",
    "mixed5b": "Mixed_5b",
    "mixed5c": "Mixed_5c",
}


def load_case(shared_dir: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    """Return what was answered, the state dict and the clip, by shared/parity/README.md."""
    path = shared_dir / "parity" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"no parity case at {path}")
    case = json.loads(path.read_text())
    seed, shape = case["expected"]["seed"], case["expected"]["clip"]
    # The table of words is 20 million numbers, which no video network has a place for.
    names = [name for name in case["parameters"] if "word_embd" not in name]
    weights = {name: fill(name, case["parameters"][name], seed) for name in names}
    clip = np.random.RandomState(seed).uniform(-1, 1, shape)
    return case["expected"], weights, torch.from_numpy(clip).float()


def fill(name: str, shape: list[int], seed: int) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    r = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    n = r.standard_normal(shape)
    if name.endswith("running_var"):
        n = r.uniform(0.5, 1.5, shape)
    elif name.endswith("running_mean") or (len(shape) < 2 and not name.endswith("weight")):
        n = 0.1 * n
    elif len(shape) >= 2:
        n = n * np.sqrt(2 / prod(shape[1:]))
    else:
        n = 1 + 0.1 * n
    return torch.from_numpy(n).float()


def check_answer(found: Tensor, wanted: dict[str, Any]) -> None:
    logits = torch.tensor(wanted["logits"])
    assert abs(float(found.norm()) - wanted["norm"]) <= PARITY * wanted["norm"]
    assert (found[: len(logits)] - logits).norm() <= PARITY * wanted["norm"]


def convert_published(
    path: Path, content: dict[str, Any], source: str, *, is_legacy: bool = False
) -> Conversion:
    """Write a file as it was published, and convert it; all but counters must be used."""
    torch.save(content, path, _use_new_zipfile_serialization=not is_legacy)
    done = convert(path)
    assert (done.source, done.guessed) == (source, True)
    odd = [n for n in done.unused if "num_batches_tracked" not in n and "text_module" not in n]
    assert odd == []
    return done


def test_torchvision_answers_the_same(shared_dir: Path, tmp_path: Path) -> None:
    wanted, weights, clip = load_case(shared_dir, "torchvision_s3d")
    done = convert_published(tmp_path / "s3d.pth", weights, "torchvision")
    assert done.model.network.word == "s" * 11
    with torch.no_grad():
        check_answer(done.model.network(clip)[0], wanted)


def test_kylemin_answers_the_same(shared_dir: Path, tmp_path: Path) -> None:
    wanted, weights, clip = load_case(shared_dir, "kylemin_s3d")
    published = {f"module.{name}": tensor for name, tensor in weights.items()}
    done = convert_published(tmp_path / "S3D_kinetics400.pt", published, "kylemin")
    with torch.no_grad():
        check_answer(done.model.network(clip)[0], wanted)


def test_i3d_answers_the_same(shared_dir: Path, tmp_path: Path) -> None:
    wanted, weights, clip = load_case(shared_dir, "piergiaj_i3d_rgb")
    path = tmp_path / "rgb_imagenet.pt"
    done = convert_published(path, weights, "piergiaj", is_legacy=True)
    assert done.model.network.word == "3" * 11
    with torch.no_grad():
        check_answer(done.model.network(clip)[0], wanted)


def test_mil_nce_gives_the_same_features(shared_dir: Path, tmp_path: Path) -> None:
    wanted, weights, clip = load_case(shared_dir, "milnce_s3dg")
    done = convert_published(tmp_path / "s3d_howto100m.pth", weights, "mil-nce")
    assert done.model.labels == ()
    assert done.model.spec.value_range == (0, 1)
    with torch.no_grad():
        check_answer(done.model.network.features((clip + 1) / 2).mean((2, 3, 4))[0], wanted)


def test_slim_answers_the_same_on_its_own_checkpoint(shared_dir: Path) -> None:
    folder = shared_dir / "parity" / "slim_s3dg_quarter"
    golden = np.load(folder / "golden.npz")
    points = json.loads((folder / "about.json").read_text())["endpoints"]
    done = convert(folder)
    network = done.model.network
    assert (done.source, done.unused, network.width) == ("slim", (), 0.25)
    clip = torch.from_numpy(golden["clip"]).permute(0, 4, 1, 2, 3)
    with torch.no_grad():
        for block, name in SLIM_NAMES.items():
            shape, mean, deviation = points[name]
            features = network.features(clip, at=block).permute(0, 2, 3, 4, 1)
            assert list(features.shape) == shape, block
            # Both are small beside the root of the mean square where a map is mostly zero.
            allowed = PARITY * (mean**2 + deviation**2) ** 0.5
            assert abs(float(features.mean()) - mean) <= allowed, block
            assert abs(float(features.std(correction=0)) - deviation) <= allowed, block
        for found, name in ((features, "mixed_5c"), (network(clip), "logits")):
            wanted = torch.from_numpy(golden[name])
            assert (found - wanted).norm() <= PARITY * wanted.norm()


def test_googlenet_inflated_answers_a_still_as_it_answers_the_image(
    shared_dir: Path, tmp_path: Path
) -> None:
    wanted, weights, image = load_case(shared_dir, "torchvision_googlenet")
    torch.save(weights, tmp_path / "googlenet.pth")
    images = find_image_weights(read_contents(tmp_path / "googlenet.pth"))
    assert images is not None
    network = build("i2d", num_classes=1000, inflate=images).eval()
    with torch.no_grad():
        check_answer(network(image[:, :, None])[0], wanted)
