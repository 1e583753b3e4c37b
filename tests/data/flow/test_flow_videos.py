"""The flow of listed videos: where it lies, and what is done about the missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.file import probe_flow, save_flow
from s3d.data.flow.place import FlowPlace
from s3d.data.flow.videos import measure_flow, take_flow
from s3d.data.videos import Video, list_videos
from tests.conftest import WriteVideo
from tests.data.moving import slide

RECIPE = FlowRecipe(short_side_px=32)


@pytest.fixture
def videos(tmp_path: Path, write_video: WriteVideo) -> Path:
    for name in ("left/1.mp4", "left/2.mp4", "right/1.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "videos" / name, slide(3, (32, 40), (1, 0)))
    return tmp_path / "videos"


@pytest.mark.parametrize(
    ("video", "place"),
    [
        ("{root}/a/b.avi", "a/b.avi.flow.mp4"),
        ("{root}/../root/b.avi", "b.avi.flow.mp4"),
        ("{root}/a/7?rate=12", "a/7.flow.mp4"),
        ("{root}/../b.avi", "outside{above}/b.avi.flow.mp4"),
    ],
)
def test_the_tree_of_the_videos_is_kept(tmp_path: Path, video: str, place: str) -> None:
    root = tmp_path / "root"
    where = FlowPlace(root, Path("flow"))
    found = where.find(video.format(root=root))
    assert found == Path("flow", place.format(above=tmp_path.absolute()))


def test_folder_list_and_data_set_have_a_root(videos: Path) -> None:
    table = videos / "list.csv"
    table.write_text("path,label\nleft/1.mp4,a\n")
    for source in (videos, table, f"frames:{videos}?rate=3", f"{videos}?part=train"):
        assert FlowPlace.of(source, "flow").root == videos


def test_missing_flow_is_computed_and_kept(videos: Path, tmp_path: Path) -> None:
    listed = list_videos(videos)
    where = FlowPlace.of(videos, tmp_path / "flow")
    paths = [video.path for video in listed.videos]
    told: list[tuple[int, int]] = []
    taken = take_flow(paths, where, RECIPE, progress=lambda *done: told.append(done))
    assert (taken.pairs, told[-1], taken.reasons) == (6, (3, 3), {})
    swapped = taken.swap(listed.videos)
    assert [video.label for video in swapped] == ["left", "left", "right"]
    assert all(probe_flow(video.path).frames == 2 for video in swapped)
    assert swapped[0].path == str(tmp_path / "flow" / "left" / "1.mp4.flow.mp4")
    assert take_flow(paths, where, RECIPE).pairs == 0


def test_a_video_without_flow_still_counts_as_listed(videos: Path, tmp_path: Path) -> None:
    (videos / "left" / "2.mp4").write_bytes(b"no video")
    listed = list_videos(videos)
    taken = take_flow(
        [video.path for video in listed.videos], FlowPlace.of(videos, tmp_path / "flow"), RECIPE
    )
    flow = taken.swap_listed(listed)
    assert (len(flow.videos), flow.listed) == (2, 3)
    ((path, reason),) = flow.left_out
    assert path == str(videos / "left" / "2.mp4")
    assert "is not a video" in reason
    assert taken.swap([Video(path, "left")]) == ()


def test_flow_of_other_settings_is_left_alone(videos: Path, tmp_path: Path) -> None:
    paths, where = [str(videos / "left" / "1.mp4")], FlowPlace.of(videos, tmp_path / "flow")
    take_flow(paths, where, RECIPE)
    before = where.find(paths[0]).read_bytes()
    taken = take_flow(paths, where, FlowRecipe(short_side_px=48))
    assert "is flow of other settings (short_side_px 32, not 48)" in taken.reasons[paths[0]]
    assert where.find(paths[0]).read_bytes() == before


def test_the_spread_of_flow_is_measured(tmp_path: Path) -> None:
    still, moving = tmp_path / "still.mp4", tmp_path / "moving.mp4"
    times = np.arange(4) / 25
    save_flow(still, np.zeros((4, 32, 32, 2), np.float32), times, RECIPE.parameters())
    flow = np.full((4, 32, 32, 2), (3, -4), np.float32)
    save_flow(moving, flow, times, RECIPE.parameters())
    assert measure_flow([str(moving)]) == pytest.approx(np.sqrt((9 + 16) / 2), rel=0.03)
    assert measure_flow([str(still)]) == 0.1
    assert measure_flow([str(tmp_path / "none"), str(moving)]) == measure_flow([str(moving)])
