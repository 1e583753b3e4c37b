"""The probe of a model file: folds of a CSV, few clips of a class, and which block is believed."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
import torch

from benchmarks import few_clips, probe
from benchmarks.probe import choose_block, probe_csv, probe_few, probe_sample, read_column
from s3d.clip import ClipSpec
from s3d.data.synthetic import SampleConfig
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from s3d.pretrain.frozen import ProbeRecipe

SPEC = ClipSpec(4, 8.0, (32, 32), (32, 32))
RECIPE = ProbeRecipe(SPEC, 1, ("pool4a", "mixed5c"))


@pytest.fixture(scope="module")
def model() -> ModelFile:
    torch.manual_seed(0)
    return ModelFile(build("s3d_fast", num_classes=1, width=0.1).eval(), (), SPEC)


def write_folds(colours: Path, into: Path) -> Path:
    """List the clips by their way from the list's folder, in folds that go round."""
    path = into / "clips.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "source", "part_of"))
        for number, video in enumerate(sorted(colours.rglob("*.mp4"))):
            place = os.path.relpath(video, into)
            writer.writerow((place, video.parent.name, f"s{number // 2}", number % 3))
    return path


def test_each_fold_of_a_column_is_left_out(colours: Path, tmp_path: Path, model: ModelFile) -> None:
    clips = write_folds(colours, tmp_path)
    found = probe_csv(model, clips, "part_of", RECIPE, tmp_path / "cache")
    assert found["folds"] == ["0", "1", "2"]
    assert found["blocks"]["mixed5c"] == {"mean": 1.0, "each": [1.0, 1.0, 1.0]}
    assert set(found["blocks"]["chosen"]["blocks"]) <= {"pool4a", "mixed5c"}
    with pytest.raises(SystemExit, match="has no column 'fold'; name one with --fold-column"):
        read_column(clips, "fold")


def test_the_block_is_chosen_by_what_training_says() -> None:
    assert choose_block({"pool4a": 0.5, "mixed4f": 0.4, "mixed5c": 0.6}) == "mixed4f"
    assert choose_block({"pool4a": float("inf"), "mixed5c": float("inf")}) == "pool4a"


def test_few_clips_are_those_of_their_list(
    tmp_path: Path, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All sizes at once give what each list by itself gives."""

    def config(seed: int) -> SampleConfig:
        looks = ("sway_disc", "sway_star")
        return SampleConfig(4, 2, seed=seed, actions=looks, size_px=32, seconds=0.5)

    monkeypatch.setattr(few_clips, "sample_config", config)
    for place in (few_clips, probe):
        monkeypatch.setattr(place, "SIZES", (2, 4))
    folder, cache = tmp_path / "sample", tmp_path / "cache"
    together = probe_sample(model, folder, RECIPE, cache, (0, 1))["clips_per_class"]
    for size in (2, 4):
        for seed in (0, 1):
            lists = few_clips.draw_sample(folder, size, seed, few_clips.CHOOSING)
            alone = probe_few(model, lists, RECIPE, cache)
            for block, accuracy in alone.items():
                assert together[str(size)][block]["each"][seed] == round(accuracy, 4)


def test_none_is_the_same_random_network_each_time() -> None:
    first, again, other = (probe.open_probed("none", seed).network for seed in (0, 0, 1))
    one, same, another = (n.state_dict()["mixed5c.entry.weight"] for n in (first, again, other))
    assert torch.equal(one, same)
    assert not torch.equal(one, another)
