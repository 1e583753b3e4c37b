"""`s3d explore`: from videos to a recommendation; resumed, asked again, and refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from s3d.cli import main
from s3d.explore import explore
from s3d.explore.trial import Outcome, run_trial
from s3d.explore.work import Tell
from tests.tiny import refuse, run_s3d

RECIPE = (
    "--frames=4", "--sizes=32", "--rates=8", "--widths=0.1", "--batch=8", "--lr=0.01", "--ema=0.8",
    "--norm-decay=0.6", "--jitter=0.05", "--device=cpu", "--workers=1",
)  # fmt: skip
NETWORKS = ("--networks=i2d,s3d_fast",)


def words(data: Path, out: Path, *more: str) -> list[str]:
    return ["explore", str(data), "--out", str(out), *RECIPE, *NETWORKS, *more]


def read_rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "explore.csv").read_text("utf-8").splitlines()))


@pytest.fixture(scope="module")
def found(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an exploration of two networks that learnt colours."""
    out = tmp_path_factory.mktemp("explore") / "found"
    said, told = io.StringIO(), io.StringIO()
    # Processes of their own take seconds to start; tests/explore/test_trial.py has them.
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(told):
        patch.setattr(explore, "run_trials", run_here)
        code = main(words(colours, out, "--budget-gmacs=1", "--epochs=12", "--seeds=1"))
    assert code == 0
    assert "round 1 of 1: 2 candidates, 12 epochs" in told.getvalue()
    assert "[2/2]" in told.getvalue()
    (out / "said.txt").write_text(said.getvalue())
    return out


def run_here(places: Sequence[Path], workers: int, tell: Tell) -> list[Outcome]:
    outcomes = [run_trial(place) for place in places]
    for outcome in outcomes:
        tell(outcome)
    return outcomes


@pytest.mark.slow
def test_it_recommends_within_the_budget_and_writes_all(found: Path) -> None:
    said = (found / "said.txt").read_text()
    assert "measured again: " in said
    rows = read_rows(found)
    assert {row["network"] for row in rows} == {"i2d", "s3d_fast"}
    assert (found / "explore.html").read_text().startswith("<!DOCTYPE html>")
    assert (found / "explore.png").read_bytes().startswith(b"\x89PNG")
    from s3d.models.model_file import load_model

    model = load_model(found / "model.safetensors")
    assert model.labels == ("blue", "red")
    # Both tell colours apart, so no difference is seen and the cheaper is taken.
    assert model.network.word == "2" * 11


@pytest.mark.slow
def test_asked_again_with_another_budget_nothing_is_trained(
    found: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in found.glob("trials/*/outcome.json")}
    assert len(before) == 2
    assert (
        main(words(colours, found, "--budget-ms=10000", "--epochs=12", "--seeds=1", "--json")) == 0
    )
    values = json.loads(capsys.readouterr().out)
    assert values["recommended"].split("-")[0] in ("i2d", "s3d_fast")
    assert values["measured_again_ms"] > 0
    assert values["macs"] > 0
    after = {path: path.stat().st_mtime_ns for path in found.glob("trials/*/outcome.json")}
    assert after == before


@pytest.mark.slow
def test_where_nothing_fits_the_nearest_is_named(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    assert main(words(colours, out, "--budget-gmacs=0.000001", "--epochs=1")) == 2
    said = capsys.readouterr().out
    assert "No candidate fits the budget of 0.000001 G multiply-adds, so none was trained" in said
    assert "The nearest is i2d-w0.1-4x32-r8: " in said
    assert not list(out.glob("trials/*"))
    assert "over the budget" in (out / "explore.csv").read_text()


@pytest.mark.slow
def test_folds_and_halving(
    colours: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(explore, "run_trials", run_here)
    out = tmp_path / "found"
    more = ("--budget-gmacs=1", "--epochs=4", "--seeds=1", "--folds=2", "--halving")
    assert main(words(colours, out, *more, "--networks=i2d,s3d_fast,s3d_top_8")) == 0
    said = capsys.readouterr().err
    assert "round 1 of 2: 3 candidates, 1 epochs; the better 2 go on" in said
    assert len(list(out.glob("trials/*-e1-f*/outcome.json"))) == 6
    assert len(list(out.glob("trials/*-e4-f*/outcome.json"))) == 4
    rows = read_rows(out)
    assert sorted(row["state"] for row in rows) == ["dropped early", "trained", "trained"]


@pytest.mark.slow
def test_on_ray(colours: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "found"
    more = ("--budget-gmacs=1", "--epochs=1", "--seeds=1", "--ray=auto", "--networks=i2d")
    done = run_s3d(*words(colours, out, *more))
    assert done.returncode == 0, done.stderr
    assert "[1/1] i2d-w0.1-4x32-r8-e1-f0-s0" in done.stderr
    assert (out / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "name one budget: --budget-ms 200, or --budget-gmacs 40."),
        (("--budget-ms", "much"), "argument --budget-ms: invalid float value: 'much'"),
        (("--budget-ms", "1", "--networks", "s5d"), "unknown network 's5d'"),
        (("--budget-ms", "1", "--protocol", "best"), "unknown protocol 'best'"),
        (("--budget-ms", "1", "--engine", "warp"), "unknown engine 'warp'"),
        (("--budget-ms", "1", "--budjet", "2"), "unknown option '--budjet'. Did you mean --budget"),
    ],
)
def test_wrong_words_are_one_line(
    colours: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    message: str,
) -> None:
    line = refuse(capsys, "explore", colours, "--out", tmp_path / "found", *more)
    assert message in line
    assert not (tmp_path / "found").exists()


def test_a_folder_is_needed(colours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--out is missing" in refuse(capsys, "explore", colours, "--budget-ms", "1")


def test_missing_data_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = tmp_path / "gone"
    line = refuse(capsys, "explore", gone, "--out", tmp_path / "found", "--budget-ms", "1")
    assert "no such folder or CSV" in line
