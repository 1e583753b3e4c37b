"""The recipes: what they promise, and three steps of each on made-up clips in the true layout."""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from s3d.cli.recipe import run_recipe
from s3d.clip import ClipSpec
from s3d.data.decode import read_frames
from s3d.errors import InputError
from s3d.models.model_file import ModelFile, load_model, save_model
from s3d.models.network import build
from s3d.train.optimise import learning_rate
from s3d.train.recipe import PAPER, Recipe, describe_recipe, fit_recipe
from tests.conftest import ROOT, WriteVideo
from tests.data.datasets.test_something import write_pictures

Output = pytest.CaptureFixture[str]
FILES = sorted(p for p in (ROOT / "recipes").glob("*.py") if "RECIPE = Recipe(" in p.read_text())
LABELS = ("blue", "red")
TRAINED, SCORED = range(4), range(4, 6)


def load_recipe(path: Path) -> Recipe:
    recipe = runpy.run_path(str(path))["RECIPE"]
    assert isinstance(recipe, Recipe)
    return recipe


def part_of(number: int) -> str:
    return "train" if number in TRAINED else "val"


def lay_kinetics(clips: Path, folder: Path, write_video: WriteVideo) -> None:
    rows: dict[str, list[str]] = {"train": [], "val": []}
    for label in LABELS:
        for number in (*TRAINED, *SCORED):
            name, part = f"{label:_<10}{number}", part_of(number)
            (folder / part).mkdir(parents=True, exist_ok=True)
            shutil.copy(
                clips / label / f"{number}.mp4", folder / part / f"{name}_000000_000010.mp4"
            )
            rows[part].append(f"{label},{name},0,10,{part},0")
    header = "label,youtube_id,time_start,time_end,split,is_cc"
    for part, lines in rows.items():
        (folder / f"{part}.csv").write_text("\n".join([header, *lines]) + "\n")
        ids = [line.split(",")[1] for line in lines]
        (folder / f"{part}_ytid_list.txt").write_text("\n".join(ids))


def lay_v1(clips: Path, folder: Path, write_video: WriteVideo) -> None:
    rows: dict[str, list[str]] = {"train": [], "validation": []}
    for index, label in enumerate(LABELS):
        for number in (*TRAINED, *SCORED):
            name = str(10 * index + number)
            write_pictures(folder / "20bn-something-something-v1" / name, 8)
            rows["train" if number in TRAINED else "validation"].append(f"{name};{label}")
    for part, lines in rows.items():
        (folder / f"something-something-v1-{part}.csv").write_text("\n".join(lines))


def lay_v2(clips: Path, folder: Path, write_video: WriteVideo) -> None:
    entries: dict[str, list[dict[str, str]]] = {"train": [], "validation": []}
    (folder / "20bn-something-something-v2").mkdir(parents=True)
    for index, label in enumerate(LABELS):
        for number in (*TRAINED, *SCORED):
            name = str(10 * index + number)
            frames = read_frames(clips / label / f"{number}.mp4", range(8))
            path = folder / "20bn-something-something-v2" / f"{name}.webm"
            write_video(path, frames, 8, codec="libvpx-vp9")
            part = "train" if number in TRAINED else "validation"
            entries[part].append({"id": name, "label": label, "template": label})
    numbers = {label: str(index) for index, label in enumerate(LABELS)}
    for name, values in {**entries, "labels": numbers}.items():
        (folder / f"something-something-v2-{name}.json").write_text(json.dumps(values))


def lay_ucf(clips: Path, folder: Path, write_video: WriteVideo) -> None:
    folder.mkdir(parents=True)
    (folder / "classInd.txt").write_text("1 blue\n2 red\n")
    rows: dict[str, list[str]] = {"train": [], "test": []}
    for index, label in enumerate(LABELS, start=1):
        (folder / label).mkdir()
        for number in (*TRAINED, *SCORED):
            name = f"{label}/v_{label}_g{number:02d}_c01.avi"
            shutil.copy(clips / label / f"{number}.mp4", folder / name)
            part = "train" if number in TRAINED else "test"
            rows[part].append(f"{name} {index}" if part == "train" else name)
    for part, lines in rows.items():
        (folder / f"{part}list01.txt").write_text("\n".join(lines))


def lay_hmdb(clips: Path, folder: Path, write_video: WriteVideo) -> None:
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        lines = []
        for number in (*TRAINED, *SCORED):
            name = f"Film{number}_{label}_f_cm_np1_fr_med_{number}.avi"
            shutil.copy(clips / label / f"{number}.mp4", folder / label / name)
            lines.append(f"{name} {1 if number in TRAINED else 2}")
        (folder / f"{label}_test_split1.txt").write_text("\n".join(lines))


LAYOUTS: dict[str, Callable[[Path, Path, WriteVideo], None]] = {
    "kinetics400": lay_kinetics,
    "mini_kinetics200": lay_kinetics,
    "sthv1": lay_v1,
    "sthv2": lay_v2,
    "ucf101": lay_ucf,
    "hmdb51": lay_hmdb,
}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a narrow S3D-G of other classes, to start from in the place of image weights."""
    torch.manual_seed(0)
    network = build("s3d_g", num_classes=3, width=0.1)
    path = tmp_path_factory.mktemp("start") / "model.safetensors"
    spec = ClipSpec(4, 8.0, (36, 36), (32, 32))
    save_model(path, ModelFile(network, ("a", "b", "c"), spec))
    return path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_few_steps_of_each(
    path: Path,
    start: Path,
    colours: Path,
    tmp_path: Path,
    write_video: WriteVideo,
    capsys: Output,
) -> None:
    recipe, out = load_recipe(path), tmp_path / "run"
    LAYOUTS[recipe.dataset](colours, tmp_path / "data", write_video)
    words = [str(tmp_path / "data"), "--out", str(out), "--init", str(start), "--network", "s3d_g"]
    words += ["--steps", "3", "--batch", "4", "--clips-a-gpu", "3", "--device", "cpu"]
    words += ["--frames", "4", "--rate-fps", "8", "--size", "32", "--threads", "1"]
    if recipe.config.flow:
        words += ["--flow", str(tmp_path / "flow"), "--flow-side", "32"]
    assert run_recipe(recipe, words) == 0
    said = capsys.readouterr().out
    assert "4 clips a step on 1 process, 3 at a time: in 2 parts (--clips-a-gpu)" in said
    assert recipe.config.lr is not None
    lr = recipe.config.lr * 4 / recipe.config.batch
    assert f"learning rate {lr:g}, not {recipe.config.lr:g}: scaled with the batch" in said
    assert "; 4 of 4 videos; protocol all-frames" in said
    run = json.loads((out / "run.json").read_text())
    assert (run["config"]["accumulate"], run["config"]["optimizer"]) == (2, "sgd")
    assert (run["plan"]["lr"], len(run["train"])) == (pytest.approx(lr), 8)
    history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in history] == [2, 3]  # of 2 epochs of 2 steps
    result = json.loads((out / "recipe.json").read_text())
    assert (result["result"]["protocol"], result["result"]["coverage"]) == (
        "all-frames",
        "4 of 4 videos",
    )
    assert load_model(out / "model.safetensors").spec.modality == (
        "flow" if recipe.config.flow else "rgb"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_says_what_it_takes_and_gives(path: Path, capsys: Output) -> None:
    recipe = load_recipe(path)
    assert run_recipe(recipe, ["--promise"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(recipe.title)
    assert said.count("not run (ours)") == len(recipe.figures)
    assert "  hardware   " in said
    assert f"{recipe.config.steps:,} steps of {recipe.config.batch} clips" in said


def test_the_schedule_is_the_printed_one() -> None:
    kinetics, ucf = (load_recipe(ROOT / "recipes" / f"{n}.py") for n in ("kinetics400", "ucf101"))
    for recipe, changes in ((kinetics, (60_000, 70_000)), (ucf, (6_000,))):
        config = recipe.config
        assert config.lr is not None
        assert config.steps is not None
        rates = [
            learning_rate(config, config.lr, step, config.steps) for step in range(config.steps)
        ]
        falls = np.flatnonzero(np.diff(rates)) + 1
        assert tuple(falls) == changes
        assert rates[0] == config.lr
        np.testing.assert_allclose(rates[-1], config.lr * 0.1 ** len(changes))
    assert kinetics.config.batch == 56 * 6


def test_the_batch_stays_and_takes_as_many_parts_as_it_needs() -> None:
    recipe = load_recipe(ROOT / "recipes" / "kinetics400.py")
    for world, parts in ((1, 56), (8, 7), (56, 1), (64, 1)):
        fitted, lines = fit_recipe(recipe, recipe.config, world)
        assert (fitted.accumulate, fitted.batch, fitted.lr) == (parts, 336, 0.1)
        assert len(lines) == 1
    asked = replace(recipe.config, batch=168, lr=0.2, accumulate=3)
    assert fit_recipe(recipe, asked, 8) == (asked, ())


def test_hours_follow_from_the_measured_rate() -> None:
    recipe = load_recipe(ROOT / "recipes" / "kinetics400.py")
    said = describe_recipe(recipe, {"a GPU": 100.0})
    assert "hours      75 on a GPU, computed from 100 clips a second measured" in said


def test_what_is_missing_is_one_line(tmp_path: Path, capsys: Output) -> None:
    ucf = load_recipe(ROOT / "recipes" / "ucf101.py")
    for words, said in (
        ([], "name the folder of ucf101 and one for the run, as in DIR --out RUN."),
        ([str(tmp_path)], "name the folder of ucf101"),
        ([str(tmp_path), "--out", str(tmp_path / "r")], "Name it with --init, as in"),
        ([str(tmp_path), "--clips-a-gpu", "0", "--out", "r"], "--clips-a-gpu is 0; at least 1"),
        (["--promis"], "unknown option '--promis'. Did you mean --promise"),
    ):
        assert run_recipe(ucf, words) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert said in err


def test_shares_and_steps_are_checked() -> None:
    with pytest.raises(InputError, match=r"--decay-at is '0\.5,x'; it needs shares of the steps"):
        replace(PAPER, decay_at="0.5,x")
    with pytest.raises(InputError, match="--steps and --epochs say the same thing"):
        replace(PAPER, epochs=3)
