"""What a person gets wrong is one line and code 2, and nothing half-written is left."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import save_file

from s3d.cli import main
from s3d.files import show_path
from tests.tiny import refuse, run_s3d, tiny_words

Output = pytest.CaptureFixture[str]


@pytest.fixture
def videos(colours: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(colours, tmp_path / "videos"))


@pytest.fixture
def red(colours: Path) -> Path:
    return colours / "red" / "0.mp4"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "unknown verb 'trian'. Did you mean train? Known: train, evaluate, analyze"),
        (["x y"], "unknown verb 'x y'. Known: train"),
        (["--verson"], "unknown option '--verson'. Did you mean --version?"),
        (["predict"], "the following arguments are required: VIDEO. See s3d predict --help"),
        (
            ["predict", "a.mp4", "--modle", "m"],
            "unknown option '--modle'. Did you mean --model or ",
        ),
        (["convert", "a.pth"], "the following arguments are required: --out"),
        (["predict", "-" + "a" * 300, "--model", "m"], "required: VIDEO"),
        (["cost"], "required: NETWORK"),
        (["cost", "s3d", "extra"], "unknown argument 'extra'"),
        (
            ["cost", "s4d"],
            "s4d: no such model file, published weights or network. Did you mean s3d",
        ),
        (["cost", "s3d", "--style", "papr"], "unknown style 'papr'. Did you mean paper?"),
        (["cost", "s3d", "--frames", "-1"], "--frames is -1; at least 1 is needed."),
        (["cost", "s3d", "--size", "16"], "--size is 16; it needs a number from 32 to 4096."),
        (["cost", "s3d", "--width", "nan"], "width is nan"),
        (["cost", "s3d", "--width", "wide"], "argument --width: invalid float value: 'wide'"),
        (["cost", "s3d", "--classes", "0"], "num_classes is 0"),
        (["sample", "new", "--difficulty", "2"], "difficulty is 2.0; it needs a number from 0.0"),
        (["sample", "new", "--difficulty", "nan"], "difficulty is nan"),
        (["sample", "new", "--actions", "grow,shrnk"], "unknown action 'shrnk'. Did you mean shr"),
        (["sample", "new", "--train-clips", "0"], "train_clips_per_class is 0"),
        (["sample", "new", "--seed", "-1"], "seed is -1"),
        (["similar", "a.mp4"], "the following arguments are required: FOLDER. See s3d similar"),
        (["similar", "a.mp4", "b", "--tpo", "3"], "unknown option '--tpo'. Did you mean --top"),
        (["similar", "a.mp4", "b", "--top", "x"], "argument --top: invalid int value: 'x'"),
        (["list", "--json"], "unknown option '--json'"),
    ],
)
def test_words_that_mean_nothing(
    capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refuse(capsys, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--network", "s3d_fst"], "unknown network 's3d_fst'. Did you mean s3d_fast"),
        (["--network", "2" * 12], "A word of 11 letters"),
        (["--netwrk", "s3d"], "unknown option '--netwrk'. Did you mean --network?"),
        (["--epoch", "3"], "unknown option '--epoch'. Did you mean --epochs or "),
        (["--style", "sli"], "unknown style 'sli'. Did you mean slim?"),
        (["--lr", "-1"], "--lr is -1.0; it needs a number from 1e-09 to 1000"),
        (["--lr", "-1e-3"], "--lr"),
        (["--lr", "nan"], "--lr is nan"),
        (["--lr", "inf"], "--lr is inf"),
        (["--epochs", "0"], "--epochs is 0"),
        (["--epochs", "1.5"], "argument --epochs: invalid int value: '1.5'"),
        (["--epochs"], "argument --epochs: expected one argument"),
        (["--size", "31"], "--size is 31"),
        (["--val-share", "1"], "--val-share is 1.0"),
        (["--resize", "crop"], "resize is 'crop'; it is one of keep, squash"),
        (["--device", "tpu"], "device is 'tpu'"),
        (["--batch", "1", "--frames", "4", "--size", "32"], "--batch 1 with clips of 4 frames"),
    ],
)
def test_options_of_a_run(
    capsys: Output, colours: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    out = tmp_path / "run"
    assert said in refuse(capsys, "train", colours, "--out", out, *words)
    assert not out.exists()


def test_a_run_needs_a_folder(capsys: Output, colours: Path) -> None:
    assert "--out is missing: name a folder" in refuse(capsys, "train", colours)
    assert "required: data" in refuse(capsys, "train", "--out", "run")


def write_class(folder: Path, label: str, source: Path, count: int) -> None:
    (folder / label).mkdir(parents=True)
    for number in range(count):
        shutil.copy(source / f"{number}.mp4", folder / label)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ({}, "no such folder or CSV"),
        ({"red": 8}, "holds one class only ('red'); at least 2 are needed"),
        ({"red": 1, "blue": 1}, "has 1 readable video; at least 2 are needed. Add videos to it"),
        ({"red": 8, "blue": 1}, "class 'blue' has 1 readable video; at least 2 are needed"),
        ({"red": 8, "blue": 0}, "holds one class only ('red')"),
    ],
)
def test_too_few_videos(
    capsys: Output, colours: Path, tmp_path: Path, classes: dict[str, int], said: str
) -> None:
    for label, count in classes.items():
        write_class(tmp_path / "videos", label, colours / label, count)
    out = tmp_path / "run"
    assert said in refuse(capsys, "train", tmp_path / "videos", "--out", out, *tiny_words())
    assert not out.exists()


def test_two_videos_a_class_are_enough(capsys: Output, colours: Path, tmp_path: Path) -> None:
    for label in ("red", "blue"):
        write_class(tmp_path / "videos", label, colours / label, 2)
    words = ["train", tmp_path / "videos", "--out", tmp_path / "run", *tiny_words(epochs=1)]
    assert main([str(word) for word in words]) == 0
    assert "warning: fewer than 10 videos of 'blue', 'red'" in capsys.readouterr().err


def test_folders_without_videos(capsys: Output, tmp_path: Path) -> None:
    train: list[str | Path] = ["--out", tmp_path / "run", *tiny_words()]
    (tmp_path / "empty").mkdir()
    assert "is empty. Put one sub-folder" in refuse(capsys, "train", tmp_path / "empty", *train)
    (tmp_path / "texts" / "a").mkdir(parents=True)
    (tmp_path / "texts" / "a" / "x.txt").write_text("x")
    assert "holds no videos" in refuse(capsys, "train", tmp_path / "texts", *train)
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "x.mp4").write_text("x")
    assert "no class sub-folders" in refuse(capsys, "train", tmp_path / "flat", *train)
    assert "is a file but no CSV" in refuse(capsys, "train", tmp_path / "flat" / "x.mp4", *train)
    (tmp_path / "list.csv").write_text("path,label\na.mp4,x\nb.mp4,y\n")
    assert "none of its 2 files exists" in refuse(capsys, "train", tmp_path / "list.csv", *train)
    assert not (tmp_path / "run").exists()


def test_a_class_the_model_does_not_know(
    capsys: Output, tiny_model: Path, colours: Path, tmp_path: Path
) -> None:
    write_class(tmp_path / "videos", "red", colours / "red", 2)
    write_class(tmp_path / "videos", "green", colours / "blue", 2)
    line = refuse(capsys, "evaluate", tmp_path / "videos", "--model", tiny_model)
    assert "class 'green' is unknown to the model (1 such). It knows: blue, red." in line


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
@pytest.mark.parametrize("kind", ["missing", "folder", "text", "cut", "foreign", "empty"])
def test_files_that_are_no_model(
    capsys: Output, tiny_model: Path, colours: Path, tmp_path: Path, verb: str, kind: str
) -> None:
    model = tmp_path / "model.safetensors"
    if kind == "folder":
        model.mkdir()
    elif kind == "foreign":
        import torch

        save_file({"weight": torch.zeros(2)}, model)
    elif kind != "missing":
        whole = tiny_model.read_bytes()
        model.write_bytes({"text": b"hello, world", "empty": b"", "cut": whole[:-9]}[kind])
    source = colours / "red" / "0.mp4" if verb == "predict" else colours
    assert refuse(capsys, verb, source, "--model", model).startswith(f"s3d: {model}: ")


def test_values_of_predict_and_evaluate(
    capsys: Output, tiny_model: Path, red: Path, colours: Path
) -> None:
    model = ("--model", tiny_model)
    assert "--top is 0; at least 1" in refuse(capsys, "predict", red, *model, "--top", "0")
    for verb, source in (("predict", red), ("evaluate", colours)):
        line = refuse(capsys, verb, source, *model, "--protocol", "allframes")
        assert "unknown protocol 'allframes'. Known: cover, clip, 10x3, all-frames." in line
        assert "unknown device 'gpu'" in refuse(capsys, verb, source, *model, "--device", "gpu")


def test_one_line_whatever_a_name_holds(capsys: Output, tiny_model: Path) -> None:
    line = refuse(capsys, "predict", "a\nb\x1b[31m\udcff.mp4", "--model", tiny_model)
    assert line == "s3d: a\\nb\\x1b[31m\\udcff.mp4: no such file. Check the path."


def test_labels_of_any_letters(
    capsys: Output, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(videos)
    labels = {"two words", "-dash", "日本 ü 🕺", "a'b\"c", "<b>&amp;", "%d {x}"}
    for label in labels:
        shutil.copytree("red", label)
    words = ["train", ".", "--out", str(tmp_path / "run"), "--quiet", *tiny_words(epochs=1)]
    assert main(words) == 0
    model = str(tmp_path / "run" / "model.safetensors")
    capsys.readouterr()
    assert main(["predict", "blue/0.mp4", "--model", model, "--json", "--top", "99"]) == 0
    (row,) = capsys.readouterr().out.splitlines()
    assert {top["label"] for top in json.loads(row)["top"]} == {*labels, "red", "blue"}
    assert main(["evaluate", ".", "--model", model]) == 0
    out = capsys.readouterr().out
    for label in labels:
        assert f"  {show_path(label)} " in out
    assert main(["predict", "blue/0.mp4", "--model", model, "--top", "99"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 8


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take only Unicode names")
def test_videos_whose_names_are_not_utf8_train(videos: Path, tmp_path: Path) -> None:
    (videos / "red" / "0.mp4").rename(videos / "red" / os.fsdecode(b"\xff.mp4"))
    words = ["train", str(videos), "--out", str(tmp_path / "run"), "--quiet", *tiny_words(epochs=1)]
    assert main(words) == 0
    assert main(words) == 0  # and the run is known again
    assert (tmp_path / "run" / "report.html").exists()


def test_a_run_in_the_way(capsys: Output, tiny_run: Path, colours: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    words: list[str | Path] = ["train", colours, "--out", run]
    line = refuse(capsys, *words, *tiny_words(epochs=99))
    assert "holds a run with epochs 20, not 99. Give the same options" in line
    assert sorted(p.name for p in run.iterdir()) == sorted(p.name for p in tiny_run.iterdir())
    (run / "report.html").unlink()
    (run / "state.ckpt").write_bytes(b"garbage")
    words += ["--quiet", *tiny_words(epochs=20)]
    assert "state.ckpt: the run's state is damaged" in refuse(capsys, *words)
    (run / "run.json").write_text("{}")
    assert "run.json: is damaged or of another version" in refuse(capsys, *words)
    (run / "run.json").unlink()
    assert "holds other things" in refuse(capsys, *words)
    assert "is a file; --out needs a folder" in refuse(
        capsys, "train", colours, "--out", run / "report.png"
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(
    ("cache", "said"),
    [("8", "frames.u8: cannot be written (No space left"), ("0", "model.safetensors: cannot be w")],
)
def test_a_full_disk(
    capsys: Output, small_disk: Path, colours: Path, cache: str, said: str
) -> None:
    run = small_disk / "run"
    words = ("--quiet", "--cache-gb", cache, *tiny_words(epochs=1))
    line = refuse(capsys, "train", colours, "--out", run, *words)
    assert said in line
    assert "Free some room" in line
    assert {p.name for p in run.iterdir()} <= {"run.json", "cache", "tensorboard"}
    assert not list(run.glob("cache/*"))


def test_a_disk_that_was_full_before(capsys: Output, small_disk: Path, colours: Path) -> None:
    (small_disk / "other").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    run = small_disk / "run"
    line = refuse(capsys, "train", colours, "--out", run, "--quiet", *tiny_words(epochs=1))
    assert "run.json: cannot be written (No space left on device)" in line
    assert not run.exists()
    line = refuse(capsys, "sample", small_disk / "clips", "--train-clips", "1")
    assert "cannot be written (No space left on device)" in line
    assert not list(small_disk.rglob("*.mp4"))
    assert not list(small_disk.rglob("*.part"))


def limit_files() -> None:
    """Let this process write no file beyond 1 MB: writing more is an error, as on a full disk."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


@pytest.mark.slow
def test_a_state_that_cannot_be_written(colours: Path, tmp_path: Path) -> None:
    words = ["train", str(colours), "--out", str(tmp_path / "run"), "--quiet"]
    words += tiny_words(epochs=1, cache_gb=0)
    done = subprocess.run(
        [sys.executable, "-m", "s3d.cli", *words],
        capture_output=True, text=True, check=False, preexec_fn=limit_files,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "state.ckpt: cannot be written (File too large)" in line
    assert not list((tmp_path / "run").glob(".*.part"))


NOBODY = """
import json, os, sys
import numpy.random, s3d.train.train, s3d.evaluate.evaluation, s3d.data.synthetic
from s3d.cli import main
from s3d.files import show_path
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print([main(words) for words in json.loads(sys.argv[1])])
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that everyone may look into and only we may write to."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user")
def test_no_permission(open_folder: Path, colours: Path, tiny_model: Path) -> None:
    (open_folder / "secret").mkdir(mode=0o700)
    model, video = open_folder / "model", open_folder / "video.mp4"
    shutil.copy(tiny_model, model)
    shutil.copy(colours / "red" / "0.mp4", video)
    video.chmod(0o600)
    before = sorted(open_folder.rglob("*"))
    commands = [
        ["train", colours, "--out", open_folder / "run"],
        ["train", open_folder / "secret", "--out", "/tmp/s3d-never-made"],
        ["train", video, "--out", open_folder / "secret" / "run"],
        ["evaluate", open_folder / "secret", "--model", model],
        ["predict", video, "--model", model],
        ["predict", open_folder / "secret" / "x.mp4", "--model", model],
        ["sample", open_folder / "clips"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, json.dumps(commands, default=str)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == f"{[2] * len(commands)}\n", done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(commands)
    for line in lines:
        assert line.startswith("s3d: ")
        assert "ermission" in line
    assert sorted(open_folder.rglob("*")) == before
    assert not Path("/tmp/s3d-never-made").exists()


def test_no_traceback_in_a_process_of_its_own(colours: Path, tmp_path: Path) -> None:
    done = run_s3d("train", colours, "--out", tmp_path / "run", "--lr", "nan")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "s3d: --lr is nan; it needs a number from 1e-09 to 1000.\n"
