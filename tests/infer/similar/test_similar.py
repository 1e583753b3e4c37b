"""A folder is searched: copies come first, moments are found where they are, work is kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import s3d
from s3d.clip import ClipSpec
from s3d.data.video_info import Frames
from s3d.errors import InputError
from s3d.infer.recognizer import Recognizer, load
from s3d.infer.similar.query import Query
from s3d.infer.similar.similar import Found, SearchRecipe, check_query, find_similar, list_named
from s3d.models.model_file import ModelFile, save_model
from s3d.models.network import build
from tests.conftest import WriteVideo

SPEC = ClipSpec(frames=4, rate_fps=8, resize_px=(32, 32), size_px=(32, 32))  # half a second
RATE_FPS = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a small embedding: a network without labels."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, ModelFile(build("s3d_fast", num_classes=2, width=0.1).eval(), (), SPEC))
    return path


def moving(seed: int, steps: int = 8) -> Frames:
    """Return a texture of its own that moves to a side of its own: a second of it."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 256, (6, 6, 3)).repeat(8, 0).repeat(8, 1)
    speed = rng.integers(-9, 10, 2)
    rolled = [np.roll(texture, speed * step, (0, 1)) for step in range(steps)]
    return np.stack(rolled).astype(np.uint8)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a folder of nine videos of a second, three in a sub-folder, and one of five."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "more").mkdir()
    options = {"qscale": "2"}
    for seed in range(9):
        place = folder / "more" if seed > 5 else folder
        path = place / f"{seed}.mp4"
        write_video(path, moving(seed), RATE_FPS, codec="mpeg4", options=options)
    long = np.concatenate([moving(seed) for seed in (11, 12, 13, 14, 15)])
    write_video(folder / "long.mp4", long, RATE_FPS, codec="mpeg4", options=options)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def search(model: Path, query: Path | Query, folder: Path, home: Path, **options: object) -> Found:
    recipe = SearchRecipe(index=home, **options)  # type: ignore[arg-type]
    wanted = query if isinstance(query, Query) else Query(str(query))
    return find_similar(load(model), wanted, str(folder), recipe)


def test_a_copy_elsewhere_comes_first(model: Path, films: Path, tmp_path: Path, home: Path) -> None:
    query = Path(shutil.copy(films / "more" / "7.mp4", tmp_path))
    hits = s3d.similar(query, films, model, top=3)
    assert len(hits) == 3
    assert hits[0].path == str(films / "more" / "7.mp4")
    assert hits[0].likeness == pytest.approx(1, abs=1e-5)
    assert 0 <= hits[2].likeness <= hits[1].likeness < 0.99
    assert (hits[0].start_seconds, hits[0].end_seconds) == (0, 1)
    assert list(home.glob("similar/*/part-*.db"))


def test_the_query_itself_is_left_out(model: Path, films: Path, home: Path) -> None:
    found = search(model, films / "3.mp4", films, home, top=99)
    assert (found.videos, len(found.hits), found.failures) == (10, 9, ())
    assert str(films / "3.mp4") not in {hit.path for hit in found.hits}
    assert found.query == s3d.Hit(1, str(films / "3.mp4"), 0, 1)
    assert [hit.likeness for hit in found.hits] == sorted(
        (hit.likeness for hit in found.hits), reverse=True
    )


def test_a_moment_is_found_in_a_long_video(
    model: Path, films: Path, tmp_path: Path, home: Path, write_video: WriteVideo
) -> None:
    query = tmp_path / "query.mp4"
    write_video(query, moving(13), RATE_FPS, codec="mpeg4", options={"qscale": "2"})
    best = search(model, query, films, home).hits[0]
    assert best.path == str(films / "long.mp4")
    assert (best.start_seconds, best.end_seconds) == (2, 3)
    assert best.likeness > 0.9


def test_a_moment_of_a_long_video_finds_the_short_one(
    model: Path, films: Path, tmp_path: Path, home: Path, write_video: WriteVideo
) -> None:
    folder = Path(shutil.copytree(films, tmp_path / "films"))
    write_video(folder / "x.mp4", moving(12), RATE_FPS, codec="mpeg4", options={"qscale": "2"})
    query = Query(str(films / "long.mp4"), 1, 2)
    found = search(model, query, folder, home, top=2)
    assert {Path(hit.path).name for hit in found.hits} == {"x.mp4", "long.mp4"}
    assert found.hits[1].likeness > 0.9
    assert found.query == s3d.Hit(1, str(films / "long.mp4"), 1, 2)


def test_every_moment_counts_where_it_is_asked_for(model: Path, films: Path, home: Path) -> None:
    query = Query(str(films / "long.mp4"), 1, 2)
    found = search(model, query, films / "long.mp4", home, top=99, each_moment=True)
    assert len(found.hits) > 3
    for number, hit in enumerate(found.hits):
        assert hit.end_seconds <= 1 or hit.start_seconds >= 2  # not on the query
        for other in found.hits[:number]:
            ends = min(hit.end_seconds, other.end_seconds)
            assert ends - max(hit.start_seconds, other.start_seconds) <= 0.5 + 1e-9
    assert len(search(model, query, films / "long.mp4", home).hits) == 1


def test_the_second_search_computes_nothing(
    model: Path, films: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = search(model, films / "0.mp4", films, home)
    assert first.computed == 10

    def never(self: Recognizer) -> None:
        raise AssertionError("an engine was asked for")

    monkeypatch.setattr(Recognizer, "engine", property(never))
    second = search(model, films / "0.mp4", films, home)
    assert (second.hits, second.computed) == (first.hits, 0)
    assert search(model, films / "1.mp4", films / "more", home).videos == 3


def test_a_changed_video_is_looked_at_again(
    model: Path, films: Path, tmp_path: Path, home: Path
) -> None:
    folder = Path(shutil.copytree(films, tmp_path / "films"))
    search(model, films / "0.mp4", folder, home)
    shutil.copy(films / "0.mp4", folder / "5.mp4")
    os.utime(folder / "5.mp4", ns=(1, 1))
    found = search(model, films / "0.mp4", folder, home)
    assert found.computed == 1
    assert {Path(hit.path).name for hit in found.hits[:2]} == {"0.mp4", "5.mp4"}


def test_other_settings_have_features_of_their_own(model: Path, films: Path, home: Path) -> None:
    search(model, films / "0.mp4", films / "more", home)
    for options in ({"at": "mixed4f"}, {"stride_seconds": 0.5}):
        assert search(model, films / "0.mp4", films / "more", home, **options).computed == 3
    assert search(model, films / "0.mp4", films / "more", home).computed == 0


def test_a_kill_loses_little(
    model: Path, films: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    recipe = SearchRecipe(index=home)
    with pytest.raises(KeyboardInterrupt):
        find_similar(load(model), Query(str(films / "0.mp4")), str(films), recipe, stop)
    again = search(model, films / "0.mp4", films, home)
    assert again.computed <= 10 - 4
    assert again.hits == search(model, films / "0.mp4", films, home / "other").hits


def test_broken_videos_are_counted_and_end_nothing(
    model: Path, films: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(films, tmp_path / "films"))
    (folder / "broken.mp4").write_text("no video")
    (folder / "empty.mp4").touch()
    found = search(model, films / "0.mp4", folder, home)
    assert (found.videos, found.computed) == (10, 11 - 1)
    assert [Path(path).name for path, _ in found.failures] == ["broken.mp4", "empty.mp4"]
    assert "is empty (0 bytes)" in found.failures[1][1]
    assert search(model, films / "0.mp4", folder, home).failures == found.failures

    def fault(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr("s3d.infer.similar.fill.compute_features", fault)
    shutil.copy(films / "1.mp4", folder / "new.mp4")
    failures = dict(search(model, films / "0.mp4", folder, home).failures)
    assert "a fault of s3d (RuntimeError: out of order)" in failures[str(folder / "new.mp4")]


def test_two_videos_can_be_ranked(model: Path, films: Path, tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("1.mp4", "2.mp4"):
        shutil.copy(films / name, folder)
    found = search(model, films / "2.mp4", folder, home)
    assert [Path(hit.path).name for hit in found.hits] == ["2.mp4", "1.mp4"]
    assert found.hits[0].likeness == pytest.approx(1, abs=1e-5)


def test_a_list_and_the_index_within_the_folder(model: Path, films: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"path,label\n{films}/1.mp4,a\n{films}/2.mp4,b\n")
    assert search(model, films / "0.mp4", tmp_path / "list.csv", tmp_path / "index").videos == 2
    folder = Path(shutil.copytree(films / "more", tmp_path / "more"))
    for _ in range(2):
        found = search(model, films / "0.mp4", folder, folder / "index")
        assert (found.videos, found.failures) == (3, ())
    assert len(list_named(str(folder), tmp_path)) == 3  # and it is no video to anybody else


def test_what_cannot_be_searched(model: Path, films: Path, tmp_path: Path, home: Path) -> None:
    with pytest.raises(
        InputError, match=r"films\d*: is a folder; the query is one video. Name one"
    ):
        check_query(str(films))
    with pytest.raises(InputError, match=r"gone\.mp4: no such file"):
        check_query(str(films / "gone.mp4"))
    with pytest.raises(InputError, match=r"none: no such folder. Check the path."):
        list_named(str(tmp_path / "none"), tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: holds no videos. Check the path."):
        list_named(str(tmp_path / "empty"), home)
    (tmp_path / "empty" / "a.mp4").write_text("x")
    with pytest.raises(InputError, match=r"none of its videos can be read. The first: .*a.mp4"):
        search(model, films / "0.mp4", tmp_path / "empty", home)
    with pytest.raises(InputError, match=r"0.mp4: holds nothing but the query. Add videos to it."):
        search(model, films / "0.mp4", films / "0.mp4", home)
    with pytest.raises(InputError, match=r"none.mp4: no such file"):
        search(model, films / "none.mp4", films, home)
    for top in (0, 10_001):
        with pytest.raises(InputError, match=f"top is {top}; it needs a number from 1 to 10,000."):
            SearchRecipe(top=top)
    with pytest.raises(InputError, match="unknown block 'mixed5'"):
        search(model, films / "0.mp4", films, home, at="mixed5")
    with pytest.raises(InputError, match="stride is 0 s"):
        search(model, films / "0.mp4", films, home, stride_seconds=0.0)
