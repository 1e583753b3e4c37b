"""Near-duplicate sources: found where they are, not chained where they are not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from s3d.data.decode import read_frames
from s3d.data.sources import LENGTH, group_by_source, signature
from s3d.data.videos import Video


def scene(seed: int, shift: int = 0) -> np.ndarray:
    """Five frames of one still random scene with a moving blot and a little noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    frames = np.repeat(coarse.repeat(4, 0).repeat(4, 1)[None], 5, axis=0)
    for index in range(5):
        frames[index, 10:20, (5 * index + shift) % 24 :][:, :8] = 255
    noise = np.random.default_rng(shift).integers(0, 6, frames.shape)
    return np.clip(frames.astype(int) + noise, 0, 255).astype(np.uint8)


def videos(*names: str, group: str | None = None) -> list[Video]:
    return [Video(f"/missing/{name}", "a", group) for name in names]


def test_signature_is_of_length_one_and_of_one_size() -> None:
    for shape in [(5, 32, 32, 3), (1, 241, 321, 3), (3, 5, 7, 3), (2, 1, 1, 3)]:
        frames = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        vector = signature(frames)
        assert vector.shape == (LENGTH,) and vector.dtype == np.float32
        if shape[1] > 1:
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_signature_ignores_brightness_and_what_moves() -> None:
    base = signature(scene(1))
    assert signature(scene(1, shift=9)) @ base > 0.9
    assert signature((scene(1) // 2 + 60).astype(np.uint8)) @ base > 0.95
    assert signature(scene(2)) @ base < 0.3


def test_one_scene_is_one_source_and_two_are_two() -> None:
    signatures = [signature(scene(seed, shift)) for seed in (1, 2, 3) for shift in (0, 7, 13)]
    names = group_by_source(videos(*"abcdefghi"), signatures)
    assert names == ["source 1"] * 3 + ["source 2"] * 3 + ["source 3"] * 3


def test_black_and_broken_videos_are_like_no_other() -> None:
    black = signature(np.zeros((5, 32, 32, 3), np.uint8))
    names = group_by_source(videos("a", "b", "c", "d"), [black, black, None, None])
    assert len(set(names)) == 4


def test_a_chain_of_small_steps_does_not_end_in_one_group() -> None:
    """Each is like its neighbours (0.8), the ends are unlike: single linkage would join all."""
    angles = np.arange(12) * np.arccos(0.8)
    plane = np.zeros((12, LENGTH), np.float32)
    for step, angle in enumerate(angles):
        plane[step, step // 2] = np.cos(angle % (np.pi / 2))
        plane[step, step // 2 + 1] = np.sin(angle % (np.pi / 2))
    likeness = plane @ plane.T
    assert (np.diag(likeness, 1) > 0.5).sum() >= 6
    names = group_by_source(videos(*(f"v{i}" for i in range(12))), list(plane))
    groups = np.array(names)
    for name in set(names):
        members = plane[groups == name]
        assert len(members) < 12 and (members @ members.T).mean() > 0.5
    assert len(set(names)) > 2


@pytest.mark.parametrize(
    ("left", "right", "other"),
    [
        ("v_Archery_g01_c01.avi", "v_Archery_g01_c07.avi", "v_Archery_g02_c01.avi"),
        (
            "RATRACE_wave_f_nm_np1_fr_goo_37.avi",
            "RATRACE_wave_u_cm_np1_le_med_2.avi",
            "TrumanShow_wave_f_nm_np1_fr_med_26.avi",
        ),
        ("R6llTwEh07w_000010_000020.mp4", "R6llTwEh07w_000035_000045.mp4", "R6llTwEh07w.mp4"),
    ],
)
def test_names_that_tell_the_source(left: str, right: str, other: str) -> None:
    names = group_by_source(videos(left, right, other), [None] * 3)
    assert names[0] == names[1] != names[2]


def test_equal_bytes_are_one_source(tmp_path: Path) -> None:
    for name, content in {"a": b"same", "b": b"same", "c": b"else", "d": b"longer"}.items():
        (tmp_path / name).write_bytes(content)
    listed = [Video(str(tmp_path / name), "x") for name in "abcd"]
    names = group_by_source(listed, [None] * 4)
    assert names[0] == names[1] and len(set(names)) == 3


def test_given_groups_are_kept() -> None:
    same = [signature(scene(1, shift)) for shift in (0, 7, 13, 3)]
    listed = [Video("/m/a", "x", "g1"), Video("/m/b", "x", "g2"), *videos("c")]
    names = group_by_source(listed, [*same[:2], None])
    assert names == ["g1", "g2", "source 1"]
    assert group_by_source([*listed[:1], *videos("c")], same[:2]) == ["g1", "g1"]
    assert group_by_source([], []) == []


def test_precision_and_recall_on_real_clips(shared_dir: Path) -> None:
    folder = shared_dir / "videos" / "fights"
    with (folder / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    listed = [Video(str(folder / row["path"]), row["label"]) for row in rows]
    signatures = [signature(read_frames(v.path, [2, 12, 22], (32, 32))) for v in listed]
    found = np.array(group_by_source(listed, signatures))
    truth = np.array([row["source"] for row in rows])
    upper = np.triu_indices(len(rows), 1)
    paired = (found[:, None] == found)[upper]
    true = (truth[:, None] == truth)[upper]
    assert (paired & true).sum() / paired.sum() > 0.94
    assert (paired & true).sum() / true.sum() > 0.25
    assert max(np.unique(found, return_counts=True)[1]) <= 15
