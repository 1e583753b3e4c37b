import html
import importlib
import math
import re
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from s3d.errors import InputError
from s3d.page.text import percent, plural, shorten, visible
from s3d.train.report import Epoch, Example, RunReport, write_report
from s3d.train.report.charts import Chart, Series, draw_chart, pick_ticks
from s3d.train.report.data import thin_epochs
from s3d.train.report.page import build_page
from s3d.train.report.plots import draw_figure, drawable, name_classes

MEGABYTE = 1_000_000
VOID = {"meta", "img", "br", "path", "circle", "polyline"}


def some_epoch(number: int, val: float | None = 0.5) -> Epoch:
    loss = None if val is None else 2.0 / number
    return Epoch(number, 10 * number, 3.0, 1e-3 / number, 2.5 / number, 0.6, loss, val, 40.0)


def some_example(label: str = "a", predicted: str = "b", path: str = "a/1.mp4") -> Example:
    frames = np.random.default_rng(0).integers(0, 255, (5, 24, 32, 3), dtype=np.uint8)
    return Example(path, label, predicted, 0.034, frames)


def some_report(classes: int = 3, **changes: object) -> RunReport:
    confusion = np.diag(np.full(classes, 8))
    confusion[0, classes - 1] += 2
    report = RunReport(
        title="a run",
        facts=(("network", "s3d_fast"),),
        notes=("No horizontal flip.",),
        epochs=tuple(some_epoch(n, 0.1 * n) for n in range(1, 6)),
        best_epoch=4,
        labels=tuple(f"label {k}" for k in range(classes)),
        confusion=confusion,
        examples=(some_example(),),
        failures=(),
    )
    return replace(report, **changes)  # type: ignore[arg-type]


class Reader(HTMLParser):
    """Read a page as a browser does: what it shows, what it points to, whether tags pair up."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.sources: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def read(report: RunReport) -> Reader:
    return Reader(build_page(report, Path("run")))


def size_of_png(data: bytes) -> tuple[int, int]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_both_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    path = write_report(some_report(), tmp_path / "new" / "run")
    assert path == tmp_path / "new" / "run" / "report.html"
    assert sorted(p.name for p in path.parent.iterdir()) == ["report.html", "report.png"]
    Reader(path.read_text("utf-8"))
    assert min(size_of_png(path.with_name("report.png").read_bytes())) > 1000


def test_headline_numbers_come_first() -> None:
    text = read(some_report()).text
    # of 26 clips 24 are right: class 0 has 8 of 10; the best epoch's top-1 is 0.4
    assert "names 40 of 100 validation clips right" in text
    assert "commonest class would get 38" in text
    assert "takes label 0 for label 2 (2 of 10 clips)" in text
    tiles = text[: text.index("This run")]
    for wanted in ("40.0\u202f%", "93.3\u202f%", "26", "epoch 4 of 5", "every file could be read"):
        assert wanted in tiles


def test_per_class_scores_are_the_right_ones_lowest_first() -> None:
    text = read(some_report()).text
    table = text[text.index("Class by class") :]
    rows = re.findall(r"label (\d)(\S+)\u202f%(\S+)\u202f%(\S+)\u202f%(\d+)", table)
    assert rows[0] == ("0", "80.0", "100.0", "88.9", "10")
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert rows[2] == ("2", "100.0", "80.0", "88.9", "8")


def test_a_class_without_clips_comes_last_and_is_not_called_bad() -> None:
    text = read(some_report(confusion=np.array([[0, 0, 0], [1, 4, 0], [0, 2, 1]]))).text
    table = text[text.index("Class by class") : text.index("Worst clips")]
    assert re.findall(r"label \d", table) == ["label 2", "label 1", "label 0"]
    assert table.strip().endswith("label 0\u20130.0\u202f%0.0\u202f%0")


def test_the_best_epoch_is_marked_in_every_chart_and_in_the_table() -> None:
    page = build_page(some_report(), Path("run"))
    assert page.count(">best: 4</text>") == 3
    bold = re.findall(r'<tr style="font-weight:700"><th scope="row" class="n">(\d+)<', page)
    assert bold == ["4"]


def test_commands_to_run_next_are_exact_and_quoted() -> None:
    text = read(some_report()).text
    assert "s3d predict VIDEO --model run/model.safetensors" in text
    assert "s3d evaluate DIR --model run/model.safetensors --protocol all-frames" in text
    odd = Reader(build_page(some_report(), Path("-my run's"))).text
    assert """s3d predict VIDEO --model './-my run'"'"'s/model.safetensors'""" in odd
    assert """s3d.load("./-my run's/model.safetensors")""" in odd


NASTY = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'apostrophes' onload=x",
    "</style><img src=http://x.example/a.png>",
    "跳舞 🕺 ダンス",
    "يقفز مرحبا",
    "abc\u202egpj.exe",
    "line\nbreak \x1b[31m \x00",
    "a $math$ \\frac{ 100% _x^ {0}",
    "undecodable \udcff byte",
    "x" * 5000,
    "",
)


def test_nothing_from_outside_becomes_markup(tmp_path: Path) -> None:
    confusion = np.full((len(NASTY), len(NASTY)), 2)
    report = some_report(
        title=NASTY[0],
        facts=tuple((name, name) for name in NASTY),
        notes=NASTY,
        labels=NASTY,
        confusion=confusion,
        examples=tuple(some_example(a, a, a) for a in NASTY),
        failures=tuple((name, name) for name in NASTY),
    )
    page = write_report(report, tmp_path).read_bytes().decode("utf-8")
    plain = read(some_report(examples=report.examples, failures=report.failures))
    reader = Reader(page)
    assert set(reader.tags) <= set(plain.tags) | {"b", "details"}
    assert "script" not in reader.tags
    assert len(reader.images) == len(NASTY)
    assert all(s.startswith(("data:image/jpeg;base64,", "#")) for s in reader.sources)
    assert NASTY[0] in reader.text and NASTY[3] in reader.text and NASTY[4] in reader.text
    assert "\\u202e" in reader.text and "\\x1b" in reader.text and "\\udcff" in reader.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", page)
    assert len(page) < 2 * MEGABYTE


def test_every_failure_is_listed() -> None:
    failures = tuple((f"clips/{n} & co.mp4", f"reason {n}") for n in range(700))
    text = read(some_report(failures=failures)).text
    assert all(f"clips/{n} & co.mp4reason {n}" in text for n in range(700))


def test_the_page_asks_nothing_of_the_network() -> None:
    page = build_page(some_report(), Path("run"))
    assert "default-src 'none'" in html.unescape(page)
    assert "://" not in page and "@import" not in page and "url(" not in page


def test_pictures_and_tables_are_told_to_those_who_do_not_see() -> None:
    page = build_page(some_report(), Path("run"))
    reader = Reader(page)
    assert [image["alt"] for image in reader.images] == ["5 frames of a/1.mp4, in order"]
    labels = re.findall(r'<svg [^>]*role="img" aria-label="([^"]*)"', page)
    assert len(labels) == 3
    assert labels[0] == "Loss: training from 2.5 to 0.5, validation from 2 to 0.4, best epoch 4"
    assert len(re.findall(r"<th(?! scope=)[ >]", page)) == 0


def test_without_validation_the_page_says_so_and_claims_nothing(tmp_path: Path) -> None:
    report = some_report(
        epochs=(some_epoch(1, None),),
        best_epoch=1,
        confusion=np.zeros((3, 3), int),
        examples=(),
        facts=(),
        notes=("Warning: no honest validation split was possible.",),
    )
    text = Reader(write_report(report, tmp_path).read_text("utf-8")).text
    assert "nothing here says how well the model does" in text
    assert "Top-1 on training clips60.0\u202f%no validation" in text
    assert not any(s in text for s in ("Most confused", "Class by class", "Worst clips", "nan"))
    assert '<li class="warn"><bdi>Warning: no honest' in build_page(report, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": (), "best_epoch": 0, "confusion": np.zeros((3, 3), int)},
        {"best_epoch": 99},
        {"epochs": (some_epoch(1, math.nan),), "best_epoch": 1},
        {"epochs": (some_epoch(7),), "best_epoch": 7},
        {"confusion": np.diag([3, 0, 0])},
        {"confusion": np.array([[0, 4, 0], [0, 0, 4], [4, 0, 0]])},
        {"epochs": (replace(some_epoch(1), train_loss=math.nan, val_loss=math.inf),) * 2},
        {"epochs": tuple(replace(some_epoch(n), train_loss=-1.0, rate=0.0) for n in (1, 2))},
        {"examples": (replace(some_example(), thumbnails=np.zeros((0, 8, 8, 3), np.uint8)),)},
        {"examples": (replace(some_example(), thumbnails=np.zeros((1, 1, 900, 3), np.uint8)),)},
    ],
)
def test_odd_runs_have_a_report_too(tmp_path: Path, changes: dict[str, object]) -> None:
    page = write_report(some_report(**changes), tmp_path).read_text("utf-8")
    text = Reader(page).text
    assert "Use the model" in text and not re.search("nan(\u202f%| of )", text)
    assert not re.search(r'(?:x|y|cx|cy|d|points)="[^"]*nan', page)


@pytest.mark.parametrize(("classes", "has_matrix"), [(2, True), (60, True), (61, False)])
def test_the_matrix_is_shown_while_it_is_legible(classes: int, has_matrix: bool) -> None:
    report = some_report(classes)
    page = build_page(report, Path("run"))
    assert ('<table class="heat' in page) == has_matrix
    assert "label 0 → " in Reader(page).text
    if has_matrix:
        cells = re.findall(r"<td(?: class=\"(?:right|wrong)[^>]*)?>(\d*)</td>", page)
        np.testing.assert_array_equal(
            np.reshape([int(c or 0) for c in cells], (classes, classes)), report.confusion
        )


def test_four_hundred_classes_stay_small_and_quick(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (8, 180, 320, 3), dtype=np.uint8)
    report = some_report(
        400,
        confusion=rng.integers(0, 3, (400, 400)),
        epochs=tuple(some_epoch(n) for n in range(1, 3000)),
        examples=(replace(some_example(), thumbnails=frames),) * 100,
    )
    started = time.process_time()
    path = write_report(report, tmp_path)
    assert time.process_time() - started < 5
    assert path.stat().st_size < 5 * MEGABYTE
    assert path.with_name("report.png").stat().st_size < MEGABYTE
    assert "The 24 worst of 100" in path.read_text("utf-8")


def test_labels_the_font_lacks_draw_without_a_warning() -> None:
    names = name_classes(("跳舞", "jump 🕺 up", "plain", "cost $5 or $6"))
    assert names == ["0: □", "1: jump □ up", "plain", "cost $5 or $6"]
    assert len(drawable("y" * 500)) == 22
    assert name_classes(("", "b")) == ["0: ", "b"]
    assert len(set(name_classes(("x" * 40, "x" * 50)))) == 2
    # warnings are errors here: a missing glyph or a half-open formula would raise
    report = some_report(4, labels=("跳舞", "🕺", "$\\frac$", "a $x"), title="標題 $\\no$")
    assert size_of_png(draw_figure(report)) == (1800, 1680)


def test_the_picture_does_not_depend_on_the_callers_settings() -> None:
    import matplotlib

    expected = draw_figure(some_report())
    with matplotlib.rc_context({"text.usetex": True, "font.family": "no such font"}):
        assert draw_figure(some_report()) == expected
        assert matplotlib.rcParams["text.usetex"] is True


def test_a_failed_write_keeps_the_earlier_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_report(some_report(), tmp_path)
    earlier = path.read_bytes()

    def write_half(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(InputError, match="No space left"):
        write_report(some_report(title="another"), tmp_path)
    assert path.read_bytes() == earlier
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.png"]


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_report(some_report(), tmp_path)
    before = first.read_bytes(), first.with_name("report.png").read_bytes()
    write_report(some_report(), tmp_path)
    assert before == (first.read_bytes(), first.with_name("report.png").read_bytes())


def test_importing_the_report_loads_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys, s3d.train.report; "
        "print([m for m in ('torch', 'matplotlib', 'PIL') if m in sys.modules])"
    )
    root = Path(importlib.import_module("s3d.errors").__file__ or "").parents[1]
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert told.stdout.strip() == "[]"


def test_a_confusion_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"confusion is \(2, 2\); 3 labels need \(3, 3\)"):
        some_report(confusion=np.zeros((2, 2), int))


def test_a_chart_leaves_out_what_is_no_number_and_stays_inside() -> None:
    values = (1.0, None, math.nan, 3.0, -5.0)
    svg = draw_chart(Chart("t", (1, 2, 3, 4, 5), (Series("s", "val", values),), best=4))
    points = re.search(r'points="([^"]*)"', svg)
    assert points is not None
    pairs = [tuple(map(float, p.split(","))) for p in points[1].split()]
    assert len(pairs) == 3
    assert all(46 <= x <= 368 and 22 <= y <= 204 for x, y in pairs)
    assert pairs[1][1] < pairs[0][1] < pairs[2][1]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 2.63), (1, 30), (0, 0.0021), (3, 3)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = pick_ticks(low, high)
    assert 1 <= len(ticks) <= 7 and all(low <= t <= high for t in ticks)
    assert all(len(f"{t:g}") <= 6 for t in ticks)


def test_thinning_keeps_the_best_and_the_last() -> None:
    epochs = [some_epoch(n) for n in range(1, 1001)]
    kept = [e.epoch for e in thin_epochs(epochs, 777, 100)]
    assert {1, 777, 1000} <= set(kept) and len(kept) <= 102 and kept == sorted(kept)
    assert thin_epochs(epochs[:100], 5, 100) == tuple(epochs[:100])


def test_words_and_numbers() -> None:
    assert percent(0.8749) == "87.5\u202f%" and percent(None) == percent(math.nan) == "\u2013"
    assert plural(1, "clip") == "1 clip" and plural(1200, "class") == "1,200 classes"
    assert shorten("abcdefghij", 5) == "ab…ij" and shorten("abc", 3) == "abc"
    assert visible("a\tb\u2067c é 跳\U0001f57a") == "a\\tb\\u2067c é 跳\U0001f57a"
