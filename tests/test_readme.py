"""What the README says can be done: its commands run, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from s3d.cli import main
from s3d.cli.entry import make_parser
from s3d.cli.parser import parse, subparsers, walk_parsers
from s3d.models.published.weights import WEIGHTS
from tests.conftest import ROOT
from tests.tiny import tiny_words

TINIER = {
    "train": [*tiny_words(epochs=1), "--quiet"],
    "flow": ["--short-side=32", "--threads=1"],
    "explore": [
        "--networks=i2d", "--widths=0.1", "--frames=4", "--sizes=32", "--rates=8", "--batch=8",
        "--epochs=1", "--workers=1", "--quiet", "--budget-ms=5000",
    ],
    "sample-boxes": ["--train-videos=2", "--test-videos=1", "--seconds=1"],
    "train-detector": [
        "--steps=2", "--batch=2", "--width=0.1", "--frames=8", "--size=48x64", "--quiet",
    ],
}  # fmt: skip
"""What makes a command one of seconds."""
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Return the `s3d ...` lines of the README's shell blocks, as words."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("s3d ")]


def needs_download(words: list[str]) -> bool:
    """Return whether a command takes published weights, which tests cannot have."""
    return bool(set(words) & set(WEIGHTS)) or (words[0] == "predict" and "--model" not in words)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, colours: Path) -> Path:
    """Return a folder that holds what the README's names stand for."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("videos", "more_videos"):
        shutil.copytree(colours, folder / name)
    shutil.copy(colours / "red" / "0.mp4", folder / "new.mp4")
    return folder


def test_the_commands_run_in_their_order(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    verbs = []
    for words in commands():
        if needs_download(words):
            continue
        verbs.append(words[0])
        extra = TINIER.get(words[0], [])
        # Of so few videos a class the data doctor has something to say: code 1.
        assert main([*words, *extra]) == (1 if words[0] == "check" else 0), words
    assert verbs[:3] == ["train", "evaluate", "predict"]
    assert (home / "run" / "report.html").exists()
    assert "new.mp4" in capsys.readouterr().out


@pytest.mark.parametrize("words", [c for c in commands() if needs_download(c)], ids=" ".join)
def test_commands_with_published_weights_are_understood(words: list[str]) -> None:
    options = parse(words, make_parser())
    model = options.init if words[0] == "train" else options.model
    assert WEIGHTS[model].files[0].url


def test_the_python_runs(
    home: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (home / "run").mkdir(exist_ok=True)
    shutil.copy(tiny_model, home / "run" / "model.safetensors")
    monkeypatch.chdir(home)
    (code,) = blocks("python")
    names: dict[str, object] = {"clips": torch.zeros(1, 3, 4, 32, 32)}
    exec(compile(code, "README.md", "exec"), names)
    assert capsys.readouterr().out.startswith("[('")
    features = names["features"]
    assert isinstance(features, torch.Tensor)
    assert features.ndim == 5


def test_options_and_verbs_it_names_exist() -> None:
    parsers = subparsers(make_parser())
    every = walk_parsers(make_parser())
    known = {option for p in every for a in p._actions for option in a.option_strings}
    text = re.sub(r"(pip install|python recipes/)[^`\n]*", "", README)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known
    assert set(re.findall(r"`s3d ([a-z]+)", text)) <= set(parsers)


def test_the_two_scripts_can_be_run() -> None:
    scripts = re.findall(r"^(scripts/\w+)", "\n".join(blocks("sh")), re.MULTILINE)
    assert scripts[:2] == ["scripts/demo", "scripts/test"]
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for link in links:
        if "://" not in link:
            assert (page.parent / link).exists(), link


def test_nothing_waits_to_be_filled_in() -> None:
    assert "@@" not in README
