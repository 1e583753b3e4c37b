"""s3d cost: what it prints, measures, writes and refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from s3d.cli import main
from s3d.clip import ClipSpec
from s3d.explore import roofline
from s3d.explore.roofline import Peaks
from s3d.models.cost import count_cost
from s3d.models.model_file import ModelFile, save_model
from s3d.models.network import BLOCKS, build
from tests.tiny import refuse

Output = pytest.CaptureFixture[str]
TINY = ("s3d_fast", "--width", 0.1, "--classes", 3, "--frames", 4, "--size", 32)
MEASURE = ("--measure", "--runs", 1)


@pytest.fixture(autouse=True)
def peaks(monkeypatch: pytest.MonkeyPatch) -> Peaks:
    """Let no test measure the machine."""
    peaks = Peaks(2e9, 1e9)
    monkeypatch.setattr(roofline, "measure_peaks", lambda: peaks)
    return peaks


@pytest.fixture
def model(tmp_path: Path) -> Path:
    network = build("i2d", num_classes=2, width=0.1, style="slim").eval()
    spec = ClipSpec(frames=4, size_px=(32, 48), resize_px=(32, 48))
    save_model(tmp_path / "m.safetensors", ModelFile(network, ("a", "b"), spec, (), "by hand"))
    return tmp_path / "m.safetensors"


def run(capsys: Output, *words: str | Path | float) -> str:
    capsys.readouterr()
    assert main(["cost", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_it_counts_and_says_what_it_counts(capsys: Output) -> None:
    lines = run(capsys, *TINY).splitlines()
    assert lines[:4] == [
        "network  s3d_fast, width 0.1, style paper, 3 classes: fresh weights",
        "clip     4 frames of 32 x 32 px, 3 channels",
        "counts   multiply-adds are what the paper calls FLOPs; others count 2 each",
        "         moved: what operations read and write, each input, weight and output once, in "
        "float32",
    ]
    cost = count_cost("s3d_fast", 4, (32, 32), num_classes=3, width=0.1)
    table = [line.split("  ") for line in lines[5:]]
    assert [row[0] for row in table] == ["block", *BLOCKS, "head", "total"]
    total = lines[-1].split()
    assert total[:4] == ["total", f"{cost.parameters:,}", f"{cost.macs / 1e9:.3f}", "G"]
    assert total[4:] == [
        f"{cost.activations / 1e6:.2f}", "M", f"{cost.moved_bytes / 1e6:.1f}", "MB",
    ]  # fmt: skip
    conv1a, pool2a, head = lines[6].split(), lines[7].split(), lines[-2].split()
    assert conv1a[1:8] == ["16", "x", "2", "x", "16", "x", "16"]
    # Nothing is 0, and what is too small for its digits is not.
    assert pool2a[8:10] == ["0", "0"]
    assert head[1] == "3"
    assert "< 0.001 G" in lines[-2]
    assert "< 0.01 M" in lines[-2]


def test_json_holds_what_is_counted(capsys: Output) -> None:
    out = json.loads(run(capsys, *TINY, "--json"))
    cost = count_cost("s3d_fast", 4, (32, 32), num_classes=3, width=0.1)
    assert out["model"] == out["network"] == "s3d_fast"
    assert out["clip"] == {"frames": 4, "size_px": [32, 32], "channels": 3}
    assert out["counted"].startswith("multiply-adds are what the paper calls FLOPs")
    assert out["measured"] is None
    for name in ("parameters", "macs", "activations", "moved_bytes"):
        assert out[name] == getattr(cost, name)
        assert [b[name] for b in out["blocks"]] == [getattr(b, name) for b in cost.blocks]


def test_a_model_file_has_its_own_word_style_width_and_clip(capsys: Output, model: Path) -> None:
    lines = run(capsys, model).splitlines()
    assert lines[0] == "network  i2d, width 0.1, style slim, 2 classes: by hand"
    assert lines[1] == "clip     4 frames of 48 x 32 px, 3 channels"
    wanted = count_cost("i2d", 4, (32, 48), num_classes=2, width=0.1, style="slim")
    assert lines[-1].split()[1] == f"{wanted.parameters:,}"
    longer = json.loads(run(capsys, model, "--frames", 8, "--json"))
    assert longer["clip"] == {"frames": 8, "size_px": [32, 48], "channels": 3}
    macs = count_cost("i2d", 8, (32, 48), num_classes=2, width=0.1, style="slim").macs
    assert longer["macs"] == macs


def test_it_measures_and_says_on_what(capsys: Output, tmp_path: Path, peaks: Peaks) -> None:
    words = ("--csv", tmp_path / "b.csv", "--plot", tmp_path / "b.png")
    lines = run(capsys, *TINY, *MEASURE, *words).splitlines()
    text = "\n".join(lines)
    assert lines[4].startswith("machine  ")
    assert " thread" in lines[4]
    assert "; torch " in lines[4]
    assert lines[5] == (
        "peaks    2 G multiply-adds/s (products of 2048 x 2048), 1 GB/s (copies of 256 MiB)"
    )
    assert "by engine torch and eager PyTorch: medians of 1 run in turn" in text
    assert "predicted: the longer of arithmetic and memory at these peaks" in text
    head = next(line for line in lines if line.startswith("block"))
    assert head.split()[-5:] == ["predicted", "torch", "eager", "of", "roof"]
    assert lines[-2:] == [f"in {tmp_path / 'b.csv'}", f"in {tmp_path / 'b.png'}"]
    assert lines[-3].startswith("in one go")
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((tmp_path / "b.csv").read_text().splitlines()))
    assert [row["block"] for row in rows] == [*BLOCKS, "head"]
    cost = count_cost("s3d_fast", 4, (32, 32), num_classes=3, width=0.1)
    for row, block in zip(rows, cost.blocks, strict=True):
        assert row["output"] == "x".join(map(str, block.shape))
        assert int(row["moved_bytes"]) == block.moved_bytes
        predicted = float(row["predicted_ms"])
        assert predicted == pytest.approx(peaks.predict_ms(block), abs=1e-4)
        wanted = predicted / float(row["torch_ms"])
        assert float(row["share_of_roof"]) == pytest.approx(wanted, rel=0.05, abs=1e-3)


def test_json_holds_what_is_measured(capsys: Output, peaks: Peaks) -> None:
    out = json.loads(run(capsys, *TINY, *MEASURE, "--engine", "eager", "--json"))
    measured = out["measured"]
    assert measured["engines"] == ["eager"]
    assert measured["runs"] == 1
    assert measured["peaks"]["macs_per_second"] == peaks.macs_per_second
    assert measured["threads"] >= 1
    sums = sum(block["measured_ms"]["eager"] for block in out["blocks"])
    assert measured["sum_of_blocks_ms"]["eager"] == pytest.approx(sums, rel=1e-3)
    predicted = sum(block["predicted_ms"] for block in out["blocks"])
    assert measured["predicted_ms"] == pytest.approx(predicted, rel=1e-2)
    whole = measured["in_one_go_ms"]["eager"]
    assert measured["share_of_roof"] == pytest.approx(predicted / whole, rel=1e-2, abs=1e-3)


def test_a_share_above_the_roof_is_explained(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "over 100%: less is multiplied, or moved, than is counted"
    words = (*TINY, *MEASURE, "--engine", "eager")
    monkeypatch.setattr(roofline, "measure_peaks", lambda: Peaks(1e3, 1e3))
    assert said in run(capsys, *words)
    monkeypatch.setattr(roofline, "measure_peaks", lambda: Peaks(1e15, 1e15))
    assert said not in run(capsys, *words)


def test_a_network_of_any_width_is_counted_at_once(capsys: Output) -> None:
    out = json.loads(run(capsys, "i3d", "--width", 8, "--json"))
    assert out["parameters"] == count_cost("i3d", width=8.0).parameters > 7e8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("s3d", "--plot", "a.png"), "--plot is given, and nothing is timed. Add --measure."),
        (("s3d", "--runs", "3"), "--runs is given, and nothing is timed."),
        (("s3d", "--engine", "torch"), "--engine is given, and nothing is timed."),
        (("s3d", *MEASURE[:2], "0"), "--runs is 0; at least 1 is needed."),
        (("s3d", "--measure", "--plot", "a.pdf"), "--plot a.pdf: a PNG is drawn. Name a FILE.png."),
        (("s3d", "--csv", "no/a.csv"), "no/a.csv: there is no such folder. Make it first."),
        (("s3d", "--measure", "--engine", "opnvino"), "unknown engine 'opnvino'. Did you mean"),
        (("m.safetensors", "--width", "1"), "--width is given, and m.safetensors has its own."),
        (("m.safetensors", "--style", "slim"), "--style is given, and m.safetensors has its own."),
        (("m.safetensors", "--classes", "2"), "--classes is given, and m.safetensors has its own."),
        (("n.safetensors",), "n.safetensors: no such model file, published weights or network."),
        (("s3d", "--frames", "5000"), "ClipSpec frames is 5000; it needs a whole number from 1"),
    ],
)
def test_what_cannot_be_told_is_refused(
    words: tuple[str, ...], message: str, model: Path, capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(model.parent)
    assert message in refuse(capsys, "cost", *map(str, words))
    assert [path.name for path in model.parent.iterdir()] == ["m.safetensors"]
