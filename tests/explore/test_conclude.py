"""From trials to an answer: points, the price that is checked, and what cannot be judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data.video_list import Video
from s3d.errors import InputError
from s3d.explore import conclude as conclude_module
from s3d.explore.candidate import Candidate
from s3d.explore.collect import judge, make_report
from s3d.explore.conclude import conclude
from s3d.explore.explore import Exploration, Tried
from s3d.explore.halving import Round
from s3d.explore.prepare import Part, Shared, write_list
from s3d.explore.price import Price
from s3d.explore.settings import ExploreConfig
from s3d.explore.trial import Outcome
from s3d.models.style import PAPER

CHEAP, DEAR, EARLY, HUGE = (
    Candidate(network, 0.25, 8, 32, 8.0) for network in ("i2d", "s3d", "s3d_fast", "i3d")
)
VIDEOS = 40


def price(ms: float) -> Price:
    return Price(round(1e6 * ms), 1000, ms, (ms * 0.9, ms * 1.1), "torch")


def explore_of(
    tmp_path: Path, shares: dict[Candidate, float], budget_ms: float = 50
) -> Exploration:
    """Return an exploration whose trials lie in files: each names a share of videos right."""
    videos = [Video(str(tmp_path / f"{n}.mp4"), "ab"[n % 2], f"g{n // 4}") for n in range(VIDEOS)]
    for video in videos:
        Path(video.path).touch()
    scored = tmp_path / "split.csv"
    write_list(scored, videos, "val")
    shared = Shared(
        {"options": {"lr": 0.01}}, (Part("train", f"{scored}?part=val"),), ("a", "b"), 0.25,
        ClipSpec(), PAPER, 10, (100,), 32, ("40 videos",), (),
    )  # fmt: skip
    tried = []
    for candidate, share in shares.items():
        name = f"{candidate.name}-e10-f0-s0"
        save_scores(tmp_path / "trials" / name, videos, share)
        outcome = Outcome(name, None, share, VIDEOS, VIDEOS, None, 2.0)
        tried.append(Tried(candidate, 0, 10, {(0, 0): outcome}, is_last=candidate != EARLY))
    prices = {CHEAP: price(1), DEAR: price(4), EARLY: price(2), HUGE: price(90)}
    config = ExploreConfig(data="videos", out=str(tmp_path), budget_ms=budget_ms, seeds=1)
    return Exploration(
        config, shared, tmp_path, "cpu", prices, (HUGE,), (Round(10, 1, 3),), tuple(tried)
    )


def save_scores(place: Path, videos: list[Video], share: float) -> None:
    (place / "run").mkdir(parents=True)
    (place / "run" / "model.safetensors").write_bytes(place.name.encode())
    truth = np.array([n % 2 for n in range(VIDEOS)])
    # Of every four videos, which are of one source, the same number is right.
    named = np.where(np.arange(VIDEOS) % 4 < 4 * share, truth, 1 - truth)
    np.savez(
        place / "scores.npz", labels=np.array(["a", "b"]), truth=truth,
        paths=np.array([v.path for v in videos]), forwards=np.eye(2, dtype=np.float32)[named],
    )  # fmt: skip


def test_the_better_is_recommended_where_it_is_seen(tmp_path: Path) -> None:
    found = judge(explore_of(tmp_path, {CHEAP: 0.5, DEAR: 1.0, EARLY: 0.75}))
    assert found.recommendation.name == DEAR.name
    assert found.recommended is not None
    assert found.answers.chance == 0.5
    assert len(set(found.answers.groups.tolist())) == 10
    assert EARLY.name not in found.answers.right


def test_points_say_what_became_of_each(tmp_path: Path) -> None:
    found = judge(explore_of(tmp_path, {CHEAP: 0.5, DEAR: 1.0, EARLY: 0.75}))
    report = make_report(found, "s3d explore", ["a note"])
    points = {point.name: point for point in report.points}
    assert [points[c.name].state for c in (CHEAP, DEAR, EARLY, HUGE)] == [
        "trained", "trained", "dropped early", "over the budget",
    ]  # fmt: skip
    assert points[CHEAP.name].accuracy == 0.5
    assert points[EARLY.name].accuracy == 0.75
    assert points[CHEAP.name].to_leader.startswith("-50.0 points")
    assert points[DEAR.name].to_leader == "leads"
    assert points[DEAR.name].runs == (f"trials/{DEAR.name}-e10-f0-s0",)
    assert "90 ms a clip, over 50 ms" in points[HUGE.name].reason
    assert report.notes == ("40 videos", "a note")
    assert dict(report.recipe)["clips shown"] == "1,000 to each network, in steps of 32"
    assert (report.videos, report.groups, report.classes) == (40, 10, 2)


def test_a_failed_trial_is_a_row_and_the_others_are_judged(tmp_path: Path) -> None:
    exploration = explore_of(tmp_path, {CHEAP: 0.5})
    broken = Tried(DEAR, 0, 10, {(0, 0): Outcome("x", error="its process ended with 1")}, True)
    found = judge(replace(exploration, tried=(*exploration.tried, broken)))
    assert found.recommendation.name == CHEAP.name
    report = make_report(found, "s3d explore")
    states = {point.name: (point.state, point.reason) for point in report.points}
    assert states[DEAR.name] == ("failed", "its process ended with 1")
    assert report.failures == (("x", "its process ended with 1"),)


def test_other_videos_cannot_be_compared(tmp_path: Path) -> None:
    exploration = explore_of(tmp_path, {CHEAP: 0.5, DEAR: 1.0})
    place = tmp_path / "trials" / f"{DEAR.name}-e10-f0-s0" / "scores.npz"
    values = dict(np.load(place))
    np.savez(place, **{**values, "paths": values["paths"][::-1]})
    with pytest.raises(InputError, match="scored other videos than the trials before it"):
        judge(exploration)


def test_what_is_too_slow_when_measured_again_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exploration = explore_of(tmp_path, {CHEAP: 0.5, DEAR: 1.0})
    again = {DEAR: price(51), CHEAP: price(1.5)}
    asked: list[Candidate] = []

    def measure(candidate: Candidate, *_: object) -> Price:
        asked.append(candidate)
        return again[candidate]

    monkeypatch.setattr(conclude_module, "measure_price", measure)
    monkeypatch.setattr(conclude_module, "PAUSE_SECONDS", 0.0)
    said: list[str] = []
    conclusion = conclude(exploration, "s3d explore", said.append)
    assert conclusion.found.recommendation.name == CHEAP.name
    assert conclusion.checked == again[CHEAP]
    assert "took 51 ms when it was measured again, 5 times: too much" in said[0]
    assert asked == [DEAR] * 5 + [CHEAP]
    assert conclusion.model == tmp_path / "model.safetensors"
    assert (tmp_path / "model.safetensors").read_text() == f"{CHEAP.name}-e10-f0-s0"
    assert all(path.exists() for path in conclusion.pages)


def test_a_moment_of_a_busy_machine_does_not_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exploration = explore_of(tmp_path, {CHEAP: 0.5, DEAR: 1.0})
    times = iter((340.0, 70.0, 5.0))
    monkeypatch.setattr(conclude_module, "measure_price", lambda *_: price(next(times)))
    monkeypatch.setattr(conclude_module, "PAUSE_SECONDS", 0.0)
    conclusion = conclude(exploration, "s3d explore", print)
    assert conclusion.found.recommendation.name == DEAR.name
    assert conclusion.checked == price(5.0)


def test_without_a_trial_the_nearest_is_named(tmp_path: Path) -> None:
    exploration = explore_of(tmp_path, {}, budget_ms=0.5)
    conclusion = conclude(exploration, "s3d explore", print)
    assert conclusion.model is None
    assert "The nearest is i2d-w0.25-8x32-r8: 1 ms a clip." in conclusion.found.recommendation.text
    unfit = {candidate: InputError("clip is 1 px high") for candidate in exploration.prices}
    text = judge(replace(exploration, prices=unfit)).recommendation.text
    assert text == "No candidate can take the clip: clip is 1 px high"
