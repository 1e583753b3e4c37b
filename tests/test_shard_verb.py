"""s3d shard on real files, and every verb on what it wrote: the same figures, the same weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from s3d.cli import main
from s3d.data.shards import members as shards
from s3d.data.videos import list_videos
from s3d.models.model_file import load_model
from tests.data.range_server import serve
from tests.tiny import refuse, tiny_words

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(shards, "_KNOWN", shards._Known())


@pytest.fixture
def packed(colours: Path, tmp_path: Path, capsys: Output) -> Path:
    out = tmp_path / "packed"
    assert main(["shard", str(colours), "--out", str(out), "--shard-mb", "1"]) == 0
    capsys.readouterr()
    return out


@pytest.fixture
def web(packed: Path) -> Iterator[str]:
    with serve(packed) as server:
        yield f"shards:{server.url}"


def run(capsys: Output, *words: str | Path, code: int = 0) -> str:
    capsys.readouterr()
    assert main([str(word) for word in words]) == code
    return capsys.readouterr().out


def figures(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return {key: found[key] for key in ("top1", "per_class", "videos_found", "videos_scored")}


def test_packing_then_nothing_more_to_do(colours: Path, tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "new" / "packed"
    words = ("shard", colours, "--out", out)
    said = run(capsys, *words)
    assert (
        said == f"packed    16 videos in 1 shard, 0.1 MB\nin        {out}; use it as shards:{out}\n"
    )
    assert "16 videos in 1 shard, 0.1 MB, 1 done before\n" in run(capsys, *words)


def test_a_broken_video_is_named_and_the_rest_packed(
    colours: Path, tmp_path: Path, capsys: Output
) -> None:
    shutil.copytree(colours, tmp_path / "videos")
    bad = tmp_path / "videos" / "red" / "0.mp4"
    bad.write_bytes(b"")
    words = ["shard", str(tmp_path / "videos"), "--out", str(tmp_path / "out")]
    for _ in range(2):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert err == f"s3d: {bad}: is empty (0 bytes). Copy or download it again.\n"
        assert "15 videos in 1 shard" in out and "left out  1 listed video:" in out
    (tmp_path / "q.csv").write_text(f"path,reason\n{bad},empty\n")
    out = tmp_path / "quarantined"
    said = run(capsys, *words[:3], out, "--quarantine", tmp_path / "q.csv")
    assert "15 videos in 1 shard" in said and "left out  1 listed video:" in said
    assert [v.path for v in list_videos(f"shards:{out}").missing] == [str(bad)]


def test_one_part_alone(colours: Path, tmp_path: Path, capsys: Output) -> None:
    rows = [
        f"{colours}/{c}/{n}.mp4,{c},{'test' if n else 'train'}"
        for c in ("red", "blue")
        for n in (0, 1)
    ]
    (tmp_path / "l.csv").write_text("\n".join(["path,label,split", *rows]))
    run(capsys, "shard", tmp_path / "l.csv", "--out", tmp_path / "out", "--part", "test")
    videos = list_videos(f"shards:{tmp_path / 'out'}").videos
    assert [v.split for v in videos] == ["test", "test"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shard-mb", "0"), "--shard-mb is 0; it needs 1 to 1000000."),
        (("--threads", "0"), "--threads is 0; at least 1 is needed."),
        (("--part", "half"), "unknown part 'half'. Known: train, val, test, all."),
        (("--part", "val"), "has no videos of part 'val'"),
        (("--quarantine", "gone.csv"), "gone.csv: no such list."),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(
    colours: Path, tmp_path: Path, capsys: Output, words: tuple[str, ...], message: str
) -> None:
    assert message in refuse(capsys, "shard", colours, "--out", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_training_gives_the_weights_that_the_folder_gives(
    colours: Path, packed: Path, web: str, tmp_path: Path, capsys: Output
) -> None:
    weights = []
    for number, source in enumerate((str(colours), f"shards:{packed}", web)):
        out = tmp_path / f"run{number}"
        words = tiny_words(epochs=1, **({"cache_gb": 0} if number == 1 else {}))
        run(capsys, "train", source, "--out", out, *words)
        weights.append(load_model(out / "model.safetensors").network.state_dict())
    for other in weights[1:]:
        for name, value in weights[0].items():
            torch.testing.assert_close(other[name], value, rtol=0, atol=0)


def test_evaluating_gives_the_figures_that_the_folder_gives(
    colours: Path, packed: Path, web: str, tiny_model: Path, capsys: Output
) -> None:
    told = [
        figures(run(capsys, "evaluate", source, "--model", tiny_model, "--json"))
        for source in (colours, f"shards:{packed}", f"shards:{packed}/000000.tar", web)
    ]
    assert told[0]["videos_scored"] == 16
    assert told[1:] == [told[0]] * 3


def test_check_and_predict_take_videos_in_tars(
    colours: Path, packed: Path, web: str, tiny_model: Path, capsys: Output
) -> None:
    whole = json.loads(run(capsys, "check", colours, "--json", code=1))
    for source in (f"shards:{packed}", web):
        found = json.loads(run(capsys, "check", source, "--json", code=1))
        assert (found["counts"], found["checked"]) == (whole["counts"], 16)
        path = list_videos(source).videos[0].path
        said = json.loads(run(capsys, "predict", path, "--model", tiny_model, "--json"))
        file = colours / "blue" / "0.mp4"
        wanted = json.loads(run(capsys, "predict", file, "--model", tiny_model, "--json"))
        assert (said["path"], said["top"]) == (path, wanted["top"])
    gone = f"{packed}/000000.tar#gone.mp4"
    said = refuse(capsys, "predict", gone, "--model", tiny_model)
    assert said == f"s3d: {gone}: the tar holds no such video. Check the name."
