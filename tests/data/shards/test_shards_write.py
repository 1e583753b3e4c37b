"""Packing: what lies in shards is what was listed, byte for byte, however often it was killed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s3d.data.decode import iterate_frames, probe_video, read_frames
from s3d.data.examine import examine
from s3d.data.frame_folder import list_pictures
from s3d.data.sources import group_by_source
from s3d.data.videos import list_videos
from s3d.errors import InputError
from tests.conftest import ROOT
from tests.data.packing import pack, write_list
from tests.data.test_frame_folder import write_picture

WriteVideo = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))


@pytest.fixture
def listing(colours: Path, tmp_path: Path) -> Path:
    """Return a CSV of 16 videos with groups and splits, and one that is missing."""
    splits = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    rows = [
        (f"{colours}/{label}/{n}.mp4", label, f"{label} {n // 2}" if n else "", splits[n])
        for label in ("red", "blue")
        for n in range(8)
    ]
    return write_list(tmp_path / "list.csv", [*rows, ("gone.mp4", "red", "", "test")])


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_list_of_the_shards_is_the_list_that_was_packed(listing: Path, tmp_path: Path) -> None:
    packed = pack(listing, tmp_path / "out")
    assert len(packed.index.shards) == packed.written == 4
    before, after = list_videos(listing), list_videos(f"shards:{tmp_path / 'out'}")
    facts = [[(v.label, v.group, v.split) for v in listed.videos] for listed in (before, after)]
    assert facts[0] == facts[1]
    assert (after.labels, after.missing, after.listed) == (before.labels, before.missing, 17)
    assert (after.count_parts(), after.evaluated_part) == (before.count_parts(), "test")
    for old, new in zip(before.videos, after.videos, strict=True):
        with tarfile.open(new.path.partition("#")[0]) as tar:
            held = tar.extractfile(new.path.partition("#")[2])
            assert held is not None and held.read() == Path(old.path).read_bytes()
        frames = (np.stack(list(iterate_frames(video.path))) for video in (old, new))
        np.testing.assert_array_equal(*frames)
        np.testing.assert_array_equal(*(probe_video(v.path).times_seconds for v in (old, new)))


def test_every_shard_holds_all_classes_and_another_seed_deals_anew(
    colours: Path, tmp_path: Path
) -> None:
    first = pack(colours, tmp_path / "a", 30_000).index.shards
    assert all({row.label for row in shard.rows} == {"red", "blue"} for shard in first)
    assert [s.rows for s in pack(colours, tmp_path / "b", 30_000, 1).index.shards] != [
        s.rows for s in first
    ]
    assert pack(colours, tmp_path / "c", 30_000).index.shards == first
    assert tree(tmp_path / "a") == tree(tmp_path / "c")


def test_real_videos_are_the_same_in_shards(shared_dir: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted((shared_dir / "videos" / "odd").iterdir())):
        folder = tmp_path / "videos" / f"class {number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    pack(tmp_path / "videos", tmp_path / "out")
    before, after = (
        list_videos(source) for source in (tmp_path / "videos", f"shards:{tmp_path / 'out'}")
    )
    lost = {video.path for video in after.missing}
    assert {Path(path).name for path in lost} == {"empty.mp4"}
    kept = [video for video in before.videos if video.path not in lost]
    for old, new in zip(kept, after.videos, strict=True):
        left, right = examine(old.path), examine(new.path)
        assert (left.oddities, left.frames) == (right.oddities, right.frames)
        np.testing.assert_array_equal(read_frames(old.path, [0, 9]), read_frames(new.path, [0, 9]))


def test_names_that_tell_a_source_still_tell_it(colours: Path, tmp_path: Path) -> None:
    for number, name in enumerate(["v_wave_g01_c01", "v_wave_g01_c02", "v_wave_g02_c01"]):
        (tmp_path / "videos" / "wave").mkdir(parents=True, exist_ok=True)
        shutil.copy(colours / "red" / f"{number}.mp4", tmp_path / "videos" / "wave" / f"{name}.mp4")
    pack(tmp_path / "videos", tmp_path / "out")
    videos = list_videos(f"shards:{tmp_path / 'out'}", 1).videos
    assert group_by_source(videos, [None] * 3) == ["source 1", "source 1", "source 2"]


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_folder_of_pictures_becomes_a_file_of_the_same_frames(
    tmp_path: Path, ending: str
) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (12, 5, 7, 3), np.uint8)
    folder = tmp_path / "frames" / "wave" / "7.x"
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures.repeat(8, 1).repeat(8, 2), start=1):
        write_picture(folder / f"{number}{ending}", picture)
    pack(f"frames:{tmp_path / 'frames'}?rate=12", tmp_path / "out")
    (video,) = list_videos(f"shards:{tmp_path / 'out'}", 1).videos
    assert video.path.endswith("000000.tar#000000/7_x.avi")
    before, after = probe_video(f"{folder}?rate=12"), probe_video(video.path)
    np.testing.assert_allclose(before.times_seconds, after.times_seconds)
    assert (before.frames, before.height_px, before.width_px, before.rate_fps) == (
        after.frames, after.height_px, after.width_px, after.rate_fps,
    )  # fmt: skip
    for size in (None, (20, 28)):
        np.testing.assert_array_equal(
            read_frames(f"{folder}?rate=12", [0, 11, 5], size),
            read_frames(video.path, [0, 11, 5], size),
        )
    with tarfile.open(tmp_path / "out" / "000000.tar") as tar:
        film = tar.extractfile("000000/7_x.avi")
        content = film.read() if film else b""
    assert all(path.read_bytes() in content for path in list_pictures(str(folder)))


def test_pictures_that_make_no_film_are_named(tmp_path: Path) -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    for name, pictures in (
        ("bmp", {"1.bmp": picture}),
        ("mixed", {"1.jpg": picture, "2.png": picture}),
        ("sizes", {"1.jpg": picture, "2.jpg": picture[:16]}),
        ("good", {"1.jpg": picture}),
    ):
        folder = tmp_path / "frames" / "wave" / name
        folder.mkdir(parents=True)
        for file, content in pictures.items():
            write_picture(folder / file, content)
    packed = pack(f"frames:{tmp_path / 'frames'}?rate=12", tmp_path / "out")
    reasons = {Path(path.partition("?")[0]).name: why for path, why in packed.index.failed}
    assert packed.videos == 1 and set(reasons) == {"bmp", "mixed", "sizes"}
    assert "only pictures that are all JPEG or all PNG can be packed" in reasons["mixed"]
    assert "its pictures have 2 sizes" in reasons["sizes"]


@pytest.mark.parametrize("name", ["a.b.mp4", "é ü.MP4", "x.json.mp4", f"{'n' * 150}.mp4"])
def test_names_become_keys_that_webdataset_takes(colours: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "videos" / "a b").mkdir(parents=True)
    shutil.copy(colours / "red" / "0.mp4", tmp_path / "videos" / "a b" / name)
    pack(tmp_path / "videos", tmp_path / "out")
    (video,) = list_videos(f"shards:{tmp_path / 'out'}", 1).videos
    number, _, file = video.path.partition("#")[2].partition("/")
    assert (number, file.count("."), file.isascii(), file[-4:]) == ("000000", 1, True, ".mp4")
    assert video.label == "a b" and probe_video(video.path).frames == 8


def test_broken_videos_are_left_out_and_named(colours: Path, tmp_path: Path) -> None:
    shutil.copytree(colours, tmp_path / "videos")
    for name in ("red/0.mp4", "blue/3.mp4"):
        (tmp_path / "videos" / name).write_bytes(b"no video")
    for written in (2, 0):
        packed = pack(tmp_path / "videos", tmp_path / "out", 40_000)
        assert [Path(path).parts[-2:] for path, _ in packed.index.failed] == [
            ("blue", "3.mp4"), ("red", "0.mp4"),
        ]  # fmt: skip
        assert "is not a video that can be read" in packed.index.failed[0][1]
        assert (packed.videos, packed.written) == (14, written)
    after = list_videos(f"shards:{tmp_path / 'out'}")
    assert (len(after.videos), after.listed) == (14, 16)


def test_a_shard_of_broken_videos_alone_is_none(colours: Path, tmp_path: Path) -> None:
    (tmp_path / "videos" / "a").mkdir(parents=True)
    (tmp_path / "videos" / "a" / "0.mp4").write_bytes(b"no video" * 100)
    shutil.copy(colours / "red" / "0.mp4", tmp_path / "videos" / "a" / "1.mp4")
    for written in (2, 0):
        packed = pack(tmp_path / "videos", tmp_path / "out", 1)
        assert (len(packed.index.shards), packed.videos, packed.written) == (1, 1, written)
    assert len(list((tmp_path / "out").glob("*.tar"))) == 1
    (tmp_path / "videos" / "a" / "1.mp4").unlink()
    with pytest.raises(InputError, match=r"not one of 1 videos can be packed; first: .*0\.mp4"):
        pack(tmp_path / "videos", tmp_path / "none", 1)


def test_webdataset_reads_what_we_write(listing: Path, colours: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wds = pytest.importorskip("webdataset")
        packed = pack(listing, tmp_path / "out")
        tars = [str(tmp_path / "out" / shard.name) for shard in packed.index.shards]
        samples = list(wds.WebDataset(tars, shardshuffle=False).decode())
    before = list_videos(listing)
    seen = {sample["json"]["path"]: sample for sample in samples}
    assert set(seen) == {video.path for video in before.videos}
    for video in before.videos:
        sample = seen[video.path]
        assert sample["mp4"] == Path(video.path).read_bytes()
        assert sample["json"]["label"] == video.label == before.labels[sample["cls"]]
        assert (sample["json"]["group"], sample["json"]["split"]) == (video.group, video.split)
    keys = [sample["__key__"] for sample in samples]
    assert keys == sorted(set(keys))


def test_other_data_are_not_overwritten(colours: Path, listing: Path, tmp_path: Path) -> None:
    pack(colours, tmp_path / "out")
    held = tree(tmp_path / "out")
    for change in ({"source": listing}, {"seed": 1}, {"shard_bytes": 5000}):
        options = {"source": colours, "out": tmp_path / "out", **change}
        with pytest.raises(InputError, match="holds shards of other data or other options"):
            pack(**options)  # type: ignore[arg-type]
    assert tree(tmp_path / "out") == held
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "x.tar").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"x\.tar: is there already and is not of s3d shard"):
        pack(colours, tmp_path / "foreign")


def test_a_shard_that_was_lost_is_written_again(colours: Path, tmp_path: Path) -> None:
    pack(colours, tmp_path / "out")
    held = tree(tmp_path / "out")
    (tmp_path / "out" / "000001.tar").unlink()
    assert len(list_videos(f"shards:{tmp_path / 'out'}").missing) > 3
    assert pack(colours, tmp_path / "out").written == 1
    assert tree(tmp_path / "out") == held


def test_a_file_that_grows_while_it_is_read_spoils_nothing_else(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3d.data.shards import write as shards_write

    def read(path: str) -> list[bytes]:
        content = Path(path).read_bytes()
        return [content[:-1]] if path.endswith("red/2.mp4") else [content]

    monkeypatch.setattr(shards_write, "read_content", read)
    packed = pack(colours, tmp_path / "out")
    assert "does not have the" in packed.index.failed[0][1] and packed.videos == 15
    for shard in packed.index.shards:
        with tarfile.open(tmp_path / "out" / shard.name) as tar:
            assert len(tar.getmembers()) == 3 * len(shard.rows)
    for video in list_videos(f"shards:{tmp_path / 'out'}").videos:
        assert probe_video(video.path).frames == 8


KILLS = """
import sys
from tests.killer import run
words = ["shard", sys.argv[1], "--shard-mb=1", "--threads=1", "--out"]
from s3d.data.shards import write as shards_write
deal = shards_write._deal
shards_write._deal = lambda sizes, shard_bytes, seed: deal(sizes, 18_000, seed)
assert run([*words, sys.argv[2] + "/whole"]) == 0
out = [*words, sys.argv[2] + "/killed"]
for place in [(".plan.json", 0), ("000000.tar", 0), (".000000.json", 0), ("000002.tar", 0),
              (".000002.json", 0), ("index.json", 0)]:
    assert run(out, dies_at=place) == 9, place
assert run(out) == 0
"""


def test_killed_anywhere_it_goes_on_and_ends_with_the_same_bytes(
    colours: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(colours), str(tmp_path)],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2].startswith("packed    16 videos in 4 shards")
    assert done.stdout.splitlines()[-2].endswith(", 4 done before")
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")
    assert set(tree(tmp_path / "whole")) == {
        "000000.tar", "000001.tar", "000002.tar", "000003.tar", "index.json",
    }  # fmt: skip
    assert len(json.loads((tmp_path / "whole" / "index.json").read_text())["shards"]) == 4
