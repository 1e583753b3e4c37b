"""A small data set of real MP4 files, made from a seed, that only the order of frames explains.

DIR/sample.json            the settings, so that an interrupted run can be continued
DIR/train/<action>/*.mp4   DIR/train.csv    path, label, group (the scene) and facts
DIR/test/<action>/*.mp4    DIR/test.csv     the same, of scenes that train never shows
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from s3d.data.actions import ACTIONS, APPEARANCES, ORDER_PAIRS, Stage, draw_frames
from s3d.data.made_folder import (
    SPLITS,
    Progress,
    check_action,
    check_actions,
    check_number,
    claim_folder,
    count_scenes,
    write_if_other,
    write_missing,
)
from s3d.data.scenes import Scene, draw_scene

__all__ = [
    "ACTIONS",
    "APPEARANCES",
    "ORDER_PAIRS",
    "SampleConfig",
    "SampleSummary",
    "render_video",
    "write_sample",
]

FORMAT = 1
KNOWN = (*ACTIONS, *APPEARANCES)  # The place of a name is part of its videos' seeds.
RATES_FPS = (10, 12, 15, 20, 24, 25, 30)
# (height, width) in units of size_px: landscape, portrait and square.
ASPECTS = ((1.0, 1.0), (1.0, 1.25), (1.0, 1.5), (1.25, 1.0), (1.5, 1.0), (1.25, 1.25))
LONGEST = 1.2


@dataclass(frozen=True)
class SampleConfig:
    """Describe a sample data set.

    Attributes:
        train_clips_per_class: Videos of each action to learn from.
        test_clips_per_class: Videos of each action in scenes that are not in train.
        seed: The same seed gives the same bytes.
        difficulty: 0 plain, large and clear .. 1 busy, small and faint.
        actions: Names out of ACTIONS and APPEARANCES.
        size_px: The shorter side of most videos; none is below it or above 1.5 times it.
        seconds: Shortest video; the longest is 1.2 times as long. Clips should be no longer than
            this: one that loops shows some frames twice, and which ones depends on the order.
    """

    train_clips_per_class: int
    test_clips_per_class: int
    seed: int = 0
    difficulty: float = 0.5
    actions: tuple[str, ...] = ACTIONS
    size_px: int = 64
    seconds: float = 2.2

    def __post_init__(self) -> None:
        check_number("train_clips_per_class", self.train_clips_per_class, 1, 1_000_000)
        check_number("test_clips_per_class", self.test_clips_per_class, 0, 1_000_000)
        check_number("seed", self.seed, 0, 2**63 - 1)
        check_number("difficulty", self.difficulty, 0.0, 1.0)
        check_number("size_px", self.size_px, 32, 512)
        check_number("seconds", self.seconds, 0.5, 60.0)
        check_actions(self.actions, KNOWN)

    def count_scenes(self, split: str) -> int:
        """Return how many scenes a split has: more of them the harder it is."""
        return count_scenes(split, self.difficulty)


@dataclass(frozen=True)
class SampleSummary:
    """Say what a sample data set holds, and how many of its videos were written just now."""

    directory: Path
    train_csv: Path
    test_csv: Path
    train_clips: int
    test_clips: int
    written: int


@dataclass(frozen=True)
class Facts:
    """What can be known of a video without drawing it. Nothing here depends on the action."""

    rate_fps: int
    frames: int
    height: int
    width: int
    quantiser: int


@dataclass(frozen=True)
class Entry:
    """One video of the data set."""

    path: str
    label: str
    group: str
    split: str
    scene: int
    seed: int


def render_video(
    action: str, seed: int, config: SampleConfig, scene: Scene | None = None
) -> tuple[npt.NDArray[np.uint8], int]:
    """Draw one video without writing it.

    Args:
        action: One of ACTIONS or APPEARANCES.
        seed: The same seed gives the same video, and the reversed one for the pair's other member.
        config: Gives difficulty, size and length.
        scene: Texture, colours and shapes; drawn from the seed if none is given.

    Returns:
        frames (T, H, W, 3) uint8 RGB, and their rate in frames a second.

    Raises:
        InputError: The action is unknown, or the seed is not a whole number from 0.
    """
    check_action(action, KNOWN)
    check_number("seed", seed, 0, 2**64 - 1)
    facts = draw_facts(seed, config)
    stage = Stage(
        size=(facts.frames, facts.height, facts.width),
        seconds=(np.arange(facts.frames) / facts.rate_fps).astype(np.float32),
        scene=scene or draw_scene((seed, 2), config.difficulty),
        difficulty=config.difficulty,
        rng=np.random.default_rng((seed, 1)),
    )
    return draw_frames(action, stage), facts.rate_fps


def draw_facts(seed: int, config: SampleConfig) -> Facts:
    """Draw rate, length, size and compression of the video with that seed."""
    rng = np.random.default_rng((seed, 0))
    rate_fps = int(rng.choice(RATES_FPS))
    # Up, so that a clip of `seconds` never has to loop.
    frames = math.ceil(config.seconds * rng.uniform(1.0, LONGEST) * rate_fps)
    height, width = (2 * round(config.size_px * side / 2) for side in rng.choice(ASPECTS))
    quantiser = int(rng.integers(16, 27 + round(10 * config.difficulty)))
    return Facts(rate_fps, frames, height, width, quantiser)


def encode_video(frames: npt.NDArray[np.uint8], rate_fps: int, quantiser: int) -> bytes:
    """Return frames (T, H, W, 3) as an H.264 MP4 file.

    Args:
        frames: uint8 RGB of even height and width.
        rate_fps: Frames a second.
        quantiser: 0 lossless .. 51 worst.
    """
    # Every frame stands alone, at a fixed quantiser: a predicted frame keeps traces of the ones
    # before it, so that a still would tell which way things move, and the first frame is sharper.
    alone = "keyint=1:scenecut=0:rc-lookahead=0:sync-lookahead=0:mbtree=0:bframes=0"
    options = {"preset": "ultrafast", "threads": "1", "qp": str(quantiser), "x264-params": alone}
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate_fps, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def write_sample(
    directory: str | Path,
    config: SampleConfig,
    progress: Progress | None = None,
) -> SampleSummary:
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
    claim_folder(directory, {"format": FORMAT, **asdict(config)})

    def draw(place: int) -> bytes:
        return _draw_file(entries[place], config)

    written = write_missing(directory, [entry.path for entry in entries], draw, progress)
    for split in SPLITS:
        _write_csv(directory / f"{split}.csv", plan_split(split, config), config)
    counts = {split: sum(entry.split == split for entry in entries) for split in SPLITS}
    return SampleSummary(
        directory=directory,
        train_csv=directory / "train.csv",
        test_csv=directory / "test.csv",
        train_clips=counts["train"],
        test_clips=counts["test"],
        written=written,
    )


def plan_split(split: str, config: SampleConfig) -> list[Entry]:
    """List the videos of a split. Each has its own seed; scenes go round alike in every class."""
    clips = {"train": config.train_clips_per_class, "test": config.test_clips_per_class}[split]
    scenes = config.count_scenes(split)
    return [
        _plan_video(split, action, index, index % scenes, config.seed)
        for index in range(clips)
        for action in config.actions
    ]


def scene_of(split: str, number: int, config: SampleConfig) -> Scene:
    """Draw a scene of a split: the same number in the other split is another scene."""
    return draw_scene((config.seed, SPLITS.index(split), number, 3), config.difficulty)


def _plan_video(split: str, action: str, index: int, scene: int, seed: int) -> Entry:
    place = (seed, SPLITS.index(split), KNOWN.index(action), index)
    return Entry(
        path=f"{split}/{action}/{index:05d}.mp4",
        label=action,
        group=f"{split}_{scene:02d}",
        split=split,
        scene=scene,
        seed=int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]),
    )


def _draw_file(entry: Entry, config: SampleConfig) -> bytes:
    scene = scene_of(entry.split, entry.scene, config)
    frames, rate_fps = render_video(entry.label, entry.seed, config, scene)
    return encode_video(frames, rate_fps, draw_facts(entry.seed, config).quantiser)


def _write_csv(path: Path, entries: list[Entry], config: SampleConfig) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("rate_fps", "frames", "height", "width", "quantiser")
    writer.writerow(("path", "label", "group", *names, "seed"))
    for entry in entries:
        facts = asdict(draw_facts(entry.seed, config))
        values = (facts[name] for name in names)
        writer.writerow((entry.path, entry.label, entry.group, *values, entry.seed))
    write_if_other(path, text.getvalue().encode())
