"""A detector in Python gives what the verb writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import s3d
from s3d.cli import main
from s3d.errors import InputError


def test_people_are_those_of_the_verb(tiny_detector: Path, drifting: Path, tmp_path: Path) -> None:
    out = tmp_path / "tubes.json"
    words = ["detect", str(drifting), "--model", str(tiny_detector), "--json", str(out)]
    assert main([*words, "--least-score", "0.05", "--stride", "2"]) == 0
    tubes = json.loads(out.read_text())["tubes"]
    detector = s3d.load_detector(tiny_detector)
    annotated = tmp_path / "seen.mp4"
    people = detector.detect(drifting, 2, least_score=0.05, annotated=annotated)
    assert tubes
    assert [p.number for p in people] == [t["number"] for t in tubes]
    for person, tube in zip(people, tubes, strict=True):
        assert person.label == tube["label"]
        assert [a.label for a in person.actions] == [a["label"] for a in tube["actions"]]
        np.testing.assert_array_equal(person.frames, tube["frames"])
        np.testing.assert_allclose(person.boxes, np.float32(tube["boxes"]))
        assert len(person.labels) == len(person.scores) == len(person.frames)
    assert annotated.stat().st_size > 0


def test_key_frames_are_given_one_by_one(tiny_detector: Path, drifting: Path) -> None:
    detector = s3d.load_detector(tiny_detector)
    seen = list(detector.look(drifting, 4))
    assert [one.frame for one in seen[:3]] == [0, 4, 8]
    assert seen[0].found.scores.shape == (len(seen[0].found.boxes), len(detector.labels))


def test_a_stride_below_one_is_refused(tiny_detector: Path, drifting: Path) -> None:
    detector = s3d.load_detector(tiny_detector)
    with pytest.raises(InputError, match="stride is 0 frames; it needs to be from 1 to 1000"):
        detector.look(drifting, 0)
    with pytest.raises(InputError, match="stride is 0 frames"):
        detector.detect(drifting, 0)
