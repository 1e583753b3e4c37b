"""A made-up data set for detection on disk.

DIR/sample.json        the settings, so that an interrupted run can be continued
DIR/train/00000.mp4    DIR/train.csv    video,frame,x1,y1,x2,y2,label,track
DIR/test/00000.mp4     DIR/test.csv     the same, of scenes that train never shows

Every frame of every video is in its table; one in which nothing is done has a row without a box.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from s3d.data.made_folder import SPLITS, Progress, claim_folder, count_scenes, write_missing
from s3d.data.scenes import Scene, draw_scene
from s3d.data.synthetic import encode_video
from s3d.detect.figures.config import BoxSampleConfig
from s3d.detect.figures.video import find_tubes, render_box_video
from s3d.files import write_bytes

FORMAT = 1
COLUMNS = ("video", "frame", "x1", "y1", "x2", "y2", "label", "track")


@dataclass(frozen=True)
class BoxSampleSummary:
    """Say what a data set holds, and how many of its videos were written just now."""

    directory: Path
    train_csv: Path
    test_csv: Path
    train_videos: int
    test_videos: int
    written: int


@dataclass(frozen=True)
class Entry:
    """One video of the data set.

    Attributes:
        path: From the data set's folder.
        split: "train" or "test".
        scene: Its number in the split.
        seed: Of the video.
    """

    path: str
    split: str
    scene: int
    seed: int


def write_box_sample(
    directory: str | Path, config: BoxSampleConfig, progress: Progress | None = None
) -> BoxSampleSummary:
    """Write the data set; continue if an earlier run was interrupted; do nothing if it is whole.

    Args:
        directory: New, empty, or begun with the same config.
        config: What to write.
        progress: Called with (videos there, videos in all) after each video.

    Raises:
        InputError: The directory holds other things or cannot be written.
    """
    directory = Path(directory)
    entries = [entry for split in SPLITS for entry in plan_split(split, config)]
    claim_folder(directory, {"kind": "boxes", "format": FORMAT, **asdict(config)})

    def draw(place: int) -> bytes:
        return _draw_file(entries[place], config)

    written = write_missing(directory, [entry.path for entry in entries], draw, progress)
    tables = {split: directory / f"{split}.csv" for split in SPLITS}
    for split, path in tables.items():
        # The settings are the same, and a table is whole or absent.
        if not path.exists():
            write_bytes(path, _draw_table(plan_split(split, config), config))
    return BoxSampleSummary(
        directory=directory,
        train_csv=tables["train"],
        test_csv=tables["test"],
        train_videos=config.train_videos,
        test_videos=config.test_videos,
        written=written,
    )


def plan_split(split: str, config: BoxSampleConfig) -> list[Entry]:
    """List the videos of a split; scenes go round."""
    scenes = count_scenes(split, config.difficulty)
    return [
        Entry(
            path=f"{split}/{index:05d}.mp4",
            split=split,
            scene=index % scenes,
            seed=_draw_seed((config.seed, SPLITS.index(split), index, 13)),
        )
        for index in range(config.count_videos(split))
    ]


def scene_of(entry: Entry, config: BoxSampleConfig) -> Scene:
    """Draw the scene of a video: the same number in the other split is another scene."""
    place = (config.seed, SPLITS.index(entry.split), entry.scene, 14)
    return draw_scene(place, config.difficulty)


def _draw_seed(place: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])


def _draw_file(entry: Entry, config: BoxSampleConfig) -> bytes:
    frames, rate_fps, _ = render_box_video(entry.seed, config, scene_of(entry, config))
    rng = np.random.default_rng((entry.seed, 15))
    return encode_video(frames, rate_fps, int(rng.integers(16, 25 + round(8 * config.difficulty))))


def _draw_table(entries: list[Entry], config: BoxSampleConfig) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        writer.writerows(_draw_rows(entry, config))
    return text.getvalue().encode()


def _draw_rows(entry: Entry, config: BoxSampleConfig) -> Iterator[tuple[object, ...]]:
    """Yield a row for each box, by frame, and one for each frame without any."""
    frames, tubes = find_tubes(entry.seed, config, scene_of(entry, config))
    boxes = [dict(zip(tube.frames.tolist(), tube.boxes, strict=True)) for tube in tubes]
    for frame in range(frames):
        rows = [
            (entry.path, frame, *map(int, found[frame]), config.actions[tube.label], tube.track)
            for tube, found in zip(tubes, boxes, strict=True)
            if frame in found
        ]
        yield from rows or [(entry.path, frame, *[""] * 6)]
