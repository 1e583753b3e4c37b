"""What `draw.c` paints, against slow references, and where it says that points go."""

from __future__ import annotations

import math

import numpy as np
import pytest

from s3d import compiled
from s3d.data.world import brush
from s3d.data.world.brush import draw
from s3d.data.world.camera import Film
from s3d.data.world.strokes import (
    ACTOR,
    BACKGROUND,
    BLOB,
    BOX,
    BYSTANDER,
    DIAMOND,
    PLANE,
    RING,
    ROUND,
    WEDGE,
    Floats,
    Sheet,
    turned,
)
from s3d.data.world.textures import FLAT, LUMA, TILES, draw_tones, make_bank, make_paint, stand_out
from s3d.errors import InputError

SIZE = 32
BLACK, WHITE = np.zeros(3), np.ones(3)

pytestmark = pytest.mark.skipif(
    compiled.find_compiler() is None, reason="no C compiler is here to draw with"
)


def film(frames: int, **changes: object) -> Film:
    gains = np.tile(np.array([1, 0], np.float32), (frames, 1))
    values = {"parts": 1, "shutter": 1.0, "blur": 0.0, "gains": gains, "noise": 0.0, "grey": 0.0}
    values |= {"step": 0.0, "hold": 1, "seed": 7}
    return Film(**{**values, **changes})  # type: ignore[arg-type]


def flat(colour: Floats) -> Floats:
    return np.concatenate([[FLAT, 1, 0, 0], colour, colour]).astype(np.float32)


def paint_sheet(sheet: Sheet, ground: int = 0, **changes: object) -> tuple[Floats, Floats]:
    frames = sheet.moments - 1
    joined = np.ones(frames, np.uint8)
    pixels, grid = draw(sheet.shapes, ground, joined, film(frames, **changes), SIZE, SIZE)
    return pixels / 255, grid


def one_shape(kind: int, axes: Floats, form: tuple[float, ...] = ()) -> Floats:
    """Return one frame (SIZE, SIZE) of a white shape on black, its middle at (15, 17)."""
    sheet = Sheet(2)
    sheet.put(kind, (15, 17), axes, flat(WHITE), ACTOR, form)
    return paint_sheet(sheet)[0][0, :, :, 0]


def is_inside(kind: int, u: float, v: float, form: tuple[float, ...]) -> bool:
    far, turn = math.hypot(u, v), math.atan2(v, u)
    if kind == ROUND:
        return far < 1
    if kind == BOX:
        return abs(u) < 1 and abs(v) < 1
    if kind == DIAMOND:
        return abs(u) + abs(v) < 1
    if kind == RING:
        return 1 - 2 * form[0] < far < 1
    if kind == WEDGE:
        return far < 1 and abs(turn) > form[0]
    waves, depth, phase = form
    return far < 1 / (1 + depth) * (1 + depth * math.cos(waves * turn + phase))


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (ROUND, ()),
        (BOX, ()),
        (DIAMOND, ()),
        (RING, (0.3,)),
        (WEDGE, (0.8,)),
        (BLOB, (5.0, 0.3, 0.4)),
        (BLOB, (3.0, 0.5, 2.0)),
    ],
)
def test_a_shape_covers_what_its_definition_says(kind: int, form: tuple[float, ...]) -> None:
    axes = turned(0.4, 11.0, 9.0)
    painted = one_shape(kind, axes, form)
    matrix = np.array(axes).reshape(2, 2).T
    wrong = []
    for y in range(SIZE):
        for x in range(SIZE):
            u, v = np.linalg.solve(matrix, (x + 0.5 - 15, y + 0.5 - 17))
            # Half covered pixels of the edge are neither in nor out.
            if abs(painted[y, x] - 0.5) > 0.49 and is_inside(kind, u, v, form) != (
                painted[y, x] > 0.5
            ):
                wrong.append((x, y))
    assert not wrong
    assert 0.05 < painted.mean() < 0.6


def test_a_limb_is_near_its_bone() -> None:
    sheet = Sheet(2)
    ends = np.tile(np.array([8, 9, 22, 20], np.float32), (2, 1, 1))
    sheet.put_limbs(ends, [4.0], 0.5, flat(WHITE)[None], ACTOR)
    sheet.shade(0, (0, 0))
    painted = paint_sheet(sheet)[0][0, :, :, 0]
    begin, end = ends[0, 0, :2], ends[0, 0, 2:]
    for y in range(SIZE):
        for x in range(SIZE):
            point = np.array([x + 0.5, y + 0.5])
            along = np.clip((point - begin) @ (end - begin) / ((end - begin) ** 2).sum(), 0, 1)
            far = np.linalg.norm(point - begin - along * (end - begin))
            expected = np.clip(4 * (1 - 0.5 * along) - far + 0.5, 0, 1)
            assert painted[y, x] == pytest.approx(expected, abs=0.01)


def test_a_point_goes_where_its_shape_takes_it() -> None:
    sheet = Sheet(2)
    axes = np.stack([turned(0.0, 40.0, 40.0), turned(0.1, 44.0, 44.0)])
    sheet.put(BOX, np.array([[16, 16], [18, 15]]), axes, flat(WHITE), ACTOR)
    _, grid = paint_sheet(sheet)
    cos, sin = 1.1 * math.cos(0.1), 1.1 * math.sin(0.1)
    for row in range(4):
        for column in range(4):
            x, y = 8 * column + 4 - 16, 8 * row + 4 - 16
            flow = (18 + cos * x - sin * y - (x + 16), 15 + sin * x + cos * y - (y + 16))
            assert grid[0, row, column, :2] == pytest.approx(flow, abs=1e-3)
    assert (grid[..., 3] == 1).all()


def test_speed_is_past_the_background_and_only_actors_count() -> None:
    sheet = Sheet(2)
    sheet.put(PLANE, np.array([[0, 0], [3, 0]]), (1, 0, 0, 1), flat(BLACK), BACKGROUND)
    sheet.put(BOX, np.array([[4, 4], [4, 8]]), (4, 0, 0, 4), flat(WHITE), ACTOR)
    sheet.put(BOX, (20, 20), (4, 0, 0, 4), flat(WHITE), BYSTANDER)
    _, grid = paint_sheet(sheet, ground=1)
    assert grid[0, 0, 0] == pytest.approx((0, 4, 5, 1))  # past a ground that goes 3 to the right
    assert grid[0, 2, 2] == pytest.approx((0, 0, 3, 0))
    assert grid[0, 0, 3] == pytest.approx((3, 0, 0, 0))


def test_a_cut_is_no_motion() -> None:
    sheet = Sheet(3)
    sheet.put(BOX, np.array([[16, 16], [17, 16], [25, 16]]), (40, 0, 0, 40), flat(WHITE), ACTOR)
    joined = np.array([1, 0], np.uint8)
    _, grid = draw(sheet.shapes, 0, joined, film(2), SIZE, SIZE)
    assert grid[0, ..., 0] == pytest.approx(1)
    assert grid[1, ..., :3] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_ground_that_is_drawn_once_looks_as_one_drawn_each_time(parts: int) -> None:
    sheet = Sheet(7)
    rng = np.random.default_rng(3)
    sheet.put(PLANE, (0, 0), (1, 0.2, -0.2, 1), make_paint(rng, BLACK, WHITE, 1.0), BACKGROUND)
    # It stands for three frames, then goes.
    places = np.array([[9, 9]] * 4 + [[12, 9], [15, 9], [18, 9]])
    sheet.put(ROUND, places, (6, 0, 0, 6), flat(WHITE), BACKGROUND)
    sheet.put(BOX, np.linspace((4, 4), (28, 28), 7), (3, 0, 0, 3), flat(BLACK), ACTOR)
    once, first = paint_sheet(sheet, ground=2, parts=parts)
    again, second = paint_sheet(sheet, ground=0, parts=parts)
    assert np.array_equal(once, again)
    assert np.array_equal(first, second)


def test_blur_of_motion_is_a_mean_of_pictures_on_the_way() -> None:
    sheet = Sheet(2)
    sheet.put(BOX, np.array([[8, 16], [12, 16]]), (4, 0, 0, 40), flat(WHITE), ACTOR)
    sharp = paint_sheet(sheet)[0][0, 16, :, 0]
    blurred = paint_sheet(sheet, parts=2)[0][0, 16, :, 0]
    expected = (sharp + np.roll(sharp, 2)) / 2
    assert blurred == pytest.approx(expected, abs=0.005)


def test_film_does_what_it_says() -> None:
    sheet = Sheet(3)
    rng = np.random.default_rng(1)
    sheet.put(PLANE, (0, 0), (1, 0, 0, 1), make_paint(rng, BLACK + 0.2, WHITE * 0.8, 5.0, 5), 0)
    plain, _ = paint_sheet(sheet)
    gains = np.array([[1, 0], [0.5, 0.1]], np.float32)
    assert paint_sheet(sheet, gains=gains)[0][1] == pytest.approx(plain[1] * 0.5 + 0.1, abs=0.004)
    blurred, _ = paint_sheet(sheet, blur=2.0)
    assert blurred.mean() == pytest.approx(plain.mean(), abs=0.01)
    assert np.abs(np.diff(blurred, axis=2)).mean() < 0.8 * np.abs(np.diff(plain, axis=2)).mean()
    noisy = paint_sheet(sheet, noise=0.1)[0] - plain
    assert noisy.std() == pytest.approx(0.1 * math.sqrt(1 / 6), rel=0.1)  # of two even draws
    assert not np.array_equal(noisy[0], noisy[1])
    assert paint_sheet(sheet, step=1e-4)[0] == pytest.approx(plain, abs=0.005)
    squeezed = paint_sheet(sheet, step=0.2)[0]
    assert 0.003 < np.abs(squeezed - plain).mean() < 0.1


def test_grey_has_the_light_of_the_colours() -> None:
    sheet = Sheet(2)
    sheet.put(PLANE, (0, 0), (1, 0, 0, 1), flat(np.array([0.9, 0.3, 0.1])), 0)
    grey = paint_sheet(sheet, grey=1.0)[0][0, 4, 4]
    assert grey == pytest.approx(np.array([0.9, 0.3, 0.1]) @ LUMA, abs=0.004)


def test_shapes_that_cannot_be_drawn_leave_no_trace() -> None:
    sheet = Sheet(2)
    for axes in ((0, 0, 0, 0), (1e9, 0, 0, 1e9), (np.nan, 0, 0, 1)):
        sheet.put(BOX, (16, 16), axes, flat(WHITE), ACTOR)
    sheet.put(BOX, (1e9, 16), (3, 0, 0, 3), flat(WHITE), ACTOR)
    painted, grid = paint_sheet(sheet)
    assert not painted.any()
    assert not grid.any()


def test_arrays_that_do_not_belong_together() -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        draw(np.zeros((3, 1, 24), np.float32), 0, np.ones(3, np.uint8), film(2), 16, 16)


def test_without_a_compiler_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brush, "load_library", lambda source: None)
    brush._library.cache_clear()
    try:
        with pytest.raises(InputError, match="needs a C compiler, and none was found"):
            draw(np.zeros((2, 1, 24), np.float32), 0, np.ones(1, np.uint8), film(1), 16, 16)
    finally:
        brush._library.cache_clear()


def test_tiles_fill_their_range_and_differ() -> None:
    bank = make_bank()
    assert bank.shape == (TILES, 64, 64)
    assert (bank[FLAT] == 0.5).all()
    assert bank.min() == 0
    assert bank.max() == 1
    assert (bank[1:].std((1, 2)) > 0.08).all()
    assert len({tile.tobytes() for tile in bank}) == TILES


def test_what_stands_out_does_so() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        ground = rng.uniform(0.12, 0.88)
        assert 0 <= stand_out(rng, ground, 0.45) <= 1
        assert abs(stand_out(rng, ground, 0.45) - ground) >= 0.45 - 1e-9
    dark, light = draw_tones(rng, 0.9, luma=0.5)
    assert light @ LUMA > dark @ LUMA
