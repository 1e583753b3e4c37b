"""Few clips a class of the sample data, and test videos of scenes that none of them shows.

FOLDER/seed0/, seed1/, seed2/   `s3d sample` of three seeds: other scenes, other clips
FOLDER/seed0_05.csv ...         what a training sees: the first clips of each class
FOLDER/test.csv                 the test videos of all three, for every training the same
"""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

from s3d.batch.lock import lock_folder
from s3d.data.made_folder import write_if_other
from s3d.data.synthetic import ACTIONS, APPEARANCES, SampleConfig, write_sample
from s3d.files import make_folder

SIZES = (5, 10, 20)
"""Clips a class; the fewer are among the more."""
SEEDS = (0, 1, 2)
CHOOSING, REPORTED = 8800, 9900
"""First seeds of the videos: those by which trunks are chosen between are not those by which the
chosen one is then reported. Other pages use small seeds, and no trunk learns from any of them."""
TEST_CLIPS = 7
CLASSES = (*ACTIONS, *APPEARANCES)
TEST_VIDEOS = TEST_CLIPS * len(CLASSES) * len(SEEDS)
DIFFICULTY = 0.6


def sample_config(seed: int) -> SampleConfig:
    """Return the sample data of a seed: more scenes than clips a class, so each has its own.

    Args:
        seed: Of the videos.
    """
    return SampleConfig(
        train_clips_per_class=max(SIZES),
        test_clips_per_class=TEST_CLIPS,
        seed=seed,
        difficulty=DIFFICULTY,
        actions=CLASSES,
    )


def draw_sample(
    folder: Path, size: int, seed: int, first_seed: int = REPORTED
) -> tuple[Path, Path]:
    """Draw what is not there yet, and return the lists to train on and to test.

    Args:
        folder: For all seeds.
        size: Clips a class, one of `SIZES`.
        seed: One of `SEEDS`.
        first_seed: `CHOOSING` or `REPORTED`; each needs a folder of its own.
    """
    if size not in SIZES or seed not in SEEDS:
        raise SystemExit(f"{size} clips, seed {seed}: sizes are {SIZES}, seeds {SEEDS}.")
    make_folder(folder)
    # Two at once would each take what the other has half written for left over.
    while (lock := lock_folder(folder)) is None:
        time.sleep(0.5)
    with lock:
        for each in SEEDS:
            write_sample(folder / f"seed{each}", sample_config(first_seed + each))
        train, test = folder / f"seed{seed}_{size:02d}.csv", folder / "test.csv"
        rows = [row for row in _read(folder, seed, "train") if int(Path(row[0]).stem) < size]
        _write(train, rows)
        _write(test, [row for each in SEEDS for row in _read(folder, each, "test")])
    return train, test


def describe_sample() -> dict[str, object]:
    """Return what a record says of the videos."""
    return {
        "classes": len(CLASSES),
        "difficulty": DIFFICULTY,
        "test_videos": TEST_VIDEOS,
        "seeds_of_the_videos": [REPORTED + seed for seed in SEEDS],
    }


def _read(folder: Path, seed: int, split: str) -> list[tuple[str, str, str]]:
    """Return (path, label, group) of a split; a scene of one seed is no scene of another."""
    home = folder / f"seed{seed}"
    with (home / f"{split}.csv").open(encoding="utf-8", newline="") as file:
        return [
            (str((home / row["path"]).resolve()), row["label"], f"{seed}_{row['group']}")
            for row in csv.DictReader(file)
        ]


def _write(path: Path, rows: list[tuple[str, str, str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label", "group"))
    writer.writerows(rows)
    write_if_other(path, text.getvalue().encode())
