"""What is written of a timeline is read again the same, by whoever reads such files."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.infer.grid import WindowGrid
from s3d.infer.recognizer import load
from s3d.infer.record import Record
from s3d.infer.segments import Segment, SegmentRule
from s3d.infer.threshold import Threshold
from s3d.infer.timeline import Timeline
from s3d.infer.timeline_axis import (
    MOST_DRAWN,
    MOST_POINTS,
    clock,
    collect_curves,
    collect_shots,
    sum_times,
)
from s3d.infer.timeline_files import (
    ENDINGS,
    find_url,
    format_csv,
    format_json,
    format_srt,
    write_timeline,
)
from s3d.infer.timeline_page import build_page
from s3d.page.picture import encode_frame
from tests.conftest import WriteVideo
from tests.infer.test_timeline import coloured

ODD = '</script><img src="http://evil/x"> & "q", {b}\n--> \u202eend'
SEGMENTS = (
    Segment(0.0, 1.25, "pour, tea", 0.875),
    Segment(59.9996, 61.5, ODD, 0.5),
    Segment(3725.25, 3726.0, "<i>jump</i>", 1.0),
)


def made_up(folder: Path, segments: tuple[Segment, ...] = SEGMENTS, **values: Any) -> Timeline:
    """Return a timeline of an hour and two minutes with some windows in a record."""
    labels = (*dict.fromkeys(segment.label for segment in segments), "other")
    ticks, rng = values.pop("ticks", 3727), np.random.default_rng(0)
    grid = WindowGrid(ticks, 4, 1)
    with Record(folder / "r", {"weights_sha256": "ab" * 32}, len(labels)) as record:
        for number in range(grid.count):
            record.add_window(number, False, rng.random(len(labels), np.float32))
        for tick in range(0, ticks, max(1, ticks // 30)):
            record.add_glance(tick, encode_frame(np.full((90, 120, 3), tick % 256, np.uint8)))
        record.complete()
    from s3d.clip import ClipSpec
    from s3d.data.video_info import VideoInfo

    info = VideoInfo("v.mp4", 90, 120, ticks, 1.0, float(ticks), np.arange(ticks) / 1.0)
    plain = Timeline(
        values.pop("path", f"videos/{ODD}.mp4"), labels, ClipSpec(frames=4, rate_fps=1.0),
        "windows of 4 frames", 1.0, SegmentRule(), None, segments, info, grid, record, grid.count,
    )  # fmt: skip
    return replace(plain, **values)


def test_csv_is_read_again() -> None:
    rows = list(csv.DictReader(io.StringIO(format_csv(SEGMENTS))))
    assert [list(row) for row in rows] == [["start", "end", "label", "score"]] * 3
    for row, segment in zip(rows, SEGMENTS, strict=True):
        assert row["label"] == segment.label
        assert float(row["start"]) == pytest.approx(segment.start_seconds, abs=1e-3)
        assert float(row["end"]) == pytest.approx(segment.end_seconds, abs=1e-3)
        assert float(row["score"]) == segment.score
    assert format_csv(()) == "start,end,label,score\n"


def test_json_says_everything(tmp_path: Path) -> None:
    known = Threshold(0.4, "windows", "clips", 9, 90, 0.8, 0.95)
    timeline = made_up(tmp_path, rule=SegmentRule(0.4, smooth_windows=3), threshold=known)
    found = json.loads(format_json(timeline, "run/model.safetensors"))
    assert found["model"] == "run/model.safetensors"
    assert found["weights_sha256"] == "ab" * 32
    assert found["windows"] == 3724
    assert found["duration_seconds"] == 3727.0
    assert found["stride_seconds"] == 1.0
    assert found["clip"]["frames"] == 4
    assert found["threshold"]["enter"] == 0.4
    assert found["threshold"]["leave"] == pytest.approx(0.32)
    assert found["threshold"]["smooth_windows"] == 3
    assert found["threshold"]["calibrated"] == known.to_metric()
    assert found["segments"][0] == {
        "start": 0.0, "end": 1.25, "label": "pour, tea", "score": 0.875,
    }  # fmt: skip
    assert found["segments"][1]["label"] == ODD


def test_srt_is_what_players_take() -> None:
    text = format_srt((*SEGMENTS, Segment(4000.0, 4000.0001, "\u2028", 0.0)))
    blocks = text.split("\n\n")
    assert len(blocks) == 4
    assert blocks[0] == "1\n00:00:00,000 --> 00:00:01,250\npour, tea (88%)"
    number, stamps, *lines = blocks[1].split("\n")
    assert (number, stamps, len(lines)) == ("2", "00:01:00,000 --> 00:01:01,500", 1)
    assert not set("<>{}") & set(lines[0])
    assert blocks[2] == "3\n01:02:05,250 --> 01:02:06,000\n\u2039i\u203ajump\u2039/i\u203a (100%)"
    assert blocks[3] == "4\n01:06:40,000 --> 01:06:40,001\n- (0%)\n"
    assert format_srt(()) == ""


def test_srt_is_read_by_a_player(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.srt"
    path.write_text(format_srt(SEGMENTS), encoding="utf-8")
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(subtitles=0) if packet.size]
    times = [float(packet.pts * packet.time_base) for packet in packets]
    assert times == [0.0, 60.0, 3725.25]
    assert bytes(packets[0]).decode().split(" (")[0] == "pour, tea"


def test_times_are_told_in_hours() -> None:
    assert clock(0.04) == "0:00:00.0"
    assert clock(59.96) == "0:01:00.0"
    assert clock(3725.25) == "1:02:05.2"
    assert clock(36_000, tenths=False) == "10:00:00"


# --- the page ------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """Collect the elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        return [
            a
            for t, a in self.found
            if t == tag and (not kind or kind in (a.get("class") or "").split())
        ]


def test_a_page_shows_each_segment_where_it_is(tmp_path: Path) -> None:
    timeline = made_up(tmp_path)
    page = build_page(timeline, "m.safetensors")
    bars = Elements(page).of("button", "seg")
    assert bars[0]["data-label"] == "pour, tea"
    total = timeline.duration_seconds
    for bar, segment in zip(bars, SEGMENTS, strict=True):
        style = dict(part.split(":") for part in (bar["style"] or "").split(";"))
        assert float(style["left"][:-1]) == pytest.approx(
            100 * segment.start_seconds / total, abs=0.01
        )
        length = segment.end_seconds - segment.start_seconds
        assert float(style["width"][:-1]) == pytest.approx(100 * length / total, abs=0.01)
    hues = {re.search(r"--h:(\d+)", bar["style"] or "")[1] for bar in bars}  # type: ignore[index]
    assert len(hues) == 3
    assert len(Elements(page).of("tr", "seek")) == 3
    assert "1:02:05.2" in page


def test_a_page_asks_the_network_for_nothing_and_escapes_names(tmp_path: Path) -> None:
    labels = tuple(replace(segment, label=ODD) for segment in SEGMENTS)
    page = build_page(made_up(tmp_path, labels), ODD, url=f"a/{ODD}.mp4")
    elements = Elements(page)
    for _, attributes in elements.found:
        for name in ("src", "href", "data", "poster", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "./"))
    assert not elements.of("img") and not elements.of("link")
    assert len(elements.of("script")) == 1
    assert not re.search(r"url\((?!data:)", page)
    (policy,) = [a["content"] for a in elements.of("meta") if "http-equiv" in a]
    assert policy is not None and policy.startswith("default-src 'none'")
    assert "http:" not in html.unescape(policy) and "script-src 'sha256-" in policy
    assert "\u202e" not in page and "evil" in page
    # What is in the style and the script is ours alone.
    for tag in ("style", "script"):
        inside = page[page.index(f"<{tag}>") : page.index(f"</{tag}>")]
        assert "evil" not in inside and "http" not in inside


def test_the_script_is_the_one_that_the_policy_allows(tmp_path: Path) -> None:
    import base64
    import hashlib

    page = build_page(made_up(tmp_path), "m")
    script = page[page.index("<script>") + 8 : page.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_a_video_is_played_where_it_has_a_relative_address(tmp_path: Path) -> None:
    timeline = made_up(tmp_path)
    assert not Elements(build_page(timeline, "m")).of("video")
    (video,) = Elements(build_page(timeline, "m", "../a b/javascript:x#?%.mp4")).of("video")
    assert video["src"] == "./../a%20b/javascript%3Ax%23%3F%25.mp4"


def test_a_page_of_nothing_says_so(tmp_path: Path) -> None:
    page = build_page(made_up(tmp_path, ()), "m")
    assert "no label reaches the threshold" in page
    assert not Elements(page).of("tr", "seek")
    assert len(Elements(page).of("path")) >= 3  # the scores are drawn all the same


def test_a_page_without_pictures_and_of_one_window(tmp_path: Path) -> None:
    timeline = made_up(tmp_path, (Segment(0, 3, "a", 0.9),), ticks=3)
    page = build_page(timeline, "m")
    assert len(Elements(page).of("button", "seg")) == 1
    with Record(tmp_path / "bare", {"weights_sha256": ""}, 2) as bare:
        bare.add_window(0, False, np.zeros(2, np.float32))
        bare.add_glance(0, b"no jpeg")
    page = build_page(replace(timeline, record=bare), "m")
    assert not Elements(page).of("i", "shot")


def test_a_page_of_a_day_stays_small(tmp_path: Path) -> None:
    many = tuple(Segment(20.0 * n, 20.0 * n + 5, f"label {n % 50}", 0.9) for n in range(4300))
    page = build_page(made_up(tmp_path, many, ticks=86_400), "m")
    elements = Elements(page)
    assert len(elements.of("button", "seg")) == MOST_DRAWN
    assert len(elements.of("path")) <= 12
    assert len(page) < 5_000_000
    assert "The first 3,000" in page


def test_curves_keep_the_peaks(tmp_path: Path) -> None:
    timeline = made_up(tmp_path)
    curves = collect_curves(timeline)
    assert curves.scores.shape == (MOST_POINTS, 4)
    assert curves.scores.max() == timeline.scores.max()
    assert (np.diff(curves.seconds) > 0).all()
    place = int(timeline.scores[:, 0].argmax())
    middle = timeline.start_seconds[place] + 2
    assert abs(curves.seconds[curves.scores[:, 0].argmax()] - middle) < 3727 / MOST_POINTS


def test_small_pictures_lie_in_one(tmp_path: Path) -> None:
    import base64

    from PIL import Image

    timeline = made_up(tmp_path)
    shots = collect_shots(timeline.glances)
    picture = Image.open(io.BytesIO(base64.b64decode(shots.url.partition(",")[2])))
    assert picture.size == (10 * 120, 4 * 90)
    for number, seconds in ((0, 0.0), (13, 13 * 124.0)):
        row, column = divmod(number, 10)
        shown = np.asarray(picture)[90 * row + 45, 120 * column + 60].mean()
        assert shown == pytest.approx(seconds % 256, abs=3)
        assert shots.nearest(seconds + 50) == number
    assert "background-position:33.333% 33.333%" in shots.draw(13)


def test_a_picture_that_is_none_of_ours_is_left_out() -> None:
    small, large = (np.zeros((side, side, 3), np.uint8) for side in (90, 600))
    pictures = [(0.0, encode_frame(large)), (1.0, encode_frame(small)), (2.0, b"none")]
    assert collect_shots(pictures).seconds == (1.0,)


def test_times_are_summed_by_label() -> None:
    found = sum_times((Segment(0, 1, "a", 1), Segment(1, 4, "b", 1), Segment(5, 6.5, "a", 1)))
    assert found == {"b": 3.0, "a": 2.5}
    assert list(found) == ["b", "a"]


# --- on disk -------------------------------------------------------------------------------------


def test_four_files_are_written_of_a_real_timeline(
    tiny_model: Path, tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path("film one.mp4"), coloured(("red", 20), ("blue", 20)), 8)
    timeline = load(tiny_model).timeline("film one.mp4")
    Path("out").mkdir()
    write_timeline(timeline, Path("out", "a.b"), "m", find_url("film one.mp4", Path("out")))
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "a.b" + ending for ending in sorted(ENDINGS)
    ]
    page = Path("out/a.b.html").read_text(encoding="utf-8")
    assert Elements(page).of("video")[0]["src"] == "./../film%20one.mp4"
    rows = csv.DictReader(io.StringIO(Path("out/a.b.csv").read_text(encoding="utf-8")))
    assert [row["label"] for row in rows] == ["red", "blue"]


def test_only_what_a_browser_plays_has_an_address(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frames = coloured(("red", 4))
    write_video(Path("a.mp4"), frames, 8)
    write_video(Path("b.mp4"), frames, 8, codec="mpeg4")
    write_video(Path("c.avi"), frames, 8)
    Path("d.mp4").write_text("no video")
    assert find_url("a.mp4", Path("x/y")) == "../../a.mp4"
    assert find_url(tmp_path / "a.mp4", Path("x")) is None
    assert [find_url(name, Path()) for name in ("b.mp4", "c.avi", "d.mp4", "e.mp4")] == [None] * 4
