"""What is held while a video is looked at does not grow with its length."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3d.detect.network.detector_file import load_detector
from s3d.detect.run import detect
from s3d.detect.run.detect import DetectSettings, Outputs, detect_video
from s3d.detect.run.finder import BoxFinder
from s3d.detect.run.overlay import Overlay
from s3d.detect.run.people import PeopleSettings


@pytest.mark.parametrize("draws", [False, True])
def test_nobody_is_held_for_drawing_longer_than_is_drawn(
    draws: bool, tiny_detector: Path, drifting: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made: list[Overlay] = []

    class Watched(Overlay):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(detect, "Overlay", Watched)
    finder = BoxFinder(load_detector(tiny_detector), engine="torch")
    settings = DetectSettings(1, PeopleSettings(least_score=0.0))
    outputs = Outputs(tmp_path / "seen.mp4" if draws else None)
    done = detect_video(finder, drifting, settings, outputs)
    assert done.key_frames > 20
    assert done.people > 0
    held = [len(placed) for placed in made[0]._placed.values()]
    assert max(held, default=0) <= 2 * made[0]._held_keys + 2
