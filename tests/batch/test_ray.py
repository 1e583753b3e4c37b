"""Batches on Ray, on this machine: workers that are killed, a driver that is killed, bad addresses.

Each run is a process of its own, as Ray leaves threads and handlers behind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.cli import main
from s3d.data.quarantine import read_quarantine
from tests.conftest import ROOT, WriteVideo
from tests.tiny import refuse

pytest.importorskip("ray.data", reason="needs Ray: pip install 's3d[cluster]'")
pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 's3d[cluster]'")

Output = pytest.CaptureFixture[str]
ON_RAY = ("--ray", "auto", "--workers", "2")
COMMAND = """
import sys
import s3d.batch.results
from s3d.cli import main
s3d.batch.results.SECONDS_A_PART = 0  # every row at once, so that a kill strikes in between
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a folder of 200 clips, three of them broken."""
    folder = tmp_path_factory.mktemp("clips") / "clips"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        frames = rng.integers(0, 256, (8, 40, 48, 3)).astype(np.uint8)
        write_video(folder / f"{number:03}.mp4", frames, 8, codec="mpeg4")
    for number in range(10, 197):
        shutil.copy(folder / f"{number % 10:03}.mp4", folder / f"{number:03}.mp4")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "noise.mp4").write_bytes(rng.bytes(2000))
    (folder / "cut.mp4").write_bytes((folder / "000.mp4").read_bytes()[:300])
    return folder


@pytest.fixture(scope="module")
def alone(clips: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of labelling the clips in one process."""
    out = tmp_path_factory.mktemp("alone") / "out"
    assert main([*predict(clips, tiny_model, out)]) == 2
    return out


def predict(clips: Path, model: Path, out: Path) -> list[str]:
    words = ["predict", clips, "--model", model, "--out", out, "--protocol", "10x3"]
    return [*map(str, words), "--all-scores"]


def start(*words: str, code: str = COMMAND) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=ROOT, env=environ(),
    )  # fmt: skip


def environ() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows = [row for part in folder.glob("part-*") for row in pq.read_table(part).to_pylist()]
    return sorted(rows, key=lambda row: str(row["path"]))


def wait_for(ready: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def parts(folder: Path) -> int:
    return len(list(folder.glob("part-*")))


def below(process: int) -> dict[int, str]:
    """Return the command lines of a process's children and theirs, by number."""
    parents, lines = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
            lines[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
    found = {process}
    for _ in range(6):
        found |= {child for child, parent in parents.items() if parent in found}
    return {child: lines.get(child, "") for child in found - {process}}


def check_results(out: Path, alone: Path, clips: Path) -> None:
    """Check 197 results as in one process, three named failures, nothing twice."""
    rows, wanted = rows_of(out), rows_of(alone)
    assert len(rows) == 197
    assert max(Counter(row["path"] for row in rows).values()) == 1
    failed = read_quarantine(out / "failures.csv")
    assert sorted(Path(path).name for path in failed) == ["cut.mp4", "empty.mp4", "noise.mp4"]
    assert all(failed.values())
    assert [row["path"] for row in rows] == [str(clips / f"{n:03}.mp4") for n in range(197)]
    for row, other in zip(rows, wanted, strict=True):
        np.testing.assert_allclose(row.pop("scores"), other["scores"], atol=1e-6)
        assert (row["path"], row["label"], row["views"]) == (
            other["path"], other["label"], other["views"],
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_200_clips_with_two_workers_one_killed_in_between(
    clips: Path, alone: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    driver = start(*predict(clips, tiny_model, out), *ON_RAY)
    wait_for(lambda: parts(out) >= 5)
    workers = [pid for pid, line in below(driver.pid).items() if "MapBatches(_Worker)" in line]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    before = parts(out)
    said, err = driver.communicate(timeout=120)
    assert before < 150
    assert driver.returncode == 2, err
    assert (
        said == f"labelled  197 videos, 3 failed\nin        {out}\nfailed    {out}/failures.csv\n"
    )
    assert len(err.splitlines()) == 3, err  # the failures, and not a word of Ray's
    check_results(out, alone, clips)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_killed_driver_is_taken_up_again(
    clips: Path, alone: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [*predict(clips, tiny_model, out), *ON_RAY]
    driver = start(*words)
    wait_for(lambda: parts(out) >= 20)
    # Two agents of Ray outlive it by a minute; they do no work.
    workers = [pid for pid, line in below(driver.pid).items() if "MapBatches(_Worker)" in line]
    driver.kill()
    driver.wait(timeout=60)
    for pipe in (driver.stdout, driver.stderr):
        assert pipe is not None
        pipe.close()
    done = parts(out)
    assert 20 <= done < 197
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    wait_for(lambda: not any(Path("/proc", str(pid)).exists() for pid in workers))
    again = start(*words)
    said, err = again.communicate(timeout=120)
    assert again.returncode == 2, err
    assert said.startswith(f"labelled  {197 - done} videos, {done} done before, 3 failed\n")
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    check_results(out, alone, clips)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_video_that_kills_its_worker_is_a_named_failure(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.batch.deadly", str(tmp_path / "out")],
        capture_output=True, text=True, cwd=ROOT, env=environ(), timeout=200, check=False,
    )  # fmt: skip
    counts, refused = done.stdout.splitlines()
    assert counts == "28 2", done.stderr
    assert refused.startswith("on ")
    assert refused.endswith(": m.safetensors: no such file.")
    assert [row["path"] for row in rows_of(tmp_path / "out")] == sorted(f"v{n}" for n in range(28))
    failed = read_quarantine(tmp_path / "out" / "failures.csv")
    reasons = {Path(path).name: reason for path, reason in failed.items()}
    assert reasons["deadly"].startswith("deadly: its worker died 3 times over it")
    assert reasons["odd"].startswith("odd: a fault of s3d (RuntimeError: boom)")


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["features", "check", "flow"])
def test_ray_gives_what_one_process_gives(
    clips: Path, tiny_model: Path, tmp_path: Path, verb: str
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("000.mp4", "001.mp4", "002.mp4", "empty.mp4"):
        shutil.copy(clips / name, folder / name)
    extra = {
        "features": ["--model", tiny_model, "--pool", "none"],
        "check": ["--json"],
        "flow": ["--short-side", 32],
    }[verb]
    one, other = tmp_path / "one", tmp_path / "other"
    words = [verb, str(folder), *map(str, extra)]
    threads = ["--threads", "1"] if verb == "flow" else []
    here = start(*words, "--out", str(one), *threads)
    said, err = here.communicate(timeout=60)
    ray = start(*words, "--out", str(other), *ON_RAY)
    said_by_ray, err_by_ray = ray.communicate(timeout=120)
    assert (ray.returncode, err_by_ray) == (here.returncode, err)
    assert ray.returncode == (1 if verb == "check" else 2)
    if verb == "check":
        values, found = json.loads(said), json.loads(said_by_ray)
        assert values["findings"] == found["findings"]
        return
    assert "3 videos, 1 failed" in said_by_ray
    names = sorted(path.name for path in one.glob("0*"))
    assert len(names) == 3
    assert names == sorted(path.name for path in other.glob("0*"))
    for name in names:
        if verb == "features":
            with np.load(one / name) as wanted, np.load(other / name) as found:
                np.testing.assert_allclose(found["features"], wanted["features"], atol=1e-5)
        else:
            assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray at 127.0.0.1:1 ("),
        (
            "ray://head:10001",
            "--ray ray://head:10001: Ray Data does not work through Ray's client.",
        ),
        ("head", "--ray head: is no address. Use auto or HOST:PORT."),
        ("head:port", "--ray head:port: is no address."),
        ("127.0.0.1:99999", "--ray 127.0.0.1:99999: is no address."),
    ],
)
def test_an_address_where_no_ray_is(
    clips: Path, tiny_model: Path, tmp_path: Path, capsys: Output, address: str, message: str
) -> None:
    words = ["predict", clips, "--model", tiny_model, "--out", tmp_path / "out", "--ray", address]
    assert refuse(capsys, *words).startswith(f"s3d: {message}")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_an_interrupted_run_keeps_what_it_has_and_leaves_no_process(
    clips: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    driver = start(*predict(clips, tiny_model, out), *ON_RAY)
    wait_for(lambda: parts(out) >= 5)
    others = below(driver.pid)
    driver.send_signal(signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert err.splitlines()[-1].startswith("s3d: interrupted")
    assert 5 <= len(rows_of(out)) < 197
    wait_for(lambda: not any(Path("/proc", str(pid)).exists() for pid in others), 20)
    (folder,) = set(re.findall(r"/tmp/s3d-ray-\w+", " ".join(others.values())))
    assert not Path(folder).exists()
