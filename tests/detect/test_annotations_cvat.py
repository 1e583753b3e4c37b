"""CVAT's XML: keyframes and what is between, pictures, actions, and XML that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3d.detect.annotations.keyframes import Keyframe, fill_between
from s3d.detect.annotations.read import read_annotated
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.detect.annotating import boxes_of, counts, only, put_pictures, put_text, put_video

META = """<meta><task><size>12</size><mode>interpolation</mode><start_frame>0</start_frame>
<stop_frame>{stop}</stop_frame><frame_filter>{filter}</frame_filter>
<labels><label><name>person</name><attributes><attribute><name>action</name></attribute>
</attributes></label><label><name>dog</name></label></labels>
<original_size><width>64</width><height>48</height></original_size><source>a.mp4</source>
</task><dumped>2024</dumped></meta>"""


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo) -> Path:
    put_video(write_video, tmp_path / "a.mp4")
    return tmp_path


def drawn(frame: int, x1: float, *, outside: int = 0, action: str = "", key: int = 1) -> str:
    inner = f'<attribute name="action">{action}</attribute>' if action else ""
    return (
        f'<box frame="{frame}" outside="{outside}" occluded="0" keyframe="{key}" xtl="{x1}" '
        f'ytl="2" xbr="{x1 + 10}" ybr="20" z_order="0">{inner}</box>'
    )


def put(folder: Path, body: str, stop: int = 11, step: str = "") -> str:
    meta = META.format(stop=stop, filter=step)
    text = f"<?xml version='1.0'?><annotations><version>1.1</version>{meta}{body}</annotations>"
    return str(put_text(folder / "boxes.xml", text))


def track(boxes: str, number: int = 0, label: str = "person") -> str:
    return f'<track id="{number}" label="{label}" source="manual">{boxes}</track>'


def test_between_keyframes_a_box_moves_straight() -> None:
    keys = [
        Keyframe(6, (10, 0, 20, 10), True, False, ()),
        Keyframe(2, (0, 0, 10, 10), True, True, ()),
        Keyframe(9, (5, 5, 6, 6), False, False, ()),
        Keyframe(10, (1, 1, 2, 2), True, True, ()),
    ]
    filled = {frame: box for frame, box, _ in fill_between(keys, 13)}
    assert list(filled) == [2, 3, 4, 5, 6, 10, 11, 12]
    assert filled[3] == (2.5, 0, 12.5, 10)
    assert filled[12] == (1, 1, 2, 2)


def test_a_keyframe_far_away_makes_no_billion_boxes() -> None:
    keys = [Keyframe(f, (0, 0, 1, 1), True, True, ()) for f in (0, 10**9)]
    assert [frame for frame, _, _ in fill_between(keys, 3)] == [0, 1, 2, 10**9]


def test_tracks_go_on_until_they_are_outside(folder: Path) -> None:
    body = track(drawn(2, 0) + drawn(6, 20) + drawn(8, 20, outside=1)) + track(drawn(10, 5), 3)
    annotated = read_annotated(put(folder, body))
    video = only(annotated)
    assert annotated.labels == ("person", "dog")
    assert annotated.has_tracks
    assert (video.size_px, video.frames.tolist()) == ((48, 64), list(range(12)))
    tubes = {tube.track: tube for tube in video.tubes}
    assert tubes["0"].frames.tolist() == [2, 3, 4, 5, 6, 7]
    assert tubes["0"].boxes[:, 0].tolist() == [0, 5, 10, 15, 20, 20]
    assert tubes["3"].frames.tolist() == [10, 11]
    assert not annotated.problems.counts


def test_only_frames_of_the_task_were_looked_at(folder: Path) -> None:
    annotated = read_annotated(put(folder, track(drawn(0, 0) + drawn(8, 8)), 8, "step=4"))
    assert only(annotated).frames.tolist() == [0, 4, 8]
    assert only(annotated).tubes[0].frames.tolist() == [0, 4, 8]


def test_an_action_is_the_class(folder: Path) -> None:
    boxes = drawn(0, 0, action="walk") + drawn(4, 0, action="run") + drawn(6, 0, outside=1)
    body = track(boxes) + track(drawn(0, 30) + drawn(2, 30, outside=1), 1, "dog")
    annotated = read_annotated(put(folder, body))
    assert annotated.labels == ("run", "walk", "dog")
    frames = {annotated.labels[t.label]: t.frames.tolist() for t in only(annotated).tubes}
    assert frames == {"walk": [0, 1, 2, 3], "run": [4, 5], "dog": [0, 1]}


def test_images_of_a_video(folder: Path) -> None:
    box = '<box label="{}" occluded="0" xtl="1" ytl="2" xbr="30" ybr="40"></box>'
    body = "".join(
        f'<image id="{n}" name="frame_{2 * n:06d}" width="64" height="48">{inner}</image>'
        for n, inner in enumerate((box.format("dog") * 2, "", box.format("cat")))
    )
    annotated = read_annotated(put(folder, body))
    assert annotated.labels == ("person", "dog", "cat")
    assert not annotated.has_tracks
    assert only(annotated).frames.tolist() == [0, 2, 4]
    assert boxes_of(annotated) == {("dog", "", 0): [1, 2, 30, 40], ("cat", "", 4): [1, 2, 30, 40]}
    assert counts(annotated) == {"boxes that stand twice left out": 1}


def test_images_of_folders(tmp_path: Path) -> None:
    put_pictures(tmp_path / "v")
    body = "".join(
        f'<image id="{n}" name="{name}" width="32" height="24">'
        f'<box label="dog" xtl="1" ytl="2" xbr="3" ybr="4"/></image>'
        for n, name in enumerate(("v/00002.png", "v/none.png", "lost/00001.png"))
    )
    annotated = read_annotated(put(tmp_path, body))
    assert only(annotated).size_px == (24, 32)
    assert boxes_of(annotated) == {("dog", "", 1): [1, 2, 3, 4]}
    assert counts(annotated) == {
        "folders of pictures of which nobody says how many a second taken at 25": 1,
        "boxes or pictures without a frame left out": 1,
        "videos that are not there left out": 1,
    }


def test_what_is_wrong_is_counted(folder: Path) -> None:
    bad = drawn(5, 0).replace('xtl="0"', 'xtl="x"') + drawn(6, 0, outside=1)
    body = track(drawn(0, 0) + drawn(1, 0, outside=1) + drawn(-1, 0)) + track(bad, 1)
    body += track(drawn(12, 0) + drawn(10**8, 0), 2)
    annotated = read_annotated(put(folder, body))
    assert boxes_of(annotated).keys() == {("person", "0", 0)}
    assert counts(annotated) == {
        "boxes or pictures without a frame left out": 1,
        "boxes that are not four numbers left out": 1,
        "boxes in frames that their video does not have left out": 2,
    }


def test_a_missing_video_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 videos that are not there left out; first: a\.mp4"):
        read_annotated(put(tmp_path, track(drawn(0, 0))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations>", r"is no XML that is read \(line 1: no element found"),
        ("", "no element found"),
        ("<a/>", "is no export of CVAT"),
        ("<annotations/>", "is no export of CVAT"),
        ("<annotations><meta><project/></meta></annotations>", "is of a whole project of CVAT"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>', "it has a DTD"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "it has a DTD"),
        ("<a>" * 50 + "</a>" * 50, "nested too deeply"),
        ("<?xml version='1.0' encoding='no-such'?><a/>", "unknown encoding"),
    ],
)
def test_other_xml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_annotated(str(put_text(tmp_path / "a.xml", text)))
    assert "\n" not in str(caught.value)
