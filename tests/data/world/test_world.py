"""What happens in the world: verbs and their reverses, bodies, cameras, and batches of clips."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from s3d import compiled
from s3d.data.world.batches import WorldPlan, draw_batch, stream_batches
from s3d.data.world.bodies import draw_build, look_at, place_joints
from s3d.data.world.camera import PAN, STILL, draw_camera, draw_film, film_shapes
from s3d.data.world.catalogue import CLASSES, NUMBERS, THING_VERBS, VERBS, Verb
from s3d.data.world.clip import FACTS, _hold, draw_pair, film_play, stage_play
from s3d.data.world.play import (
    ANGLE,
    AT_X,
    AT_Y,
    JUMP,
    OPACITY,
    PITCH,
    POSE,
    Play,
    X,
    Z,
    bystanders,
)
from s3d.data.world.strokes import BOX, BYSTANDER, MOST_SHAPES, Sheet, turned

pytestmark = pytest.mark.skipif(
    compiled.find_compiler() is None, reason="no C compiler is here to draw with"
)
MOMENTS = np.linspace(0, 2, 17, dtype=np.float32)
VERB = {verb.name: verb for verb in VERBS}


def act(name: str, seed: int) -> Play:
    play = Play(np.random.default_rng(seed), MOMENTS)
    VERB[name].act(play)
    return play


def test_classes_have_names_of_their_own() -> None:
    assert len(set(CLASSES)) == len(CLASSES) == len(NUMBERS)
    assert all(NUMBERS[CLASSES[i]] == i for i in range(len(CLASSES)))
    assert {v.name for v in THING_VERBS} < {v.name for v in VERBS}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_is_played_and_filmed(verb: Verb) -> None:
    for seed in range(4):
        play = Play(np.random.default_rng((seed, 5)), MOMENTS)
        verb.act(play)
        assert play.figures or play.things
        assert bool(play.figures) == (verb not in THING_VERBS)
        assert all(np.isfinite(figure.pose).all() for figure in play.figures)
        assert all(np.isfinite(thing.place).all() for thing in play.things)
        clip = film_play(play, 3, np.random.default_rng(seed), 32, difficulty=seed / 3)
        assert clip.frames.shape == (16, 32, 32, 3)
        assert clip.grid.shape == (16, 4, 4, 4)
        assert np.isfinite(clip.grid).all()
        assert clip.facts.shape == (FACTS,)
        assert np.isfinite(clip.facts).all()
        assert clip.verb == 3


@pytest.mark.parametrize("name", ["grow", "fall"])  # of a thing, of a figure
def test_a_reverse_is_the_verb_played_backwards(name: str) -> None:
    play = act(name, 1)
    kept = [thing.place.copy() for thing in play.things]
    stood = [figure.pose.copy() for figure in play.figures]
    forwards = film_play(play, 0, np.random.default_rng(4), 32, difficulty=0)
    play.turn_back()
    for thing, place in zip(play.things, kept, strict=True):
        assert np.array_equal(thing.place, place[::-1])
    for figure, pose in zip(play.figures, stood, strict=True):
        assert np.array_equal(figure.pose, pose[::-1])
    backwards = film_play(play, 0, np.random.default_rng(4), 32, difficulty=0)
    # Frame t shows moment t, and there is one moment more than there are frames.
    assert np.array_equal(backwards.frames[1:], forwards.frames[:0:-1])
    assert not np.array_equal(backwards.frames[1:], forwards.frames[1:])


def test_half_the_plays_of_a_verb_of_order_run_backwards() -> None:
    names = [
        CLASSES[stage_play(np.random.default_rng(seed), 16, 0.5, [VERB["grow"]])[1]]
        for seed in range(60)
    ]
    assert set(names) == {"grow", "shrink"}
    assert 15 < names.count("grow") < 45
    alone = stage_play(np.random.default_rng(0), 16, 0.5, [VERB["wobble"]])[1]
    assert CLASSES[alone] == "wobble"


def test_verbs_do_what_they_are_called() -> None:
    for seed in range(10):
        spin = act("spin_clockwise", seed).things[0].place[:, ANGLE]
        assert (np.diff(spin) > 0).all()  # y goes down, so a growing angle is clockwise
        appear = act("appear", seed).things[0].place[:, OPACITY]
        assert appear.max() > 0.6
        fallen = act("fall", seed).figures[0].pose[:, PITCH]
        assert abs(fallen[-1]) > 0.9
        assert abs(fallen[0]) < 0.2
        first, second = (thing.place for thing in act("collide", seed).things)
        apart = np.hypot(*(first - second)[:, AT_X : AT_Y + 1].T)
        nearest = int(apart.argmin())
        assert 0 < nearest < len(apart) - 1
        assert (np.diff(apart[: nearest + 1]) < 0).all()
        assert (np.diff(apart[nearest + 1 :]) > 0).all()
        runner = act("run", seed).figures[0].pose
        walker = act("walk", seed).figures[0].pose
        far = [np.hypot(*(pose[-1] - pose[0])[[X, Z]]) for pose in (runner, walker)]
        assert far[0] > far[1] > 0.8


def test_one_who_walks_goes_where_they_look() -> None:
    play = act("walk", 3)
    pose = play.figures[0].pose
    way = pose[-1, [X, Z]] - pose[0, [X, Z]]
    heading = np.array([math.cos(pose[0, 2]), math.sin(pose[0, 2])])
    assert way @ heading == pytest.approx(np.linalg.norm(way), rel=1e-4)
    assert 1.3 < play.beats < 2.5


def test_bones_keep_their_length_and_somebody_stands_on_the_ground() -> None:
    rng = np.random.default_rng(0)
    build = draw_build(rng, 0.5, 0.2)
    pose = rng.normal(size=(50, POSE)).astype(np.float32)
    pose[:, JUMP] = np.abs(pose[:, JUMP])
    joints = place_joints(pose, build)
    assert joints.shape == (50, 15, 3)
    for limb, (upper, lower) in enumerate([(0, 1), (0, 1), (2, 3), (2, 3)]):
        first, middle, last = (joints[:, 3 + 3 * limb + k] for k in range(3))
        assert np.linalg.norm(middle - first, axis=1) == pytest.approx(
            build.lengths[upper], abs=1e-5
        )
        assert np.linalg.norm(last - middle, axis=1) == pytest.approx(
            build.lengths[lower], abs=1e-5
        )
    neck = np.linalg.norm(joints[:, 1] - joints[:, 0], axis=1)
    upright = np.abs(pose[:, 4:6]).max(1) < 0.1
    assert neck[upright] == pytest.approx(build.lengths[4], rel=0.02)
    above = joints[..., 1].min(1) - pose[:, JUMP]
    assert (above > -1e-5).all()
    assert above.min() < 0.3


def test_a_camera_from_above_sees_the_ground() -> None:
    joints = np.array([[[1.0, 2.0, 3.0]]], np.float32)
    assert look_at(joints, 2.0, 0.0)[0, 0] == pytest.approx((2, -4))
    assert look_at(joints, 2.0, math.pi / 2)[0, 0] == pytest.approx((2, 6), abs=1e-5)


def test_a_camera_that_pans_moves_everything_the_other_way() -> None:
    sheet = Sheet(3)
    sheet.put(BOX, (0.1, -0.2), turned(0.3, 0.2, 0.1), np.zeros(10), 0)
    camera = draw_camera(np.random.default_rng(0), 3, True, 0.0)
    assert camera.kind == STILL
    track = np.array([[0, 0, 0, 0], [0.25, 0, 0, 0], [0, 0, math.log(2), math.pi / 2]], np.float32)
    filmed = film_shapes(sheet.shapes, replace(camera, track=track, squash=0.5), 40, 40)
    middles = filmed[:, 0, 1:3]
    assert middles[0] == pytest.approx((20 + 0.1 * 20, 20 - 0.2 * 40))
    assert middles[1] == pytest.approx((20 - 0.15 * 20, 20 - 0.2 * 40))
    assert middles[2] == pytest.approx((20 + 0.4 * 20, 20 + 0.2 * 40), abs=1e-4)
    assert filmed[2, 0, 3:7] == pytest.approx(
        2 * turned(0.3 + math.pi / 2, 0.2, 0.1) * (20, 40, 20, 40), abs=1e-4
    )


def test_cameras_are_still_where_it_is_easy_and_cut_where_it_is_hard() -> None:
    def draw(difficulty: float) -> list[tuple[int, int]]:
        cameras = (draw_camera(np.random.default_rng(i), 17, False, difficulty) for i in range(300))
        return [(camera.kind, camera.cut) for camera in cameras]

    assert set(draw(0.0)) == {(STILL, 0)}
    hard = draw(1.0)
    assert {kind for kind, _ in hard} == set(range(5))
    assert 0.1 < np.mean([cut > 0 for _, cut in hard]) < 0.3
    pan = next(
        c
        for c in (draw_camera(np.random.default_rng(i), 17, False, 1.0) for i in range(99))
        if c.kind == PAN and c.cut
    )
    assert (pan.joined == 0).sum() == 1
    assert pan.joined[pan.cut - 1] == 0


def test_film_is_clean_where_it_is_easy() -> None:
    film = draw_film(np.random.default_rng(0), 16, 0.0)
    assert (film.parts, film.blur, film.noise, film.step, film.hold) == (1, 0, 0, 0, 1)
    assert film.gains == pytest.approx(np.tile((1, 0), (16, 1)))


def test_a_slow_source_shows_a_picture_twice() -> None:
    shapes = np.arange(7, dtype=np.float32)[:, None, None] * np.ones((1, 2, 24), np.float32)
    joined = np.array([1, 1, 0, 1, 1, 1], np.uint8)
    held, found = _hold(shapes, joined, 2)
    assert held[:, 0, 0].tolist() == [0, 0, 2, 2, 4, 4, 6]
    assert found.tolist() == [1, 1, 1, 0, 1, 1]


def test_a_sheet_that_is_full_takes_no_more() -> None:
    sheet = Sheet(2)
    for _ in range(MOST_SHAPES + 3):
        sheet.put(BOX, (0, 0), (1, 0, 0, 1), np.zeros(10), 0)
    sheet.put_limbs(np.zeros((2, 4, 4), np.float32), np.ones(4), 1, np.zeros((4, 10)), 0)
    sheet.put_still(np.ones(3), np.zeros((3, 2)), np.zeros((3, 4)), np.zeros((3, 10)))
    assert sheet.shapes.shape == (2, MOST_SHAPES, 24)


def test_bystanders_come_where_it_is_hard() -> None:
    def count(difficulty: float) -> int:
        plays = [act("move", seed) for seed in range(30)]
        for play in plays:
            bystanders(play, difficulty)
        return sum(thing.owner == BYSTANDER for play in plays for thing in play.things)

    assert count(0.0) == 0
    assert count(1.0) > 15


def test_a_pair_is_one_motion_in_two_looks() -> None:
    first, second = draw_pair((3, 8), 16, 32)
    again, _ = draw_pair((3, 8), 16, 32)
    other, _ = draw_pair((3, 9), 16, 32)
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.grid, again.grid)
    assert not np.array_equal(first.frames, other.frames)
    assert first.verb == second.verb
    assert np.array_equal(first.facts[:6], second.facts[:6])
    assert np.abs(first.frames.astype(float) - second.frames).mean() > 5


def test_batches_come_in_order_whoever_draws_them() -> None:
    plan = WorldPlan(seed=2, clips=4, frames=4, size_px=32)
    plans = [(number, plan) for number in (5, 6, 7)]
    here = list(stream_batches(plans, processes=0))
    there = list(stream_batches(plans, processes=2, ahead=1))
    for number, (a, b) in enumerate(zip(here, there, strict=True)):
        assert torch.equal(a.frames, b.frames)
        assert torch.equal(a.grids, b.grids)
        assert torch.equal(a.facts, b.facts)
        assert torch.equal(a.frames, draw_batch(plan, 5 + number).frames)
        assert torch.equal(a.verbs[:2], a.verbs[2:])
    assert not torch.equal(here[0].frames, here[1].frames)


def test_a_world_without_figures_has_none() -> None:
    plan = WorldPlan(seed=0, clips=64, frames=2, size_px=16, has_figures=False)
    names = {CLASSES[int(verb)] for verb in draw_batch(plan, 0).verbs}
    known = {v.name for v in THING_VERBS} | {v.reverse for v in THING_VERBS}
    assert names <= known
    whole = draw_batch(replace(plan, has_figures=True), 0).verbs
    assert not {CLASSES[int(verb)] for verb in whole} <= known
