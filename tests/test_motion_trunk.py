"""The recipe of the trunks: what it learns, and what it packs."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from s3d import compiled
from s3d.cli.motion_trunk import run_trunks
from s3d.errors import InputError
from s3d.models.model_file import load_model
from s3d.models.shipped.table import SHIPPED
from s3d.pretrain.settings import PretrainConfig

TINY = PretrainConfig(
    network="s3d_fast", width=0.05, clips=8, batch=8, frames=8, size_px=32, late_size_px=32
)
Output = pytest.CaptureFixture[str]
needs_compiler = pytest.mark.skipif(
    compiled.find_compiler() is None, reason="no C compiler is here to draw with"
)


def test_every_shipped_trunk_has_a_recipe() -> None:
    path = Path(__file__).parents[1] / "recipes" / "motion_trunk.py"
    recipes = runpy.run_path(str(path))["TRUNKS"]
    assert set(SHIPPED) <= set(recipes)
    for name, shipped in SHIPPED.items():
        network = load_model(shipped.path).network
        assert (network.word, network.width) == (recipes[name].network, recipes[name].width)


@needs_compiler
def test_it_learns_and_packs(tmp_path: Path, capsys: Output) -> None:
    torch.set_num_threads(1)
    run, folder = tmp_path / "run", tmp_path / "shipped"
    folder.mkdir()
    words = ["--out", str(run), "--processes", "0"]
    assert run_trunks({"tiny": TINY}, words, folder) == 0
    assert "learnt from 8 clips" in capsys.readouterr().out
    assert run_trunks({"tiny": TINY}, [*words, "--ship"], folder) == 0
    assert "not what s3d/models/shipped/table.py records" in capsys.readouterr().out
    packed, learnt = load_model(folder / "tiny.safetensors"), load_model(run / "trunk.safetensors")
    clips = torch.randn(1, 3, 8, 32, 32)
    assert packed.network.features(clips).allclose(learnt.network.features(clips), atol=0.02)


@needs_compiler
def test_what_is_typed_wrong_is_one_line(tmp_path: Path, capsys: Output) -> None:
    words = ["--out", str(tmp_path), "--clips", "4", "--ship"]
    assert run_trunks({"tiny": TINY}, words, tmp_path) == 2
    assert "--ship packs what the recipe gives" in capsys.readouterr().err
    assert run_trunks({"tiny": TINY}, ["--out", str(tmp_path), "--clips", "0"], tmp_path) == 2
    assert "--clips is 0; it needs a number from 1" in capsys.readouterr().err
    assert run_trunks({"tiny": TINY}, ["--leave-out", "everything"], tmp_path) == 2
    assert "invalid choice: 'everything'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch": 7}, "clips come in pairs"),
        ({"size_px": 40}, "40 px cannot be drawn"),
        ({"clips": 0}, "--clips is 0; it needs a number from 1 to"),
        ({"left_out": ("sound",)}, "sound cannot be left out; verbs, pairs"),
    ],
)
def test_settings_are_checked(changes: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        replace(TINY, **changes)  # type: ignore[arg-type]
