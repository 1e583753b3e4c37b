"""JHMDB: boxes around masks, splits, pictures or files, the pickle, and what is wrong."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.detect.annotations.jhmdb import CLASSES
from s3d.detect.annotations.read import read_annotated
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.detect.annotating import boxes_of, counts, only, put_pictures, put_text, put_video


def masks_of(*boxes: tuple[int, int, int, int] | None) -> np.ndarray[Any, Any]:
    """Return masks (48, 64, T), each an L, whose extent is the box."""
    masks = np.zeros((48, 64, len(boxes)), np.uint8)
    for frame, box in enumerate(boxes):
        if box:
            x1, y1, x2, y2 = box
            masks[y1:y2, x1, frame] = 1
            masks[y2 - 1, x1:x2, frame] = 1
    return masks


def put_masks(folder: Path, masks: Any, label: str = "catch", stem: str = "a") -> None:
    from scipy.io import savemat

    path = folder / "puppet_mask" / label / stem / "puppet_mask.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"part_mask": masks}, do_compression=True)


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo) -> Path:
    put_video(write_video, tmp_path / "ReCompress_Videos" / "catch" / "a.avi", frames=4)
    put_pictures(tmp_path / "Rename_Images" / "wave" / "b", 3)
    put_text(tmp_path / "splits" / "catch_test_split1.txt", "a.avi 1\nunused.avi 0\n")
    put_text(tmp_path / "splits" / "wave_test_split1.txt", "b.avi 2 \n")
    put_text(tmp_path / "splits" / "catch_test_split2.txt", "a.avi 2\n")
    return tmp_path


def test_boxes_are_around_masks(folder: Path) -> None:
    put_masks(folder, masks_of((1, 2, 30, 40), None, (0, 0, 64, 48), (63, 47, 64, 48)))
    put_masks(folder, masks_of((5, 6, 7, 8))[:, :, 0], "wave", "b")
    annotated = read_annotated(f"jhmdb:{folder}")
    assert annotated.labels == CLASSES
    assert len(CLASSES) == 21
    assert annotated.has_tracks
    catch, wave = annotated.videos
    assert (catch.part, catch.size_px, catch.frames.tolist()) == ("train", (48, 64), [0, 2, 3])
    assert boxes_of(annotated) == {
        ("catch", "0", 0): [1, 2, 30, 40],
        ("catch", "0", 2): [0, 0, 64, 48],
        ("catch", "0", 3): [63, 47, 64, 48],
    }
    assert (wave.part, wave.frames.tolist()) == ("test", [0])
    assert wave.path == f"{folder / 'Rename_Images' / 'wave' / 'b'}?rate=25"
    assert boxes_of(annotated, 1) == {("wave", "0", 0): [5, 6, 7, 8]}
    assert counts(annotated) == {"frames with an empty mask left out": 1}


def test_splits_parts_and_rates_are_chosen(folder: Path) -> None:
    put_masks(folder, masks_of((1, 2, 30, 40)))
    put_masks(folder, masks_of((5, 6, 7, 8)), "wave", "b")
    address = f"jhmdb:{folder}"
    assert only(read_annotated(address, "test")).name == "wave/b"
    assert only(read_annotated(f"{address}?split=2&part=test")).name == "catch/a"
    assert read_annotated(f"{address}?rate=30", "test").videos[0].path.endswith("?rate=30")
    assert read_annotated(f"{address}?classes=present").labels == ("catch", "wave")


def test_what_is_wrong_is_counted(folder: Path) -> None:
    from scipy.io import savemat

    put_masks(folder, masks_of(*[(1, 2, 30, 40)] * 5))
    lines = "c.avi 1\n" + "".join(f"{stem}.avi 1\n" for stem in "defg")
    put_text(folder / "splits" / "wave_test_split1.txt", "b.avi 2\n" + lines)
    put_text(folder / "splits" / "cartwheel_test_split1.txt", "x.avi 1\n")
    for stem in "defg":
        put_pictures(folder / "Rename_Images" / "wave" / stem, 1)
        put_masks(folder, masks_of((1, 2, 3, 4)), "wave", stem)
    base = folder / "puppet_mask" / "wave"
    whole = (base / "d" / "puppet_mask.mat").read_bytes()
    (base / "d" / "puppet_mask.mat").write_bytes(whole[: len(whole) - 20])
    (base / "e" / "puppet_mask.mat").write_bytes(b"no MATLAB" * 50)
    savemat(base / "f" / "puppet_mask.mat", {"other": np.ones(3)})
    savemat(base / "g" / "puppet_mask.mat", {"part_mask": np.array([["a"], ["b"]])})
    annotated = read_annotated(f"jhmdb:{folder}")
    assert only(annotated).name == "catch/a"
    assert counts(annotated) == {
        "boxes in frames that their video does not have left out": 1,
        "lists of a class that JHMDB does not have left out": 1,
        "videos that are not there left out": 1,
        "videos without a mask that can be read left out": 5,
    }


def test_the_pickle_is_read_where_it_is(folder: Path) -> None:
    names = ["catch/a", "wave/b"]
    rows = np.array([[1, 1, 2, 30, 40], [3, 2, 2, 30, 40]], np.float32)
    content = {
        "labels": ["catch", "wave"],
        "gttubes": {name: {place: [rows]} for place, name in enumerate(names)},
        "train_videos": [["catch/a"], ["wave/b"]], "test_videos": [["wave/b"], ["catch/a"]],
        "nframes": {}, "resolution": dict.fromkeys(names, (48, 64)),
    }  # fmt: skip
    (folder / "JHMDB-GT.pkl").write_bytes(pickle.dumps(content, 2))
    test = read_annotated(f"jhmdb:{folder}", "test")
    assert only(test).path.endswith("b?rate=25")
    assert only(test).frames.tolist() == [0, 2]
    assert boxes_of(test) == {
        ("wave", "0", 0): [1, 2, 30, 40],
        ("wave", "0", 2): [2, 2, 30, 40],
    }
    assert only(read_annotated(f"jhmdb:{folder}?split=2", "test")).name == "catch/a"
    put_masks(folder, masks_of((1, 2, 30, 40)))
    assert read_annotated(f"jhmdb:{folder}?boxes=masks", "train").labels == CLASSES
    (folder / "JHMDB-GT.pkl").write_bytes(pickle.dumps({}, 2))
    with pytest.raises(InputError, match="not as published \\(no labels and gttubes\\)"):
        read_annotated(f"jhmdb:{folder}")


def test_names_in_the_pickle_do_not_leave_the_folder(folder: Path, write_video: WriteVideo) -> None:
    put_video(write_video, folder.parent / "secret.avi", frames=2)
    names = ["../../secret", "catch/../../../secret", "/etc/passwd", "..", "catch/" + "x" * 5000]
    rows = np.array([[1, 1, 2, 30, 40]], np.float32)
    content = {
        "labels": ["catch"], "gttubes": {name: {0: [rows]} for name in [*names, "catch/a"]},
        "train_videos": [[*names, "catch/a"]], "test_videos": [[]],
    }  # fmt: skip
    (folder / "JHMDB-GT.pkl").write_bytes(pickle.dumps(content, 2))
    annotated = read_annotated(f"jhmdb:{folder}")
    assert only(annotated).name == "catch/a"
    assert counts(annotated) == {"videos that are not there left out": len(names)}


def test_a_folder_that_lacks_something_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"_test_split3\.txt is not in its folder 'splits'"):
        read_annotated(f"jhmdb:{folder}?split=3")
    with pytest.raises(InputError, match="boxes is 'joints'; it is one of pickle, masks"):
        read_annotated(f"jhmdb:{folder}?boxes=joints")
    with pytest.raises(InputError, match=r"there is no JHMDB-GT\.pkl"):
        read_annotated(f"jhmdb:{folder}?boxes=pickle")
    put_masks(folder, masks_of((1, 2, 30, 40)))
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(InputError, match="need scipy: pip install 'scipy'"):
        read_annotated(f"jhmdb:{folder}")
    put_text(folder / "splits" / "catch_test_split1.txt", "a.avi one\n")
    with pytest.raises(InputError, match=r"line 1: 'a\.avi one' is not '<video>\.avi 1 or 2'"):
        read_annotated(f"jhmdb:{folder}")
