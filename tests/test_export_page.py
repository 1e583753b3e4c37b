"""docs/export.md: its examples run files without s3d, and give s3d's own answer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import s3d
from s3d.infer.export.formats import FORMATS
from tests.conftest import ROOT, WriteVideo

PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
EXAMPLES = dict(zip(FORMATS, re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S), strict=True))
WITHOUT_S3D = "import sys\nsys.modules['s3d'] = None\n"
"""Whatever imports s3d after this fails."""


def run_example(name: str, model: Path, video: Path, folder: Path) -> tuple[float, str]:
    """Export a model, run the page's example on a video, and return what it prints."""
    for package in FORMATS[name].packages:
        pytest.importorskip(package, reason=f"export to {name} needs {package}")
    suffix = FORMATS[name].suffix
    s3d.load(model).export(folder / f"model{suffix}")
    code = WITHOUT_S3D + EXAMPLES[name].replace("video.mp4", str(video))
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"\((?:np\.float32\()?([\d.e-]+)\)?, '(\w+)'\)\n", done.stdout)
    assert found, done.stdout
    return float(found[1]), found[2]


@pytest.mark.parametrize(
    "name", ["onnx", "openvino", pytest.param("torch", marks=pytest.mark.slow)]
)
def test_the_example_gives_our_own_answer_on_a_real_clip(
    name: str, tiny_model: Path, shared_dir: Path, tmp_path: Path
) -> None:
    video = shared_dir / "videos" / "clips" / "R6llTwEh07w.mp4"
    score, label = run_example(name, tiny_model, video, tmp_path)
    wanted = s3d.load(tiny_model).predict(video, protocol="clip")
    assert label == wanted.label
    # The same frames; but OpenVINO left to itself computes in bfloat16 where it can.
    near = 0.03 if name == "openvino" else 1e-4
    assert score == pytest.approx(float(wanted.scores.max()), abs=near)


@pytest.mark.parametrize("colour", ["red", "blue"])
def test_the_example_tells_videos_apart(
    colour: str, tiny_model: Path, colours: Path, tmp_path: Path
) -> None:
    video = next((colours / colour).glob("*.mp4"))
    assert run_example("openvino", tiny_model, video, tmp_path)[1] == colour


def test_a_video_shorter_than_a_clip_is_continued_from_its_beginning(
    tiny_model: Path, write_video: WriteVideo, tmp_path: Path
) -> None:
    frames = np.zeros((2, 48, 64, 3), np.uint8)
    frames[..., 2] = 220
    video = write_video(tmp_path / "short.mp4", frames, 8)
    assert run_example("openvino", tiny_model, video, tmp_path)[1] == "blue"


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_example_has_ten_lines_beside_its_imports(name: str) -> None:
    lines = [line for line in EXAMPLES[name].splitlines() if line]
    assert sum(not line.startswith("import ") for line in lines) == 10
    assert "s3d." not in EXAMPLES[name].replace("s3d.json", "")


def test_without_s3d_means_without_it() -> None:
    code = [sys.executable, "-c", WITHOUT_S3D + "import s3d"]
    assert subprocess.run(code, capture_output=True, cwd=ROOT, check=False).returncode != 0
