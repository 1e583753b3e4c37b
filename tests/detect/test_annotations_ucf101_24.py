"""UCF101-24: the six real clips against their JSON, lists, both pickles, and what is wrong."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.detect.annotations.read import read_annotated
from s3d.detect.annotations.ucf101_24 import CLASSES
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.detect.annotating import boxes_of, counts, only, put_text, put_video

RUN = "v_Biking_g08_c01"


@pytest.fixture(scope="module")
def six(shared_dir: Path) -> str:
    pickled = shared_dir / "annotations" / "ucf101_24" / "pyannot_6_clips.pkl"
    return f"ucf101_24:{shared_dir / 'videos' / 'detection'}?annotations={pickled}"


def tube(boxes: Any, start: int = 0, label: int = 2, end: int | None = None) -> dict[str, Any]:
    given = np.array(boxes, np.uint8)
    stop = start + len(given) if end is None else end
    return {"label": label, "boxes": given, "sf": start, "ef": stop}


def put(folder: Path, clips: Any, name: str = "pyannot.pkl") -> Path:
    (folder / name).write_bytes(pickle.dumps(clips, 2))
    return folder


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo) -> Path:
    put_video(write_video, tmp_path / "videos" / "Biking" / f"{RUN}.avi")
    put_video(write_video, tmp_path / "videos" / "Biking" / "v_Biking_g07_c01.avi")
    return tmp_path


def clip(*tubes: dict[str, Any]) -> dict[str, Any]:
    return {"label": 2, "numf": np.uint8(12), "annotations": list(tubes)}


def test_the_six_clips_have_the_boxes_of_their_json(six: str, shared_dir: Path) -> None:
    annotated = read_annotated(six)
    text = (shared_dir / "videos" / "detection" / "boxes.json").read_text()
    true = json.loads(text)
    assert annotated.labels == CLASSES
    assert annotated.has_tracks
    assert not annotated.problems.counts
    assert {video.name.rpartition("/")[2] for video in annotated.videos} == set(true)
    for video in annotated.videos:
        facts = true[video.name.rpartition("/")[2]]
        assert video.size_px == (240, 320)
        assert video.part == facts["split"]
        assert video.frames.tolist() == list(range(facts["numf"]))
        for mine, its in zip(video.tubes, facts["annotations"], strict=True):
            assert CLASSES[mine.label] == facts["cls"]
            assert mine.frames.tolist() == list(range(its["sf"], its["ef"]))
            x, y, width, height = np.array(its["xywh"], np.float64).T
            right, bottom = np.minimum(x + width, 320), np.minimum(y + height, 240)
            np.testing.assert_array_equal(mine.boxes, np.stack([x, y, right, bottom], 1))
    dancers = next(v for v in annotated.videos if "IceDancing" in v.name)
    assert [tube.track for tube in dancers.tubes] == ["0", "1"]


def test_only_classes_of_which_there_is_a_box(six: str) -> None:
    some = read_annotated(f"{six}&classes=present&frames=annotated")
    assert some.labels == (
        "Basketball",
        "CliffDiving",
        "HorseRiding",
        "IceDancing",
        "SkateBoarding",
    )
    whole = {v.name: v for v in read_annotated(six).videos}
    for video in some.videos:
        assert some.labels[video.tubes[0].label] == CLASSES[whole[video.name].tubes[0].label]
        seen = np.unique(np.concatenate([tube.frames for tube in video.tubes]))
        assert video.frames.tolist() == seen.tolist()


def test_groups_are_parts_where_no_list_is(folder: Path) -> None:
    boxes = tube([[1, 2, 3, 4]])
    put(folder, {f"Biking/v_Biking_g0{n}_c01": clip(boxes) for n in (7, 8)})
    address = f"ucf101_24:{folder}"
    assert only(read_annotated(address, "test")).name == "Biking/v_Biking_g07_c01"
    assert only(read_annotated(f"{address}?part=train")).name == f"Biking/{RUN}"
    assert only(read_annotated(f"{address}?split=2", "test")).name == f"Biking/{RUN}"


def test_the_rule_of_the_groups_is_that_of_the_published_lists(shared_dir: Path) -> None:
    from s3d.data.datasets.address import parse_address
    from s3d.detect.annotations.read import KEYS
    from s3d.detect.annotations.ucf101_24 import _part_of

    for split in "123":
        address = parse_address(f"ucf101_24:{shared_dir}?split={split}", KEYS)
        for part in ("train", "test"):
            path = shared_dir / "annotations" / "ucf101" / f"{part}list0{split}.txt"
            for line in path.read_text().splitlines():
                name = line.split()[0].removesuffix(".avi")
                assert not line.startswith(CLASSES) or _part_of(name, None, address) == part


@pytest.mark.parametrize("place", ["", "splitfiles", "annotations"])
def test_lists_are_obeyed(folder: Path, place: str) -> None:
    boxes = tube([[1, 2, 3, 4]])
    names = ["Biking/v_Biking_g07_c01", f"Biking/{RUN}", "Biking/v_Biking_g09_c01"]
    put(folder, {name: clip(boxes) for name in names})
    put_text(folder / place / "trainlist01.txt", f"{names[0]}\n")
    put_text(folder / place / "testlist01.txt", f"{names[1]}.avi\n")
    annotated = read_annotated(f"ucf101_24:{folder}")
    assert {v.name: v.part for v in annotated.videos} == {names[0]: "train", names[1]: "test"}
    assert counts(annotated) == {"videos in neither list of the split left out": 1}
    put_text(folder / place / "testlist01.txt", "Biking\n")
    with pytest.raises(InputError, match=r"testlist01\.txt, line 1: 'Biking' is not '<class>/v_"):
        read_annotated(f"ucf101_24:{folder}")


def test_sums_of_bytes_do_not_wrap(folder: Path) -> None:
    put(folder, {f"Biking/{RUN}": clip(tube([[200, 100, 110, 139]]))})
    assert boxes_of(read_annotated(f"ucf101_24:{folder}")) == {
        ("Biking", "0", 0): [200, 100, 310, 239]
    }


def test_numbers_of_any_kind_are_classes(folder: Path) -> None:
    tubes = [{**tube([[1, 2, 3, 4]]), "label": label} for label in (True, np.uint8(2), np.int64(3))]
    annotated = read_annotated(f"ucf101_24:{put(folder, {f'Biking/{RUN}': clip(*tubes)})}")
    assert [one.label for one in only(annotated).tubes] == [1, 2, 3]
    assert {type(one.label) for one in only(annotated).tubes} == {int}


def test_what_is_wrong_is_counted(folder: Path) -> None:
    good = [[1, 2, 3, 4]]
    tubes = [
        tube(good * 3, 11), tube(good, label=24), tube(good, end=3), tube([[1, 2, 0, 4]]),
        {"label": 2}, {**tube(good), "boxes": np.zeros((2, 5))}, {**tube(good), "boxes": [[1, 2]]},
    ]  # fmt: skip
    clips = {f"Biking/{RUN}": clip(*tubes), "Biking/v_Biking_g01_c01": clip(tube(good)), "odd": 3,
             "Biking/v_Biking_g07_c01": 3}  # fmt: skip
    annotated = read_annotated(f"ucf101_24:{put(folder, clips)}")
    assert counts(annotated) == {
        "boxes in frames that their video does not have left out": 2,
        "tubes of a class that is not in the list left out": 1,
        "tubes with other than a box for each of their frames cut to the fewer": 1,
        "boxes without width or height left out": 1,
        "tubes that are not rows of frame and box left out": 4,
        "videos that are not there left out": 1,
        "videos in neither list of the split left out": 1,
    }
    assert boxes_of(annotated).keys() == {("Biking", "0", 11), ("Biking", "2", 0)}


def act(**changed: Any) -> dict[str, Any]:
    name = f"Biking/{RUN}"
    rows = np.array([[2, 1, 2, 30, 40], [3, 2, 2, 30, 40]], np.float32)
    return {
        "labels": ["Basketball", "Biking"], "gttubes": {name: {1: [rows, rows[:1] + 1]}},
        "nframes": {name: 12}, "train_videos": [[name]], "test_videos": [[]],
        "resolution": {name: (48, 64)}, **changed,
    }  # fmt: skip


def test_the_other_pickle_is_known_by_its_keys(folder: Path) -> None:
    annotated = read_annotated(f"ucf101_24:{put(folder, act(), 'UCF101v2-GT.pkl')}", "train")
    video = only(annotated)
    assert annotated.labels == ("Basketball", "Biking")
    assert (video.size_px, video.part) == ((48, 64), "train")
    assert video.frames.tolist() == list(range(12))
    assert boxes_of(annotated) == {
        ("Biking", "0", 1): [1, 2, 30, 40],
        ("Biking", "0", 2): [2, 2, 30, 40],
        ("Biking", "1", 2): [2, 3, 31, 41],
    }


def test_tubes_of_the_other_pickle_that_are_wrong_are_counted(folder: Path) -> None:
    name = f"Biking/{RUN}"
    rows = np.array([[np.nan, 1, 2, 30, 40], [13, 1, 2, 30, 40], [1, np.nan, 2, 30, 40]])
    marked = {1: [rows, "x", np.zeros(5)], 2: [rows], "x": [rows], 0: 5}
    gttubes = {name: marked, "Biking/v_Biking_g07_c01": 7, "lost": {}}
    lists = {"train_videos": [[name]], "test_videos": [["Biking/v_Biking_g07_c01"]]}
    given = act(gttubes=gttubes, **lists, resolution={name: (0, -1)})
    annotated = read_annotated(f"ucf101_24:{put(folder, given)}")
    assert annotated.videos[0].size_px == (240, 320)
    assert counts(annotated) == {
        "boxes in frames that their video does not have left out": 2,
        "boxes that are not four numbers left out": 1,
        "tubes that are not rows of frame and box left out": 4,
        "tubes of a class that is not in the list left out": 2,
        "videos in neither list of the split left out": 1,
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": 3}, "labels are no list"),
        ({"labels": ["a", "a"]}, "labels are not names, each once"),
        ({"gttubes": []}, "gttubes are not tubes by video"),
        ({"train_videos": None}, "train_videos are no lists"),
        ({"train_videos": []}, "split 1 is not there; its pickle has 0"),
    ],
)
def test_another_pickle_that_is_not_as_published(
    folder: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_annotated(f"ucf101_24:{put(folder, act(**changed))}")


def test_a_folder_that_lacks_something_is_told(folder: Path) -> None:
    address = f"ucf101_24:{folder}"
    with pytest.raises(InputError, match=r"there is no pyannot\.pkl in its folder"):
        read_annotated(address)
    put(folder, [1])
    with pytest.raises(InputError, match="not as published \\(they are not clips by name\\)"):
        read_annotated(address)
    (folder / "pyannot.pkl").rename(folder / "a.pkl")
    put(folder, [1], "b.pkl")
    with pytest.raises(InputError, match=r"there are 2 pickles and none is pyannot\.pkl"):
        read_annotated(address)
    with pytest.raises(InputError, match="split is '4'; it is one of 1, 2, 3"):
        read_annotated(f"{address}?split=4")
    with pytest.raises(InputError, match="frames is 'some'; it is one of all, annotated"):
        read_annotated(f"{address}?frames=some")
    with pytest.raises(InputError, match="unknown key 'box'"):
        read_annotated(f"{address}?box=1")
    put(folder, {f"Biking/{RUN}": clip()})
    with pytest.raises(InputError, match="classes is 'few'; it is one of all, present"):
        read_annotated(f"{address}?classes=few")
