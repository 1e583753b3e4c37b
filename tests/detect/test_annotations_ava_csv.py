"""AVA's files: the toy that its evaluator is tested on, rows of every shape, and what is broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s3d.detect.annotations.ava_csv import (
    NO_ACTION,
    read_action_list,
    read_ava_boxes,
    read_ava_rows,
    read_ava_seconds,
)
from s3d.errors import InputError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_toy_is_read(shared_dir: Path) -> None:
    folder = shared_dir / "annotations" / "ava_toy"
    truth = read_ava_boxes(folder / "gt.csv")
    assert len(truth.keys) == 12
    assert len(truth.seen) == 3
    assert truth.keys[0] == ("3reY9zJKhqN", 1774.0)
    np.testing.assert_allclose(truth.boxes[0], [0.278, 0.203, 0.964, 0.677])
    assert truth.labels.tolist() == [3, 1, 1, 2, 3, 3, 1, 3, 2, 1, 2, 3]
    assert set(truth.scores.tolist()) == {1.0}
    assert truth.persons[:4] == ("0", "1", "2", "3")


def test_detections_have_scores_and_no_persons(shared_dir: Path) -> None:
    found = read_ava_boxes(shared_dir / "annotations" / "ava_toy" / "pred.csv", scored=True)
    assert len(found.keys) == 30
    assert found.scores[:2].tolist() == [0.655, 0.949]
    assert set(found.persons) == {""}


def test_the_action_list_of_the_toy_is_read(shared_dir: Path) -> None:
    names = read_action_list(shared_dir / "annotations" / "ava_toy" / "action_list.txt")
    assert names == {1: "action1", 2: "action2", 3: "action3"}


def test_rows_may_lack_action_and_box(tmp_path: Path) -> None:
    text = "a,0902,.1,.2,.3,.4,5,7\na,903,.1,.2,.3,.4,,\nb,904\nb,905,,,,,,\n\nb,906,.1,.2,.3,.4\n"
    boxes = read_ava_boxes(write(tmp_path / "a.csv", text))
    assert boxes.keys == (("a", 902.0), ("a", 903.0), ("b", 906.0))
    assert boxes.labels.tolist() == [5, NO_ACTION, NO_ACTION]
    assert boxes.persons == ("7", "", "")
    assert boxes.seen == (*boxes.keys[:2], ("b", 904.0), ("b", 905.0), ("b", 906.0))


def test_no_boxes_still_have_their_shape(tmp_path: Path) -> None:
    assert read_ava_boxes(write(tmp_path / "a.csv", "")).boxes.shape == (0, 4)


def test_seconds_that_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "out.csv", "a,0902\nb,1000\n")
    assert read_ava_seconds(path) == {("a", 902.0), ("b", 1000.0)}


def test_a_place_that_is_no_number_is_nan_in_rows_and_refused_in_arrays(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,1,.1,.2,.3,.4,1\na,1,.1,x,.3,nan,1\n")
    box = list(read_ava_rows(path))[1].box
    assert box is not None
    assert np.isnan(box).tolist() == [False, True, False, True]
    with pytest.raises(InputError, match=r"a\.csv, line 2: a place of its box is no number"):
        read_ava_boxes(path)


@pytest.mark.parametrize(
    "row",
    ["a", ",1,.1,.2,.3,.4,1", "a,x,.1,.2,.3,.4,1", "a,inf,0,0,1,1,1", "a,1,.1,.2,.3,.4,run",
     "a,1,.1,.2,.3", "a,1,.1,.2,.3,.4,1,2,3"],
)  # fmt: skip
def test_a_broken_row_is_named_by_its_line(tmp_path: Path, row: str) -> None:
    path = write(tmp_path / "a.csv", f"a,1,.1,.2,.3,.4,1\n{row}\n")
    with pytest.raises(InputError, match=r"a\.csv, line 2: .* is not 'video,second,x1"):
        read_ava_boxes(path)


def test_detections_need_scores(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: its score is ''; a number is needed"):
        read_ava_boxes(write(tmp_path / "a.csv", "a,1,.1,.2,.3,.4,1\n"), scored=True)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_ava_boxes(tmp_path / "a.csv")
    with pytest.raises(InputError, match="cannot be read \\(No such file"):
        read_ava_boxes(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"line 2: is no readable CSV .* Check its quotes"):
        read_ava_boxes(write(tmp_path / "a.csv", 'a,1\n"a,2\n'))


def test_action_lists_in_both_published_forms(tmp_path: Path) -> None:
    text = (
        '# by hand\nitem {\n  name: "bend/bow (at the waist)"\n  id: 1\n}\n'
        "label { label_id: 80 name: 'watch' display_name: \"no\" label_type: PERSON }\n# end\n"
    )
    names = read_action_list(write(tmp_path / "a.pbtxt", text))
    assert names == {1: "bend/bow (at the waist)", 80: "watch"}


@pytest.mark.parametrize(
    ("text", "line"),
    [("", 1), ("1 run\n", 1), ('item { name: "a" id: 1 }\nitem { name: "b" id: 1 }', 2),
     ('item { name: "a" }', 1), ("item { id: 1 }", 1), ('item { name: "a" id: 1 }\n\nso', 3)],
)  # fmt: skip
def test_a_broken_action_list_is_named_by_its_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(InputError, match=rf"a\.pbtxt, line {line}: is not a list of item"):
        read_action_list(write(tmp_path / "a.pbtxt", text))
