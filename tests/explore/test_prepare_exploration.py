"""How an exploration parts videos, and what it keeps of that."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from s3d.data.video_list import Video
from s3d.data.videos import list_videos
from s3d.errors import InputError
from s3d.explore.prepare import deal_in_folds, find_shared, read_groups
from s3d.explore.settings import ExploreConfig
from s3d.models.shipped.table import SHIPPED
from s3d.train.config import TrainConfig
from s3d.train.plan import Machine

MACHINE = Machine("cpu", 1)


def shared_of(config: ExploreConfig, recipe: TrainConfig | None = None):  # type: ignore[no-untyped-def]
    return find_shared(config, recipe or TrainConfig(), MACHINE, lambda what: lambda a, b: None)


def config_of(data: Path, out: Path, **options: object) -> ExploreConfig:
    return ExploreConfig(data=str(data), out=str(out), budget_ms=1.0, **options)  # type: ignore[arg-type]


def test_folds_keep_sources_whole_and_are_even() -> None:
    videos = [
        Video(f"{label}{source}{n}", label, f"{label}{source}")
        for label in "ab"
        for source in range(6)
        for n in range(3)
    ]
    folds = deal_in_folds(videos, 3)
    assert Counter(folds) == {0: 12, 1: 12, 2: 12}
    for group in {video.group for video in videos}:
        assert len({f for f, v in zip(folds, videos, strict=True) if v.group == group}) == 1
    for fold in range(3):
        labels = Counter(v.label for f, v in zip(folds, videos, strict=True) if f == fold)
        assert labels == {"a": 6, "b": 6}


def test_a_video_without_a_source_is_its_own() -> None:
    videos = [Video(f"{n}", "ab"[n % 2]) for n in range(8)]
    folds = deal_in_folds(videos, 2)
    assert Counter(zip(folds, (v.label for v in videos), strict=True)) == {
        (0, "a"): 2, (0, "b"): 2, (1, "a"): 2, (1, "b"): 2,
    }  # fmt: skip


def test_a_class_of_few_sources_cannot_be_parted() -> None:
    videos = [
        Video("1", "a", "x"),
        Video("2", "a", "y"),
        Video("3", "b", "z"),
        Video("4", "b", "z"),
    ]
    with pytest.raises(InputError, match="class 'b' comes from 1 sources; 2 folds need as many"):
        deal_in_folds(videos, 2)


def test_one_split_shares_no_source_and_is_read_again(colours: Path, tmp_path: Path) -> None:
    shared = shared_of(config_of(colours, tmp_path / "found"))
    (part,) = shared.parts
    train, scored = list_videos(part.data).videos, list_videos(part.scored).videos
    assert len(train) + len(scored) == 16
    assert shared.videos == (len(train),)
    assert {v.path for v in train}.isdisjoint(v.path for v in scored)
    assert {v.group for v in train}.isdisjoint(v.group for v in scored)
    assert all(Path(v.path).is_absolute() for v in (*train, *scored))
    assert read_groups(part.scored) == {v.path: v.group for v in scored}
    assert shared_of(config_of(colours, tmp_path / "found", quick=True)) == shared


def test_folds_leave_each_video_out_once(colours: Path, tmp_path: Path) -> None:
    shared = shared_of(config_of(colours, tmp_path / "found", folds=3))
    scored = [video.path for part in shared.parts for video in list_videos(part.scored).videos]
    assert len(scored) == len(set(scored)) == 16
    for part in shared.parts:
        both = [{v.path for v in list_videos(d).videos} for d in (part.data, part.scored)]
        assert both[0].isdisjoint(both[1])
        assert len(both[0] | both[1]) == 16


def test_other_videos_are_scored_and_all_are_trained_on(colours: Path, tmp_path: Path) -> None:
    shared = shared_of(config_of(colours, tmp_path / "found", scored=str(colours)))
    (part,) = shared.parts
    assert part.scored == str(colours)
    assert shared.videos == (16,)


def test_scored_classes_must_be_trained_on(colours: Path, tmp_path: Path) -> None:
    (tmp_path / "other" / "green").mkdir(parents=True)
    (tmp_path / "other" / "green" / "1.mp4").write_bytes((colours / "red" / "0.mp4").read_bytes())
    config = config_of(colours, tmp_path / "found", scored=str(tmp_path / "other"))
    with pytest.raises(InputError, match="class 'green' is not among those trained on: blue, red"):
        shared_of(config)


def test_another_exploration_is_not_mixed_in(colours: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    shared_of(config_of(colours, out))
    with pytest.raises(InputError, match="holds an exploration with folds 0, not 2"):
        shared_of(config_of(colours, out, folds=2))
    with pytest.raises(InputError, match=r"holds an exploration with lr None, not 0\.01"):
        shared_of(config_of(colours, out), TrainConfig(lr=0.01))


def test_trainings_start_at_random_where_no_model_is_named(colours: Path, tmp_path: Path) -> None:
    def of(folder: str) -> ExploreConfig:
        word = SHIPPED["motion-small"].network
        return config_of(colours, tmp_path / folder, networks=word, widths="0.25")

    shared = shared_of(of("found"))
    assert shared.epochs == 120  # the pace from scratch; from the shipped trunk it would be 60
    assert "init" not in shared.options
    for init in (None, "none"):
        assert shared_of(of("found"), TrainConfig(init=init)) == shared
    said = "holds an exploration with init None, not 'motion-small'"
    with pytest.raises(InputError, match=said):
        shared_of(of("found"), TrainConfig(init="motion-small"))
    named = shared_of(of("named"), TrainConfig(init="motion-small"))
    assert named.options == {"init": "motion-small"}


def test_a_folder_with_other_things_is_left_alone(colours: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="holds other things"):
        shared_of(config_of(colours, tmp_path))
    with pytest.raises(InputError, match="is a file; --out needs a folder"):
        shared_of(config_of(colours, tmp_path / "thesis.tex"))


def test_a_damaged_note_is_one_line(colours: Path, tmp_path: Path) -> None:
    shared_of(config_of(colours, tmp_path / "found"))
    (tmp_path / "found" / "explore.json").write_text('{"format": "s3d-explore-1"}')
    with pytest.raises(InputError, match="is damaged or of another version"):
        shared_of(config_of(colours, tmp_path / "found"))
