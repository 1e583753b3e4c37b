from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import s3d
from s3d.errors import InputError
from s3d.explore.budget import Budget
from s3d.explore.report import ExploreReport, Point, write_explore_report
from s3d.explore.report.cost_chart import MOST_NAMES, draw_cost_chart
from s3d.explore.report.curve_chart import draw_curve_charts
from s3d.explore.report.drawing import Area, Drawing, Line, Mark, Spot, Words, outline
from s3d.explore.report.families import FAMILIES, family_of, find_curves
from s3d.explore.report.labels import Label, Obstacles, place_labels, words_box
from s3d.explore.report.look import STYLE
from s3d.explore.report.naming import common_setting, describe_point, short_names
from s3d.explore.report.page import build_page
from s3d.explore.report.plots import draw_figure
from s3d.explore.report.scale import Scale, fit_costs, fit_shares
from s3d.explore.report.svg import write_svg
from s3d.explore.report.table import COLUMNS, format_table, write_csv
from s3d.models.family import NETWORKS, network_word
from tests.explore.fabricated import some_point, some_points, some_report

VOID = {"meta", "br"}
NASTY = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'apostrophes' onload=x",
    "</style><img src=http://x.example/a.png>",
    "跳舞 🕺",
    "abc\u202egpj.exe",
    "line\nbreak \x1b[31m \x00",
    "a $math$ \\frac{ 100% _x^ {0}",
    "undecodable \udcff byte",
    "x" * 3000,
    "",
)


class Reader(HTMLParser):
    """Read a page as a browser does: its text, its links, its ids, whether tags pair up."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.classes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        assert not [name for name in values if name.startswith("on")]
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        self.ids += [values["id"] or ""] if "id" in values else []
        self.classes |= set((values.get("class") or "").split())
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def cost_chart(report: ExploreReport, unit: str = "ms") -> Drawing:
    drawing = draw_cost_chart(report, "ms" if unit == "ms" else "gmacs")
    assert drawing is not None
    return drawing


def marks(drawing: Drawing) -> list[Mark]:
    return [part for part in drawing.parts if isinstance(part, Mark)]


def lines(drawing: Drawing, kind: str) -> list[Line]:
    return [part for part in drawing.parts if isinstance(part, Line) and part.kind == kind]


def words(drawing: Drawing, *kinds: str) -> list[Words]:
    return [part for part in drawing.parts if isinstance(part, Words) and part.kind in kinds]


def mark_of(drawing: Drawing, name: str) -> Mark:
    return next(mark for mark in marks(drawing) if mark.title.startswith(name))


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# What is written


def test_three_files_are_written_and_are_the_same_each_time(tmp_path: Path) -> None:
    report = some_report(points=some_points()[9:11])
    paths = write_explore_report(report, tmp_path / "new" / "explored")
    first = [p.read_bytes() for p in paths]
    assert first == [p.read_bytes() for p in write_explore_report(report, paths[0].parent)]
    assert [p.name for p in paths] == ["explore.html", "explore.png", "explore.csv"]
    assert sorted(p.name for p in paths[0].parent.iterdir()) == sorted(p.name for p in paths)
    Reader(paths[0].read_text("utf-8"))


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the folder cannot be made"):
        write_explore_report(some_report(), tmp_path / "file" / "below")


# The page


def test_the_page_says_what_it_recommends_first() -> None:
    text = Reader(build_page(some_report())).text
    head = text[: text.index("Accuracy against cost")]
    assert "No difference seen between s3d_g-w0.5" in head
    for wanted in ("s3d_fast-w0.5-16x112-r8", "75.8\u202f%", "71.7 to 79.5", "21.8\xa0ms"):
        assert wanted in head
    assert "12of 15, 1 dropped early, 1 over the budget, 1 failed" in head


def test_the_page_says_what_was_done_and_what_failed() -> None:
    text = Reader(build_page(some_report())).text
    done = text[text.index("What was done") :]
    for wanted in (
        "300 videos of 25 sources in 12 classes; 3 seeds; the commonest class has 21.0\u202f%",
        "one clip from the middle",
        "batch16",
        "a processor that was never built",
        "2026-11-27T14:02+00:00",
        "s3d explore ~/videos/invented --budget-ms 60",
        "Half of the candidates went on",
        "22222333333-w0.5-16x112-r8-e30-f0-s0ended by signal 9",
    ):
        assert wanted in done
    assert "Multiply-adds are what the paper calls FLOPs" in text


def test_every_point_has_a_row_in_the_order_of_accuracy_and_links_to_its_runs() -> None:
    reader = Reader(build_page(some_report()))
    rows = [i for i in reader.ids if i.startswith("row-")]
    names = [bytes.fromhex(i[4:]).decode() for i in rows]
    assert names[:3] == [f"{n}-w0.5-16x112-r8" for n in ("s3d_g", "s3d", "s3d_top_4")]
    assert names[-3:] == [
        "s3d_top_8-w0.25-16x112-r8",
        "i3d-w1-16x112-r8",
        "22222333333-w0.5-16x112-r8",
    ]
    assert len(set(names)) == 15
    inner = {link[1:] for link in reader.links if link.startswith("#")}
    assert inner <= set(reader.ids) and len(inner) == 13
    runs = [link for link in reader.links if link.startswith("./")]
    assert len(runs) == 39 and "./trials/i2d-w0.5-16x112-r8-e30-f0-s2/run/report.html" in runs


def test_rows_say_what_became_of_each_candidate() -> None:
    text = Reader(build_page(some_report())).text
    table = text[text.index("Every candidate") : text.index("How to read it")]
    assert "s3d_fast-w0.5-16x112-r8recommendedfront" in table
    assert "dropped early222" in table and "the lower half after 10 of 30 epochs" in table
    assert "over the budget333" in table and "perhaps for memory" in table
    assert (
        "21.8\xa0ms20.9 to 23.8, openvino2,280,00046.7\xa0min30 epochse30-f0-s0e30-f0-s1" in table
    )
    assert "74.6 76.0 76.8s.d. 1.1" in table and "20.9 to 23.8, openvino" in table


def nasty_point(place: int, text: str) -> Point:
    point = some_point("s3d", 2.0 + place / 10, 40.0 + place, 0.7)
    runs = (text, "javascript:alert(1)", "//x.example/a")
    told = {"network": text, "engine": text, "reason": text, "to_leader": text}
    return replace(point, name=f"{place}{text}", runs=runs, **told)


def nasty_report() -> ExploreReport:
    points = tuple(nasty_point(i, text) for i, text in enumerate(NASTY))
    pairs = tuple((text, text) for text in NASTY)
    return some_report(
        title=NASTY[0] + NASTY[6],
        data=NASTY[2],
        date=NASTY[4],
        command=NASTY[5],
        protocol=NASTY[7],
        recommendation=" ".join(NASTY),
        hardware=pairs,
        recipe=pairs,
        notes=NASTY,
        failures=pairs,
        points=points,
        recommended=points[1].name,
    )


def test_nothing_from_outside_becomes_markup(tmp_path: Path) -> None:
    # warnings are errors: a missing glyph or a half-open formula in the picture would raise
    page, _, table = write_explore_report(nasty_report(), tmp_path)
    content = page.read_bytes().decode("utf-8")
    reader = Reader(content)
    assert not {"script", "img", "iframe", "object"} & set(reader.tags)
    assert all(link.startswith(("#row-", "./")) for link in reader.links)
    assert "./javascript%3Aalert%281%29/run/report.html" in reader.links
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", content)
    assert all(text in reader.text for text in (*NASTY[:4], NASTY[6]))
    with table.open(encoding="utf-8", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    expected = [f"{i}{text}".replace("\udcff", "\\udcff") for i, text in enumerate(NASTY)]
    assert sorted(names) == sorted(expected)


def test_a_run_whose_name_needs_quoting_is_still_found() -> None:
    point = replace(some_point("s3d", 2.0, 40.0, 0.7), runs=("a b/c#1?d",))
    reader = Reader(build_page(some_report(points=(point,), recommended=None)))
    link = next(link for link in reader.links if link.startswith("./"))
    assert unquote(link) == "./a b/c#1?d/run/report.html" and "#" not in link and "?" not in link


def test_the_page_asks_nothing_of_the_network() -> None:
    page = build_page(some_report())
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert "://" not in page and "@import" not in page and "url(" not in page
    assert "<script" not in page


def test_every_class_of_a_chart_has_a_look() -> None:
    report = some_report(chance=0.55)
    drawings = [cost_chart(report), *draw_curve_charts(report)]
    used = {c for d in drawings for c in Reader(write_svg(d)).classes}
    known = set(re.findall(r"\.([a-z][a-z0-9-]*)", STYLE))
    assert {"l-budget", "l-front", "l-curve", "l-bar", "l-chance", "mark", "hollow"} <= used
    assert used - known <= {"t-tick"}
    assert all(STYLE.count(f".f-{f.kind} {{ color: {f.light} }}") == 1 for f in FAMILIES)
    assert all(STYLE.count(f".f-{f.kind} {{ color: {f.dark} }}") == 1 for f in FAMILIES)


def test_charts_are_told_to_those_who_do_not_see() -> None:
    labels = re.findall(r'<svg [^>]*role="img" aria-label="([^"]*)"', build_page(some_report()))
    assert len(labels) == 3
    assert "i2d-w0.5-16x112-r8 61.1\u202f% at 1.12 G multiply-adds" in labels[0]
    assert labels[1].endswith("recommended: s3d_fast-w0.5-16x112-r8")
    assert "Top-Heavy S3D: k=0 78.1\u202f%, k=4 77.4\u202f%" in labels[2]


# Where there is little to show


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ((), "No candidate was scored, so there is nothing to draw."),
        (some_points()[-2:], "No candidate was scored, so there is nothing to draw."),
        ((replace(some_points()[0], latency_ms=None),), "so milliseconds are not drawn"),
        (some_points()[:1], "Not drawn: it takes two networks of one curve"),
        ((replace(some_points()[0], interval=None, deviation=None, accuracies=()),), "i2d"),
        ((replace(some_points()[0], interval=(1.0, 1.0), accuracy=1.0),), "100.0\u202f%"),
    ],
)
def test_little_is_a_report_too(tmp_path: Path, points: tuple[Point, ...], said: str) -> None:
    report = some_report(
        points=points, recommended=None, recommendation="No candidate fits.", notes=(), failures=()
    )
    page, image, _ = write_explore_report(report, tmp_path)
    assert picture(image.read_bytes()).std() > 5
    text = Reader(page.read_text("utf-8")).text
    assert said in text and "nan" not in text and "What failed" not in text
    assert "Recommendednonewithin 60 ms" in text


# Points, fronts and curves


def test_the_front_depends_on_what_is_paid() -> None:
    fast, slow = some_point("i3d", 1.0, 90.0, 0.8), some_point("s3d", 2.0, 30.0, 0.7)
    report = some_report(points=(fast, slow), recommended=None)
    assert report.front("gmacs") == [fast] and report.front("ms") == [slow, fast]
    assert report.fits(slow) and not report.fits(fast)


def test_a_report_refuses_points_that_cannot_be_told_apart() -> None:
    with pytest.raises(ValueError, match=r"two points are named 'i2d-w0.5-16x112-r8'"):
        some_report(points=(some_points()[0],) * 2)
    with pytest.raises(ValueError, match="recommended is 'nothing'; it needs to be a point's name"):
        some_report(recommended="nothing")


def test_every_network_has_its_family() -> None:
    told = {name: family_of(word).name for name, word in NETWORKS.items()}
    assert told["i2d"] == "I2D" and told["i3d"] == told["i3d_bottom_10"] == "I3D"
    assert told["i3d_top_0"] == "I3D" and told["s3d_top_0"] == "S3D"
    assert told["s3d_fast"] == told["s3d_top_9"] == "Fast-S3D"
    assert told["s3d_g"] == "S3D-G" and told["s3d_fast_g"] == "other words"
    assert told["i3d_bottom_0"] == "Bottom-Heavy I3D" and told["s3d_top_10"] == "Top-Heavy S3D"
    assert family_of("22222333gg3").name == "other words"


def test_curves_run_between_their_ends() -> None:
    curves = {curve.family.name: curve for curve in find_curves(some_points())}
    assert [k for k, _ in curves["Top-Heavy S3D"].places] == [0, 4, 9, 11]
    assert [p.network for _, p in curves["Top-Heavy S3D"].places] == [
        "s3d", "s3d_top_4", "s3d_fast", "i2d",
    ]  # fmt: skip
    assert [k for k, _ in curves["Bottom-Heavy I3D"].places] == [-1, 2, 6, 10]
    # the dropped point and those of another width are on none
    assert all(point.width == 0.5 for curve in curves.values() for _, point in curve.places)


def test_a_curve_needs_two_points_and_not_its_ends_alone() -> None:
    ends = [some_point(n, 1, 20, 0.7) for n in ("i2d", "i3d", "s3d")]
    assert find_curves(ends) == []
    assert find_curves([some_point("i3d_top_4", 1, 20, 0.7)]) == []
    other = some_point("i2d", 1, 20, 0.7, width=1.0)
    assert find_curves([some_point("i3d_top_4", 1, 20, 0.7), other]) == []
    pair = find_curves([some_point("i3d_top_4", 1, 20, 0.7), ends[0]])
    assert [k for k, _ in pair[0].places] == [4, 11]


def test_a_chart_of_curves_for_each_setting() -> None:
    wide = tuple(replace(p, name=f"wide {p.name}", width=1.0) for p in some_points() if p.is_scored)
    titles = [d.title for d in draw_curve_charts(some_report(points=some_points() + wide))]
    assert titles == [
        f"Accuracy against k: width {w}, 16 frames of 112 px at 8 fps" for w in ("0.5", "1")
    ]


def test_names_say_only_what_differs() -> None:
    names = short_names([p for p in some_points() if p.accuracy is not None])
    assert names["s3d_g-w0.5-16x112-r8"] == "s3d_g"
    assert names["s3d_top_8-w0.25-16x112-r8"] == "s3d_top_8 w0.25"
    half = [some_point("s3d", 1, 1, 0.5, width) for width in (0.5, 1.0)]
    half[1] = replace(half[1], frames=32, rate_fps=12.5)
    assert common_setting(half) is None
    assert list(short_names(half).values()) == ["s3d w0.5 16x112 r8", "s3d w1 32x112 r12.5"]


def test_a_point_is_described_in_full() -> None:
    told = describe_point(some_points()[0]).split("\n")
    assert told[:2] == ["i2d-w0.5-16x112-r8", "61.1\u202f% (95 % interval 57.0 to 64.8)"]
    assert told[2:4] == [
        "1.12 G multiply-adds a clip, 2,240,000 parameters",
        "19 ms a clip with openvino",
    ]
    assert told[5].startswith("runs: trials/i2d-w0.5-16x112-r8-e30-f0-s0, ")
    assert "52.2\u202f%, after 10 epochs only" in describe_point(some_points()[12])


# Drawings


def test_points_lie_where_their_values_say() -> None:
    drawing = cost_chart(some_report())
    cheap, dear = mark_of(drawing, "i2d-"), mark_of(drawing, "i3d-w0.5")
    middle = mark_of(drawing, "i3d_top_6")
    # time is logarithmic here: 19, 27.4 and 57 ms
    share = np.log(27.4 / 19.0) / np.log(57.0 / 19.0)
    across = cheap.spot[0] + share * (dear.spot[0] - cheap.spot[0])
    assert middle.spot[0] == pytest.approx(across, abs=0.2)
    share = (0.742 - 0.611) / (0.752 - 0.611)
    up = cheap.spot[1] + share * (dear.spot[1] - cheap.spot[1])
    assert middle.spot[1] == pytest.approx(up, abs=0.2)


def test_the_recommended_is_ringed_and_the_dropped_is_hollow() -> None:
    drawing = cost_chart(some_report())
    assert [m.title.split("\n")[0] for m in marks(drawing) if m.is_ringed] == [
        "s3d_fast-w0.5-16x112-r8"
    ]
    assert [m.title.split("\n")[0] for m in marks(drawing) if m.is_hollow] == [
        "s3d_top_8-w0.25-16x112-r8"
    ]
    assert len(marks(drawing)) == 13


def test_bars_reach_as_far_as_the_intervals() -> None:
    point = some_points()[0]
    report = some_report(points=(point, some_points()[3]), recommended=None)
    drawing = cost_chart(report, "gmacs")
    mark = mark_of(drawing, point.name)
    upright = [bar for bar in lines(drawing, "bar") if {x for x, _ in bar.spots} == {mark.spot[0]}]
    ends = sorted(y for _, y in upright[0].spots)
    per_share = (mark.spot[1] - mark_of(drawing, "i3d").spot[1]) / (0.752 - 0.611)
    assert ends == pytest.approx(
        [mark.spot[1] - 0.037 * per_share, mark.spot[1] + 0.041 * per_share], abs=0.2
    )


def test_the_front_goes_up_in_steps_to_the_edge() -> None:
    drawing = cost_chart(some_report())
    (front,) = lines(drawing, "front")
    order = ("i2d-", "s3d_fast", "s3d_top_4", "s3d-", "s3d_g")
    spots = [mark_of(drawing, name).spot for name in order]
    corners = [spots[0]]
    for before, after in pairwise(spots):
        corners += [(after[0], before[1]), after]
    assert list(front.spots) == [*corners, (546, spots[-1][1])]


def test_the_budget_is_drawn_in_its_own_unit_alone() -> None:
    timed, counted = cost_chart(some_report(), "ms"), cost_chart(some_report(), "gmacs")
    assert lines(counted, "budget") == [] and len(lines(timed, "budget")) == 1
    x = lines(timed, "budget")[0].spots[0][0]
    (shade,) = [part for part in timed.parts if isinstance(part, Area)]
    assert shade.left == x and shade.left + shade.width == 546
    assert mark_of(timed, "i3d-w0.5").spot[0] < x
    assert "budget 60 ms" in [w.text for w in words(timed, "note")]
    counted = cost_chart(some_report(budget=Budget("gmacs", 2.0)), "gmacs")
    assert "budget 2 G" in [w.text for w in words(counted, "note")]


@pytest.mark.parametrize(("chance", "is_drawn"), [(0.55, True), (0.03, False)])
def test_chance_is_drawn_where_it_is_near(chance: float, is_drawn: bool) -> None:
    drawing = cost_chart(some_report(chance=chance))
    assert bool(lines(drawing, "chance")) == is_drawn


def test_the_curves_chart_holds_k_and_both_ends() -> None:
    (drawing,) = draw_curve_charts(some_report())
    ticks = [w.text for w in words(drawing, "tick") if not w.text.endswith("%")]
    assert ticks.count("I2D") == 2 and {"0", "10", "1a", "5c"} <= set(ticks)
    across = {w.text: w.spot[0] for w in words(drawing, "tick")}
    assert abs(mark_of(drawing, "s3d_top_4").spot[0] - across["4"]) < 10
    named = {w.text: w.family for w in words(drawing, "strong")}
    assert all(family is not None and family.name == name for name, family in named.items())
    assert len(named) == 4


def overlaps(drawing: Drawing) -> list[tuple[str, str]]:
    """Return which names are written over one another, or over a mark."""
    named = words(drawing, "label", "strong", "note", "tick")
    boxes = [(w.text, words_box(w)) for w in named]
    boxes += [
        (m.title, (m.spot[0] - 4, m.spot[1] - 4, m.spot[0] + 4, m.spot[1] + 4))
        for m in marks(drawing)
    ]
    found = []
    for i, (one, (l0, t0, r0, b0)) in enumerate(boxes):
        for other, (l1, t1, r1, b1) in boxes[i + 1 :]:
            is_mark = one not in {w.text for w in named}
            if not is_mark and min(r0, r1) > max(l0, l1) and min(b0, b1) > max(t0, t1):
                found.append((one, other))
    return found


def test_names_lie_neither_on_one_another_nor_on_marks() -> None:
    for drawing in (cost_chart(some_report()), cost_chart(some_report(), "gmacs")):
        assert len(words(drawing, "label", "strong")) == 13 and drawing.unlabelled == 0
        assert overlaps(drawing) == []
        assert all(
            words_box(w)[0] >= 52 and words_box(w)[2] <= 546 for w in words(drawing, "label")
        )


def test_among_many_points_only_the_front_and_the_recommended_are_named() -> None:
    points = tuple(
        replace(
            some_point("s3d", 1 + i / 9, 20 + i, 0.6 + 0.01 * (i % 7)),
            name=f"p{i}",
            network=f"p{i}",
        )
        for i in range(MOST_NAMES + 6)
    )
    report = some_report(points=points, recommended="p29")
    drawing = cost_chart(report)
    named = {w.text for w in words(drawing, "label", "strong")}
    front = {p.name for p in report.front("ms")}
    assert "p29" in named and named <= front | {"p29"}
    assert drawing.unlabelled == len(points) - len(named)
    assert f"{drawing.unlabelled} names not written" in Reader(build_page(report)).text


def test_a_name_goes_where_nothing_is_in_its_way() -> None:
    room = (0.0, 0.0, 300.0, 200.0)
    free = place_labels([Label((100, 100), "abc")], Obstacles(room, (), ()))
    assert free == [Words((109, 103.5), "abc", "start", "label")]
    blocked = place_labels([Label((100, 100), "abc")], Obstacles(room, ((105, 0, 300, 200),), ()))
    assert isinstance(blocked[0], Words) and blocked[0].anchor == "end"
    crossed = Line(((0, 100), (95, 100)), "front")
    above = place_labels(
        [Label((100, 100), "abc")], Obstacles(room, ((105, 0, 300, 200),), (crossed,))
    )
    assert isinstance(above[-1], Words) and abs(above[-1].spot[1] - 103.5) > 10


def test_a_name_without_room_is_left_out_unless_it_matters() -> None:
    nowhere = Obstacles((0, 0, 300, 200), ((0, 0, 300, 200),), ())
    assert place_labels([Label((100, 100), "abc")], nowhere) == []
    (told,) = place_labels([Label((100, 100), "abc", is_strong=True)], nowhere)
    assert isinstance(told, Words) and told.kind == "strong"
    assert place_labels([Label((10, 10), "a" * 90)], Obstacles((0, 0, 300, 200), (), ())) == []


def test_the_svg_holds_what_the_drawing_holds() -> None:
    drawing = cost_chart(some_report())
    svg = write_svg(drawing)
    reader = Reader(svg)
    assert reader.tags.count("a") == len(marks(drawing)) == svg.count("<title>")
    assert reader.tags.count("text") == len(
        words(drawing, "tick", "axis", "note", "label", "strong")
    )
    x, y = mark_of(drawing, "i2d-").spot
    assert f'<circle cx="{x}" cy="{y}" r="5.0"/>' in svg
    assert svg.count('class="pick"') == 1 and svg.count(" hollow") == 1


@pytest.mark.parametrize(
    ("shape", "corners"), [("circle", 0), ("up", 3), ("down", 3), ("square", 4), ("pentagon", 5)]
)
def test_marks_have_their_corners(shape: str, corners: int) -> None:
    spots: list[Spot] = outline(shape, (50, 50))  # type: ignore[arg-type]
    assert len(spots) == corners
    if shape == "up":
        assert min(y for _, y in spots) == pytest.approx(43.8, abs=0.1)


# Scales


def test_a_scale_places_values_between_its_ends() -> None:
    even = Scale(0, 10, 100, 200)
    assert [even.place(v) for v in (0, 5, 10, 99, -1)] == [100, 150, 200, 200, 100]
    log = Scale(1, 100, 0, 200, is_log=True)
    assert [log.place(v) for v in (1, 10, 100)] == [0, 100, 200]
    assert log.ticks() == [1, 2, 5, 10, 20, 50, 100]
    assert Scale(1, 1e5, 0, 200, is_log=True).ticks() == [1, 10, 100, 1000, 10_000, 100_000]


@pytest.mark.parametrize(
    ("costs", "is_log"), [([1, 4.9], False), ([1, 5], True), ([3], False), ([0.001, 40], True)]
)
def test_costs_that_lie_far_apart_are_logarithmic(costs: list[float], is_log: bool) -> None:
    scale = fit_costs(costs, 0, 500)
    assert scale.is_log == is_log and scale.low < min(costs) and scale.high > max(costs)
    assert len(scale.ticks()) >= 3


def test_shares_stay_between_none_and_all() -> None:
    scale = fit_shares([0.0, 1.0], 300, 0)
    assert (scale.low, scale.high) == (0, 1) and scale.place(1.0) == 0 and scale.place(0.0) == 300
    near = fit_shares([0.7], 300, 0)
    assert near.low == pytest.approx(0.69) and near.high == pytest.approx(0.71)


# The picture


def test_the_picture_shows_what_the_page_shows() -> None:
    image = picture(draw_figure(some_report()))
    assert image.shape[1] == 1800 and image.shape[0] > 1500
    for family in FAMILIES[:-1]:  # of other words nothing is trained here
        color = [int(family.light[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(image.astype(int) - color).max(axis=-1) < 3).sum() > 60, family.name
    # each half of each row holds something
    high = image.shape[0] // 2
    for rows in (slice(200, high), slice(high, -100)):
        for columns in (slice(0, 900), slice(900, 1800)):
            assert (image[rows, columns].min(axis=-1) < 128).mean() > 0.005


def test_the_picture_does_not_depend_on_the_callers_settings() -> None:
    import matplotlib

    report = some_report(points=some_points()[:1], recommended=None)
    expected = draw_figure(report)
    with matplotlib.rc_context({"text.usetex": True, "font.family": "no such font"}):
        assert draw_figure(report) == expected


# Tables


def test_the_csv_holds_every_value() -> None:
    rows = list(csv.DictReader(io.StringIO(write_csv(some_report()))))
    assert len(rows) == 15 and tuple(rows[0]) == COLUMNS
    fast = next(row for row in rows if row["network"] == "s3d_fast")
    assert (fast["accuracy"], fast["accuracy_low"], fast["accuracy_high"]) == (
        "0.758",
        "0.717",
        "0.795",
    )
    assert fast["macs"] == "1140000000" and fast["latency_ms"] == "21.8"
    assert fast["accuracies"] == "0.746 0.76 0.768" and fast["word"] == network_word("s3d_fast")
    assert (fast["is_on_front"], fast["is_within_budget"], fast["is_recommended"]) == ("True",) * 3
    assert fast["runs"].split(" ")[2].endswith("-s2") and float(fast["minutes"]) == 46.74
    assert rows[-1]["accuracy"] == rows[-1]["latency_ms"] == "" and rows[-1]["state"] == "failed"
    assert [row["network"] for row in rows if row["is_within_budget"] == "False"] == [
        "i3d", "22222333333",
    ]  # fmt: skip


def test_the_terminal_table_is_sorted_and_marked() -> None:
    told = format_table(some_report()).split("\n")
    assert told[1].startswith("  + s3d_g-w0.5-16x112-r8 ")
    assert told[5].split() == [
        "*+", "s3d_fast-w0.5-16x112-r8", "75.8%", "71.7%", "to", "79.5%", "1.14", "G", "21.8", "ms",
    ]  # fmt: skip
    assert told[15].endswith("failed") and told[13].endswith("dropped early")
    assert told[-1].startswith("No difference seen between s3d_g")


def test_importing_the_report_loads_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys, s3d.explore.report; "
        "print([m for m in ('torch', 'matplotlib', 'PIL') if m in sys.modules])"
    )
    root = Path(s3d.__file__).parents[1]
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert told.stdout.strip() == "[]"
