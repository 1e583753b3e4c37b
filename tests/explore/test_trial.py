"""A trial: what it writes, that it goes on, and that failures are outcomes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s3d.errors import InputError
from s3d.explore.candidate import Candidate
from s3d.explore.trial import (
    Trial,
    plan_trial,
    read_outcome,
    read_scores,
    read_trial,
    run_trial,
)
from s3d.explore.work import run_trials

RECIPE = {"batch": 8, "lr": 1e-2, "ema": 0.8, "norm_decay": 0.6, "jitter": 0.05, "device": "cpu"}


def trial_of(colours: Path, network: str = "s3d_fast", **changes: object) -> Trial:
    candidate = Candidate(network, 0.1, 4, 32, 8.0)
    trial = Trial(candidate, 0, 12, str(colours), str(colours), options=RECIPE)
    return replace(trial, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def done(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = plan_trial(tmp_path_factory.mktemp("trials"), trial_of(colours, plays_reversed=True))
    run_trial(place)
    return place


def test_networks_start_at_random_on_equal_terms(colours: Path, tmp_path: Path) -> None:
    trial = trial_of(colours)
    assert trial.config(tmp_path).init == "none"
    named = replace(trial, options={**RECIPE, "init": "motion-small"})
    assert named.config(tmp_path).init == "motion-small"


def test_a_trial_learns_and_keeps_what_it_found(done: Path, colours: Path) -> None:
    outcome, scores = read_outcome(done), read_scores(done)
    assert outcome is not None
    assert outcome.error is None
    assert outcome.top1 == pytest.approx(scores.right.mean())
    assert outcome.top1 > 0.9
    assert (outcome.videos, outcome.listed) == (16, 16)
    assert outcome.minutes > 0
    assert scores.labels == ("blue", "red")
    assert sorted(scores.paths) == sorted(map(str, colours.rglob("*.mp4")))
    assert [scores.labels[t] for t in scores.truth] == [Path(p).parent.name for p in scores.paths]
    assert scores.forwards.sum(1) == pytest.approx(np.ones(16), abs=1e-5)
    assert scores.backwards is not None
    assert scores.backwards.shape == (16, 2)
    assert not (done / "run" / "state.ckpt").exists()


def test_a_finished_trial_is_only_read(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3d.explore.trial.train", lambda *a, **k: pytest.fail("trained again"))
    assert run_trial(done) == read_outcome(done)


def test_the_folder_says_all(done: Path, colours: Path) -> None:
    trial = trial_of(colours, plays_reversed=True)
    assert read_trial(done) == trial
    assert plan_trial(done.parent, trial) == done
    with pytest.raises(InputError, match="holds a trial with other settings"):
        plan_trial(done.parent, replace(trial, protocol="cover"))


def test_the_scored_videos_choose_nothing(done: Path, colours: Path) -> None:
    config = read_trial(done).config(done)
    assert (config.val_share, config.keep) == (0.0, "last")
    chosen = trial_of(colours, options={**RECIPE, "keep": "best", "val_share": 0.4})
    assert (chosen.config(done).val_share, chosen.config(done).keep) == (0.0, "last")


def test_a_failure_is_an_outcome_and_is_tried_again(colours: Path, tmp_path: Path) -> None:
    place = plan_trial(tmp_path, trial_of(colours, scored=str(tmp_path / "later")))
    outcome = run_trial(place)
    assert outcome.error is not None
    assert "no such folder or CSV" in outcome.error
    (tmp_path / "later").symlink_to(colours)
    assert run_trial(place).error is None


def test_damage_is_one_line(done: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trial.json: is missing or damaged"):
        read_trial(tmp_path)
    (tmp_path / "outcome.json").write_text("[1]")
    with pytest.raises(InputError, match=r"outcome.json: is missing or damaged"):
        read_outcome(tmp_path)
    (tmp_path / "scores.npz").write_bytes((done / "scores.npz").read_bytes()[:200])
    with pytest.raises(InputError, match=r"scores.npz: is missing or damaged"):
        read_scores(tmp_path)
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, labels=np.array([object()], dtype=object))
    (tmp_path / "scores.npz").write_bytes(pickled.read_bytes())
    with pytest.raises(InputError, match=r"scores.npz: is missing or damaged"):
        read_scores(tmp_path)


@pytest.mark.slow
def test_processes_give_the_same_numbers_and_one_that_dies_is_a_row(
    done: Path, colours: Path, tmp_path: Path
) -> None:
    same = plan_trial(tmp_path, trial_of(colours, plays_reversed=True))
    bad = plan_trial(tmp_path, trial_of(colours, "i2d"))
    (bad / "trial.json").write_text("{}")
    told: list[str] = []
    first, second = run_trials([same, bad], 2, lambda outcome: told.append(outcome.name))
    assert first.error is None
    assert np.array_equal(read_scores(same).forwards, read_scores(done).forwards)
    assert second.error is not None
    assert "trial.json: is missing or damaged" in second.error
    assert sorted(told) == sorted([same.name, bad.name])


@pytest.mark.slow
def test_a_killed_process_takes_its_trial_with_it_and_it_goes_on(
    done: Path, colours: Path, tmp_path: Path
) -> None:
    trial = trial_of(colours, epochs=400, options={**RECIPE, "checkpoint_seconds": 0.0})
    place = plan_trial(tmp_path, trial)
    code = (
        "import sys; from pathlib import Path; from s3d.explore.work import run_trials; "
        "run_trials([Path(sys.argv[1])], 1, lambda outcome: None)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(place)])
    history = place / "run" / "history.jsonl"
    wait_for(lambda: history.exists() and len(history.read_text().splitlines()) > 3)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not children_of(place))
    reached = len(history.read_text().splitlines())
    assert reached < 400
    time.sleep(0.5)
    assert len(history.read_text().splitlines()) == reached
    again = subprocess.Popen([sys.executable, "-c", code, str(place)])
    wait_for(lambda: len(history.read_text().splitlines()) > reached)
    again.kill()
    again.wait()
    wait_for(lambda: not children_of(place))


def wait_for(is_so, seconds: float = 90.0) -> None:  # type: ignore[no-untyped-def]
    begin = time.monotonic()
    while not is_so():
        assert time.monotonic() - begin < seconds
        time.sleep(0.05)


def children_of(place: Path) -> list[str]:
    """Return the processes that work on a trial."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"s3d.explore.work" in words and os.fsencode(place) in words:
            found.append(path.parent.name)
    return found
