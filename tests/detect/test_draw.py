"""Boxes on frames: where the lines are, their colours, and plates that can be read."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from s3d.detect.draw import DrawnBox, draw_boxes, output_scale, write_sheet
from s3d.detect.draw.colours import BLACK, CYCLE, WHITE, colour_of, ink_on, luminance
from s3d.detect.draw.plates import (
    Area,
    load_font,
    most_plate_px,
    place_plate,
    render_plate,
    text_px,
)
from s3d.errors import InputError

Picture = npt.NDArray[np.uint8]
GREY = 90


@pytest.fixture
def frame() -> Picture:
    return np.full((240, 320, 3), GREY, np.uint8)


def is_colour(picture: Picture, number: int) -> npt.NDArray[np.bool_]:
    return (picture == np.array(colour_of(number), np.uint8)).all(2)


# Lines


def test_the_line_runs_along_the_inner_side_of_a_box(frame: Picture) -> None:
    picture = draw_boxes(frame, [DrawnBox((50, 60, 110, 100), ())])
    expected = np.zeros((240, 320), np.bool_)
    expected[60:100, 50:110] = True
    expected[62:98, 52:108] = False
    assert np.array_equal(is_colour(picture, 0), expected)
    assert (picture[59, 49:111] == BLACK).all()
    assert (picture[62:98, 52:108] == GREY).all()
    changed = (picture != frame).any(2)
    changed[59:101, 49:111] = False
    assert not changed.any()


def test_the_frame_itself_stays(frame: Picture) -> None:
    frame.setflags(write=False)
    picture = draw_boxes(frame, [DrawnBox((5, 5, 50, 50), ("jump",))])
    assert (frame == GREY).all()
    assert picture.flags.writeable
    assert not np.array_equal(picture, frame)


@pytest.mark.parametrize(
    "box",
    [
        (-50, -50, -1, -1),
        (400, 10, 500, 20),
        (30, 30, 30, 60),
        (60, 30, 30, 60),
        (float("nan"), 0, 10, 10),
        (0, 0, float("inf"), 10),
    ],
)
def test_a_box_without_area_in_the_picture_is_left_out(
    frame: Picture, box: tuple[float, float, float, float]
) -> None:
    assert np.array_equal(draw_boxes(frame, [DrawnBox(box, ("jump",))]), frame)


def test_a_box_that_sticks_out_is_cut_at_the_edge(frame: Picture) -> None:
    picture = draw_boxes(frame, [DrawnBox((-20, 200, 40, 300), (), 1)])
    rows, columns = np.nonzero(is_colour(picture, 1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (200, 239, 0, 39)


def test_later_boxes_lie_above(frame: Picture) -> None:
    boxes = [DrawnBox((10, 10, 60, 60), (), number) for number in (0, 1)]
    assert is_colour(draw_boxes(frame, boxes), 1).any()
    assert not is_colour(draw_boxes(frame, boxes), 0).any()


def test_lines_are_wider_in_larger_pictures() -> None:
    for side, line in ((100, 2), (540, 3), (1080, 6)):
        large = np.full((side, side, 3), GREY, np.uint8)
        column = is_colour(draw_boxes(large, [DrawnBox((10, 10, 90, 90), ())]), 0)[:, 50]
        assert column[:50].sum() == line


# Enlarging


@pytest.mark.parametrize(
    ("size_px", "scale"),
    [((96, 128), 5), ((240, 320), 2), ((256, 340), 2), ((340, 256), 2), ((360, 640), 1),
     ((720, 1280), 1), ((2160, 3840), 1), ((16, 16), 8)],
)  # fmt: skip
def test_small_pictures_are_enlarged(size_px: tuple[int, int], scale: int) -> None:
    assert output_scale(size_px) == scale


def test_enlarged_pictures_show_the_same_with_boxes_in_place() -> None:
    frame = np.zeros((48, 63, 3), np.uint8)
    frame[10:30, 20:40] = (200, 100, 50)
    picture = draw_boxes(frame, [DrawnBox((20, 10, 40, 30), (), 3)], scale=4)
    assert picture.shape == (192, 252, 3)
    rows, columns = np.nonzero(is_colour(picture, 3))
    assert (rows.min(), rows.max() + 1) == (40, 120)
    assert (columns.min(), columns.max() + 1) == (80, 160)
    inside = picture[60:100, 100:140].astype(int)
    assert np.abs(inside - [200, 100, 50]).max() <= 3
    assert picture[:32].max() == 0


# Colours


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_luminance_of_known_colours() -> None:
    assert luminance(WHITE) == pytest.approx(1)
    assert luminance(BLACK) == 0
    assert luminance((255, 0, 0)) == pytest.approx(0.2126)
    assert luminance((128, 128, 128)) == pytest.approx(0.2159, abs=1e-4)


def test_text_stands_out_from_every_ground() -> None:
    levels = (0, 60, 120, 180, 255)
    grounds = [*CYCLE, *((r, g, b) for r in levels for g in levels for b in levels)]
    for ground in grounds:
        ink = ink_on(ground)
        assert contrast(ink, ground) == max(contrast(BLACK, ground), contrast(WHITE, ground))
        assert contrast(ink, ground) > 4.5
    assert {ink_on(colour) for colour in CYCLE} == {BLACK, WHITE}


# How people without one kind of cone see linear RGB: Vienot, Brettel and Mollon, 1999.
PROTANOPE = [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]
DEUTERANOPE = [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]


@pytest.mark.parametrize("eye", [np.eye(3).tolist(), PROTANOPE, DEUTERANOPE])
def test_neighbours_differ_for_all_eyes(eye: list[list[float]]) -> None:
    def see(colour: tuple[int, int, int]) -> npt.NDArray[np.float64]:
        linear = (np.array(colour) / 255) ** 2.2
        return np.asarray(np.clip(np.array(eye) @ linear, 0, 1) ** (1 / 2.2))

    assert len(set(CYCLE)) == len(CYCLE)
    for place, one in enumerate(CYCLE):
        for other in (CYCLE[(place + step) % len(CYCLE)] for step in (1, 2)):
            assert np.abs(see(one) - see(other)).max() > 0.2


def test_colours_go_round() -> None:
    assert colour_of(0) == colour_of(len(CYCLE)) == CYCLE[0]
    assert colour_of(3) != colour_of(4)


# Plates


def test_a_plate_is_above_its_box_in_its_colour(frame: Picture) -> None:
    text = ("#3 jump 0.93",)
    picture = draw_boxes(frame, [DrawnBox((100, 120, 200, 200), text, 3)])
    plate = render_plate(text, colour_of(3), text_px(240), most_plate_px(320))
    height, width = plate.shape[:2]
    assert np.array_equal(picture[120 - height : 120, 100 : 100 + width], plate)
    ground = (plate == colour_of(3)).all(2)
    ink = (plate == ink_on(colour_of(3))).all(2)
    assert ground[:2].all()
    assert ground.mean() > 0.5
    assert ink.sum() > 15


def test_letters_are_high_enough_and_whole() -> None:
    assert [text_px(side) for side in (48, 240, 480, 1080)] == [12, 12, 16, 36]
    for size_px in (12, 16, 36):
        plate = render_plate(("Hg",), WHITE, size_px, 400)
        inked = (plate < 128).all(2)
        rows = np.flatnonzero(inked.any(1))
        assert np.ptp(rows) + 1 >= 0.85 * size_px
        # As much room above as below.
        assert rows[0] > 1
        assert abs(rows[0] - (len(plate) - 1 - rows[-1])) <= size_px / 8


def test_each_line_of_a_plate_is_below_the_one_before() -> None:
    one, two = (render_plate(("walk",) * count, WHITE, 14, 400) for count in (1, 2))
    step = len(two) - len(one)
    assert step > 14
    assert np.array_equal(two[: len(one) - 2], one[:-2])
    assert np.array_equal(two[step:], one[-len(two) + step :])


def test_long_labels_are_cut_and_odd_ones_shown_as_escapes() -> None:
    plate = render_plate(("x" * 500,), WHITE, 12, 150)
    assert plate.shape[1] <= 150
    assert plate.shape[1] > 120
    escaped, odd = (render_plate((text,), WHITE, 12, 400) for text in ("a\\nb", "a\nb"))
    assert np.array_equal(escaped, odd)
    assert render_plate(("",), WHITE, 12, 400).shape[1] < 10


def test_plates_are_rendered_once() -> None:
    first = render_plate(("#1 jump 0.50",), CYCLE[1], 12, 200)
    assert render_plate(("#1 jump 0.50",), CYCLE[1], 12, 200) is first
    assert not first.flags.writeable


def test_pillows_own_font_serves_where_there_is_no_matplotlib(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = load_font(12).getlength("jump")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert load_font.__wrapped__(12).getlength("jump") != known
    assert load_font.__wrapped__(12).getlength("jump") > 10


def overlap(one: Area, other: Area) -> int:
    cells = {(x, y) for x in range(one[0], one[2]) for y in range(one[1], one[3])}
    return len(
        cells & {(x, y) for x in range(other[0], other[2]) for y in range(other[1], other[3])}
    )


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ((20, 50, 60, 80), (20, 40, 50, 50)),  # above
        ((20, 5, 60, 50), (20, 50, 50, 60)),  # below, where there is no room above
        ((20, 0, 60, 100), (20, 0, 50, 10)),  # inside, where there is none below either
        ((80, 50, 100, 80), (70, 40, 100, 50)),  # moved in from the right
    ],
)
def test_where_a_plate_goes(box: Area, place: Area) -> None:
    assert place_plate((10, 30), box, (100, 100), []) == place


def test_plates_avoid_each_other() -> None:
    above, below, inside = (20, 40, 50, 50), (20, 80, 50, 90), (20, 50, 50, 60)
    box = (20, 50, 50, 80)
    assert place_plate((10, 30), box, (100, 100), [above]) == below
    assert place_plate((10, 30), box, (100, 100), [above, below]) == inside


def test_plates_of_many_boxes_at_one_place_pile_up() -> None:
    taken: list[Area] = []
    for _ in range(9):
        taken.append(place_plate((10, 30), (20, 30, 60, 60), (100, 100), taken))
    assert all(overlap(one, other) == 0 for one, other in combinations(taken, 2))


def test_plates_stay_inside_wherever_boxes_are() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        corner = rng.integers(0, 95, 2)
        end = np.minimum(corner + rng.integers(1, 100, 2), 100)
        height, width = (int(side) for side in rng.integers(1, 101, 2))
        box = (int(corner[0]), int(corner[1]), int(end[0]), int(end[1]))
        x1, y1, x2, y2 = place_plate((height, width), box, (100, 100), [(0, 0, 50, 50)])
        assert 0 <= x1 < x2 <= 100
        assert 0 <= y1 < y2 <= 100
        assert (x2 - x1, y2 - y1) == (width, height)


def test_plates_larger_than_the_picture_are_cut() -> None:
    tiny = np.full((20, 24, 3), GREY, np.uint8)
    picture = draw_boxes(tiny, [DrawnBox((2, 2, 20, 18), ("jump", "run", "walk"), 1)])
    assert picture.shape == tiny.shape
    assert is_colour(picture, 1).any()


# The sheet


def read_picture(path: Path) -> Picture:
    from PIL import Image

    with Image.open(path) as image:
        return np.array(image)


def test_a_sheet_shows_every_frame_with_its_caption(tmp_path: Path) -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)]
    frames = [np.full((60, 80, 3), colour, np.uint8) for colour in colours]
    path = tmp_path / "sheet.png"
    write_sheet(path, frames, ["one", "two", "three", "four"], columns=3)
    sheet = read_picture(path)
    for colour in colours:
        shown = (sheet == colour).all(2)
        assert shown.sum() == 60 * 80
        rows, columns = np.nonzero(shown)
        below = sheet[rows.max() + 1 : rows.max() + 18, columns.min() : columns.max()]
        assert (below < 100).all(2).sum() > 10  # its caption
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_sheet_shrinks_large_frames(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.PNG", [np.zeros((1000, 2000, 3), np.uint8)], ["one"])
    assert read_picture(tmp_path / "sheet.PNG").shape[1] < 500


def test_sheet_errors(tmp_path: Path) -> None:
    frame = np.zeros((10, 10, 3), np.uint8)
    with pytest.raises(InputError, match=r"sheet.gif: a sheet is written as .png. End the name"):
        write_sheet(tmp_path / "sheet.gif", [frame], ["one"])
    with pytest.raises(InputError, match=r"sheet.png: there are no frames to show. Choose some"):
        write_sheet(tmp_path / "sheet.png", [], [])
    with pytest.raises(InputError, match=r"cannot be written \(No such file or directory\)"):
        write_sheet(tmp_path / "nowhere" / "sheet.png", [frame], ["one"])
