"""The page plays every hit, holds all it needs, and no name can break out of it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s3d.clip import ClipSpec
from s3d.data.decode import probe_video
from s3d.infer.features import FeatureRecipe
from s3d.infer.similar.film import FRAMES, Film, choose_frames, make_film
from s3d.infer.similar.page import build_page
from s3d.infer.similar.rank import Hit
from s3d.infer.similar.similar import Found
from s3d.infer.similar.tables import as_json, format_csv
from tests.conftest import WriteVideo

RECIPE = FeatureRecipe(ClipSpec(frames=16, rate_fps=8), stride_seconds=1)


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a video of 4 s of 64 x 48 px, whose frames are ever brighter."""
    path = tmp_path_factory.mktemp("levels") / "levels.mp4"
    frames = np.full((40, 48, 64, 3), 1, np.uint8) * np.arange(40)[:, None, None, None] * 6
    return write_video(path, frames.astype(np.uint8), 10, options={"qp": "4"})


def found(*hits: Hit, query: str = "q.mp4", failures: tuple[tuple[str, str], ...] = ()) -> Found:
    return Found(Hit(1, query, 0, 2), hits, len(hits), 0, failures, RECIPE)


def opened(film: Film) -> Image.Image:
    kind, _, data = film.url.partition(";base64,")
    assert kind == "data:image/jpeg"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_film_holds_the_frames_of_its_moment_in_order(levels: Path) -> None:
    film = make_film(Hit(0.5, str(levels), 1, 3))
    assert (film.frames, film.size_px, film.seconds) == (FRAMES, (90, 120), 2)
    picture = opened(film)
    assert picture.size == (FRAMES * 120, 90)
    grey = np.asarray(picture.convert("L"), float)
    seen = [grey[20:70, 120 * n + 20 : 120 * n + 100].mean() for n in range(FRAMES)]
    times = 1 + (np.arange(FRAMES) + 0.5) * 2 / FRAMES
    wanted = [6 * min(range(40), key=lambda k: (abs(k / 10 - t), k)) for t in times]
    np.testing.assert_allclose(seen, wanted, atol=7)


def test_frames_of_a_short_moment_are_not_shown_twice(levels: Path) -> None:
    frames = choose_frames(probe_video(levels), Hit(1, str(levels), 1, 1.4))
    assert frames.tolist() == sorted(set(frames.tolist()))
    assert 4 <= len(frames) <= 5
    assert make_film(Hit(1, str(levels), 1, 1.01)).seconds == 0.5
    assert make_film(Hit(1, str(levels), 0, 4)).seconds == 3


def test_flow_is_shown_too(tmp_path: Path, levels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = np.zeros((FRAMES, 9, 16, 2), np.uint8)
    monkeypatch.setattr("s3d.infer.similar.film.read_frames", lambda *_: flow)
    assert opened(make_film(Hit(1, str(levels), 0, 4))).size == (160, 9)


def test_a_video_that_is_gone_has_no_picture(tmp_path: Path) -> None:
    film = make_film(Hit(1, str(tmp_path / "gone.mp4"), 0, 2))
    assert film.url == ""
    page = build_page(found(Hit(0.5, "gone.mp4", 0, 2)), "m", "f", tmp_path / "x.html")
    assert page.count("no picture can be read") == 2


def test_the_page_holds_query_and_hits(
    levels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(levels.parent)
    hits = Hit(0.934, "levels.mp4", 1, 3), Hit(0.25, str(levels), 0, 2)
    failures = (("b.mp4", "b.mp4: is empty."),)
    wanted = found(*hits, query="levels.mp4", failures=failures)
    page = build_page(wanted, "motion-small", "films", levels.parent / "page.html")
    assert page.count('class="film wide"') + page.count('class="film tall"') == 3
    assert page.count("background-image:url(data:image/jpeg;base64,") == 3
    for part in (
        "0.93",
        "0.25",
        "0:00:01.0 to 0:00:03.0",
        "motion-small, mixed5c",
        "of 2 videos in",
    ):
        assert part in page
    assert '<a href="./levels.mp4#t=1.00,3.00"' in page
    assert page.count("<a href") == 2  # not of what was named by an absolute path
    assert "1 video that cannot be read" in page
    assert "b.mp4: is empty." in page


def test_nothing_is_fetched_and_no_name_breaks_out(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>\u202e\udcff.mp4'
    failures = ((evil, f"{evil}: broken"),)
    wanted = found(Hit(0.5, evil, 0, 2), query=evil, failures=failures)
    page = build_page(wanted, evil, evil, tmp_path / "x.html")
    assert "<script" not in page
    assert "\u202e" not in page
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)|https?://|@import", page)
    page.encode()


def test_fifty_hits_are_a_few_megabytes(levels: Path, tmp_path: Path) -> None:
    hits = [Hit(0.5, str(levels), 1, 3)] * 50
    page = build_page(found(*hits), "m", "f", tmp_path / "x.html")
    assert len(page) < 6_000_000


def test_tables_say_what_was_found() -> None:
    hits = Hit(0.93456, "a,b.mp4", 1.23456, 3), Hit(0, os.fsdecode(b"\xff.mp4"), 0, 2)
    wanted = found(*hits, failures=(("b.mp4", "b.mp4: is empty."),))
    values = json.loads(json.dumps(as_json(wanted, "m", "f")))
    assert values["hits"][0] == {
        "rank": 1, "likeness": 0.9346, "path": "a,b.mp4", "start_seconds": 1.235, "end_seconds": 3,
    }  # fmt: skip
    assert values["query"] == {"path": "q.mp4", "start_seconds": 0, "end_seconds": 2}
    assert values["failed"] == [{"path": "b.mp4", "error": "b.mp4: is empty."}]
    assert (values["at"], values["window_seconds"], values["stride_seconds"]) == ("mixed5c", 2, 1)
    rows = format_csv(wanted).splitlines()
    assert rows[0] == "rank,likeness,path,start_seconds,end_seconds"
    assert rows[1] == '1,0.9346,"a,b.mp4",1.235,3'
