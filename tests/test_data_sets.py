"""Data sets on the command line: parts, splits, what is missing, and the data doctor."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from s3d.cli import main
from s3d.data.video_list import Video
from s3d.models.model_file import load_model
from s3d.train.plan import Machine
from s3d.train.prepare import prepare_run
from tests.tiny import refuse, tiny_config, tiny_words

Output = pytest.CaptureFixture[str]


def run(capsys: Output, *words: str | Path | int, code: int = 0) -> str:
    """Run a command that ends with a code, and return what it printed."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == code
    return capsys.readouterr().out


def write_list(path: Path, rows: Sequence[tuple[str, ...]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    return path


@pytest.fixture
def parts(colours: Path, tmp_path: Path) -> Path:
    """Return a CSV of 16 videos there and 2 missing; 4 and 1 of them are of the test part."""
    split = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    rows = [
        (f"{colours}/{label}/{n}.mp4", label, split[n])
        for label in ("red", "blue")
        for n in range(8)
    ]
    gone = [("gone/1.mp4", "red", "test"), ("gone/2.mp4", "red", "train")]
    return write_list(tmp_path / "list.csv", [*rows, *gone])


@pytest.fixture
def ucf(colours: Path, tmp_path: Path) -> Path:
    """Return a folder as UCF-101 is: group n is video n; split s tests groups 2s-1 and 2s."""
    folder = tmp_path / "ucf"
    folder.mkdir()
    (folder / "classInd.txt").write_text("1 blue\r\n2 red\r\n")
    lists: dict[str, list[str]] = {}
    for index, label in enumerate(("blue", "red"), start=1):
        (folder / label).mkdir()
        for n in range(1, 9):
            name = f"{label}/v_{label}_g{n:02d}_c01"
            shutil.copy(colours / label / f"{n - 1}.mp4", folder / f"{name}.mp4")
            for split in (1, 2, 3):
                is_test = n in (2 * split - 1, 2 * split)
                part, tail = ("test", "") if is_test else ("train", f" {index}")
                lists.setdefault(f"{part}list0{split}.txt", []).append(f"{name}.avi{tail}")
    for name, lines in lists.items():
        (folder / name).write_text("\r\n".join(lines))
    return folder


# --- evaluate ---


def test_the_test_rows_of_a_csv_are_scored_and_said(
    tiny_model: Path, parts: Path, capsys: Output
) -> None:
    text = run(capsys, "evaluate", parts, "--model", tiny_model)
    assert f"data       {parts}, its part test (?part=train, val, test or all chooses)" in text
    assert "videos     4 of 5 scored" in text
    assert text.count("failed     ") == 1 and "gone/1.mp4: no such file" in text


@pytest.mark.parametrize(
    ("part", "coverage"),
    [("train", "8 of 9 videos"), ("val", "4 of 4 videos"), ("all", "16 of 18 videos")],
)
def test_another_part_is_chosen(
    tiny_model: Path, parts: Path, capsys: Output, part: str, coverage: str
) -> None:
    words = ["evaluate", f"{parts}?part={part}", "--model", tiny_model, "--json"]
    values = json.loads(run(capsys, *words))
    assert (values["part"], values["coverage"]) == (part, coverage)


def test_without_test_rows_those_of_val_are_scored(
    tiny_model: Path, colours: Path, tmp_path: Path, capsys: Output
) -> None:
    rows = [(f"{colours}/red/{n}.mp4", "red", "train" if n else "val") for n in range(3)]
    path = write_list(tmp_path / "list.csv", rows)
    values = json.loads(run(capsys, "evaluate", path, "--model", tiny_model, "--json"))
    assert (values["part"], values["coverage"]) == ("val", "1 of 1 videos")


def test_a_folder_is_scored_whole(tiny_model: Path, colours: Path, capsys: Output) -> None:
    assert f"data       {colours}, all of it\n" in run(
        capsys, "evaluate", colours, "--model", tiny_model
    )


def test_many_failures_are_counted(
    tiny_model: Path, colours: Path, tmp_path: Path, capsys: Output
) -> None:
    rows = [(f"{colours}/red/0.mp4", "red", ""), *((f"{n}.mp4", "red", "") for n in range(25))]
    path = write_list(tmp_path / "list.csv", rows)
    text = run(capsys, "evaluate", path, "--model", tiny_model)
    assert text.count("failed     ") == 11
    assert text.endswith("failed     and 15 more; --json names all\n")


def test_an_official_split_scores_its_test_list(
    tiny_model: Path, ucf: Path, capsys: Output
) -> None:
    (ucf / "red/v_red_g03_c01.mp4").unlink()
    text = run(capsys, "evaluate", f"ucf101:{ucf}?split=2", "--model", tiny_model)
    assert "videos     3 of 4 scored" in text and "its part test" in text


def test_three_splits_and_their_mean(tiny_model: Path, ucf: Path, capsys: Output) -> None:
    (ucf / "red/v_red_g03_c01.mp4").unlink()
    models = ",".join([str(tiny_model)] * 3)
    words = ["evaluate", f"ucf101:{ucf}", "--splits", "1,2,3", "--models", models]
    lines = run(capsys, *words).splitlines()
    scored = {line.split()[0]: line.split("   ")[-1] for line in lines if "of" in line}
    assert scored["2"] == "3 of 4 videos, part test"
    assert scored["mean"] == "11 of 12 videos"
    values = json.loads(run(capsys, *words, "--json"))
    tops = [values["splits"][split]["top1"] for split in "123"]
    assert values["mean"]["top1"] == pytest.approx(sum(tops) / 3, abs=1e-4)
    pattern = str(tiny_model).replace("model.safe", "{}.safe")
    said = refuse(capsys, "evaluate", f"ucf101:{ucf}", "--splits", "1,2", "--models", pattern)
    assert "1.safetensors" in said


def test_splits_and_models_go_together(tiny_model: Path, ucf: Path, capsys: Output) -> None:
    data = f"ucf101:{ucf}"
    said = "--splits and --models go together, without --model."
    assert said in refuse(capsys, "evaluate", data, "--splits", "1,2")
    assert said in refuse(
        capsys, "evaluate", data, "--splits", "1", "--models", "a", "--model", tiny_model
    )
    assert "--model" in refuse(capsys, "evaluate", data)
    assert "no numbered splits" in refuse(
        capsys, "evaluate", ucf, "--splits", "1", "--models", tiny_model
    )


# --- train ---


def silent(what: str) -> object:
    return lambda done, total: None


def test_training_takes_a_split_and_counts_what_is_missing(ucf: Path, tmp_path: Path) -> None:
    (ucf / "red/v_red_g03_c01.mp4").unlink()
    (ucf / "blue/v_blue_g01_c01.mp4").unlink()  # of the test list: not counted
    config = tiny_config(Path(f"ucf101:{ucf}?split=1"), tmp_path / "run")
    made = prepare_run(config, Machine("cpu", 2), silent)
    assert len(made.train) + len(made.val) == 11 and made.val
    assert not {v.group for v in made.train} & {v.group for v in made.val}
    assert {v.group for v in (*made.train, *made.val)}.isdisjoint({"v_red_g01", "v_red_g02"})
    assert f"ucf101:{ucf}?split=1: train 11 of 12, test 3 of 4 videos are there" in made.notes
    assert "3 videos marked test were not opened" in made.notes
    assert made.failures == ((str(ucf / "red/v_red_g03_c01.avi"), "no such file"),)
    assert made.coverage == "11 of 12 listed videos used"
    assert made.labels == ("blue", "red")


def test_coverage_of_a_given_validation(parts: Path, tmp_path: Path) -> None:
    made = prepare_run(tiny_config(parts, tmp_path / "run"), Machine("cpu", 2), silent)
    assert made.coverage == "4 of 4 listed videos to validate, 8 of 9 to train"


def test_a_model_says_of_how_many_videos_its_figure_is(
    parts: Path, tmp_path: Path, capsys: Output
) -> None:
    quarantine = tmp_path / "q.csv"
    rows = list(csv.reader(parts.read_text().splitlines()))
    bad = next(row[0] for row in rows if row[2:] == ["val"])
    quarantine.write_text(f"path,reason\n{bad},odd\n")
    run(
        capsys, "train", parts, "--out", tmp_path / "run", "--quiet", "--quarantine", quarantine,
        *tiny_words(epochs=1),
    )  # fmt: skip
    (metric,) = load_model(tmp_path / "run/model.safetensors").metrics
    assert metric["protocol"].endswith(
        "3 held-out videos; 3 of 4 listed videos to validate, 8 of 9 to train"
    )
    values = json.loads((tmp_path / "run/run.json").read_text())
    assert [bad, "quarantined: odd"] in values["failures"]
    assert bad not in {Video(**video).path for video in values["val"]}


# --- check ---


def test_a_clean_folder_is_clean(colours: Path, tmp_path: Path, capsys: Output) -> None:
    for label in ("red", "blue"):
        for n in range(8):
            for copy in range(2):
                path = tmp_path / label / f"{n}_{copy}.mp4"
                path.parent.mkdir(exist_ok=True)
                content = (colours / label / f"{n}.mp4").read_bytes()
                path.write_bytes(content + b"\0\0\0\x08free" * copy)  # other bytes, same video
    text = run(capsys, "check", tmp_path, "--threads", 2)
    assert "checked    32 of 32 videos of 2 classes in " in text
    assert text.endswith("clean      nothing was found\n")


def test_check_names_what_it_finds_and_lists_it(
    tiny_model: Path, ucf: Path, tmp_path: Path, capsys: Output
) -> None:
    (ucf / "red/v_red_g03_c01.mp4").unlink()
    cut = ucf / "red/v_red_g04_c01.mp4"
    cut.write_bytes(b"")
    shutil.copy(ucf / "blue/v_blue_g01_c01.mp4", ucf / "blue/v_blue_g08_c01.mp4")
    quarantine = tmp_path / "q.csv"
    data = f"ucf101:{ucf}?split=2"
    text = run(capsys, "check", data, "--quarantine", quarantine, code=1)
    for part in (
        "checked    15 of 16 videos of 2 classes",
        "parts      train 12 of 12, test 3 of 4",
        "missing             1   named by the lists, not there\n",
        "empty               1   0 bytes (left out by --quarantine)\n",
        f"    {cut}: is empty (0 bytes).",
        "copy                1 ",
        "few_clips           2 ",
        f"1 files are listed in {quarantine}",
    ):
        assert part in text
    assert quarantine.read_text().splitlines()[0] == "path,reason"
    text = run(capsys, "evaluate", data, "--model", tiny_model, "--quarantine", quarantine)
    assert "videos     2 of 4 scored" in text and "quarantined: empty: is empty" in text


def test_check_json_and_threads(ucf: Path, capsys: Output) -> None:
    results = []
    for threads in (1, 4):
        words = ["check", f"ucf101:{ucf}", "--json", "--threads", threads]
        values = json.loads(run(capsys, *words, code=1))
        assert values.pop("seconds") >= 0
        results.append(values)
    assert results[0] == results[1]
    assert results[0]["counts"] == {"few_clips": 2}


def test_check_is_refused_in_one_line(colours: Path, tmp_path: Path, capsys: Output) -> None:
    assert "no such folder or CSV" in refuse(capsys, "check", tmp_path / "gone")
    assert "--threads is 0" in refuse(capsys, "check", colours, "--threads", "0")
    assert "no such folder. Make it first." in refuse(
        capsys, "check", colours, "--quarantine", tmp_path / "gone/q.csv"
    )
