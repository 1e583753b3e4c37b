"""What training a detector chooses by itself, and what it may not be told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data.video_info import VideoInfo
from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.network.detector_file import build_detector
from s3d.detect.train.config import DetectorConfig, read_size
from s3d.detect.train.plan import (
    CPU_STEPS,
    GPU_STEPS,
    MOST_CPU_STEPS,
    STEPS_A_VIDEO,
    DetectorPlan,
    choose_anchors,
    make_plan,
)
from s3d.detect.train.run import DetectorRun, digest_data, find_run
from s3d.detect.tube import TrueTube
from s3d.errors import InputError
from s3d.models.family import network_word
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from s3d.train.plan import Machine

CPU, GPU = Machine("cpu", 2), Machine("cuda", 16)
BOXES = [(10, 10, 30, 50), (0, 0, 20, 20), (40, 20, 60, 60)]


def info_of(rate_fps: float = 25.0, size_px: tuple[int, int] = (240, 320)) -> VideoInfo:
    return VideoInfo("v.mp4", *size_px, 50, rate_fps, 50 / rate_fps, np.arange(50) / rate_fps)


def video_of(boxes: Any = BOXES, size_px: tuple[int, int] = (240, 320)) -> AnnotatedVideo:
    frames = np.arange(len(boxes), dtype=np.int64)
    tubes = (TrueTube(0, frames, np.array(boxes, np.float32)),) if len(boxes) else ()
    return AnnotatedVideo("v.mp4", "v", size_px, tubes, np.arange(50, dtype=np.int64))


def plan(
    machine: Machine = CPU,
    starts: dict[str, ModelFile] | None = None,
    infos: list[VideoInfo] | None = None,
    multi_label: bool = False,
    **options: Any,
) -> DetectorPlan:
    config = DetectorConfig(**options)
    return make_plan(config, [video_of()], infos or [info_of()], machine, starts or {}, multi_label)


# What is chosen


def test_a_gpu_gets_what_the_paper_has() -> None:
    found = plan(GPU)
    (stream,) = found.streams.values()
    clip = ClipSpec.from_json(stream["clip"])
    assert (clip.frames, clip.size_px, clip.resize_px, clip.resize) == (
        20, (320, 400), (320, 400), "squash"
    )  # fmt: skip
    assert (stream["word"], stream["width"]) == (network_word("s3d_g"), 1.0)
    assert (found.shape.image_net, found.shape.roi_px) == ("resnet50", (14, 14))
    assert (found.shape.at, found.shape.proposals, found.steps) == ("mixed4e", 100, GPU_STEPS)


def test_a_cpu_gets_what_it_can_do() -> None:
    found = plan(CPU)
    (stream,) = found.streams.values()
    clip = ClipSpec.from_json(stream["clip"])
    assert (clip.frames, clip.rate_fps, clip.size_px) == (20, 25.0, (160, 208))
    assert stream["width"] == 0.25
    assert (found.shape.image_net, found.shape.roi_px, found.shape.proposals) == (
        "none",
        (7, 7),
        16,
    )
    assert (found.lr, found.freezes_norms) == (1e-3, False)


def test_what_was_asked_for_is_done_and_not_told() -> None:
    options: dict[str, Any] = {
        "frames": 12, "rate_fps": 8.0, "size": "64x96", "network": "i2d", "width": 0.5, "roi": 5,
        "proposals": 9, "image_net": "resnet18", "image_width": 0.5, "steps": 7, "lr": 0.5,
        "freeze_norms": False,
    }  # fmt: skip
    for machine in (CPU, GPU):
        found = plan(machine, multi_label=True, **options)
        stream = found.streams["rgb"]
        clip = ClipSpec.from_json(stream["clip"])
        assert (clip.frames, clip.rate_fps, clip.size_px) == (12, 8.0, (64, 96))
        assert (stream["word"], stream["width"]) == (network_word("i2d"), 0.5)
        assert (found.shape.roi_px, found.shape.proposals) == ((5, 5), 9)
        assert (found.shape.image_net, found.shape.image_width) == ("resnet18", 0.5)
        assert (found.steps, found.lr, found.shape.multi_label) == (7, 0.5, True)
        assert len(found.reasons) == 1
        assert found.reasons[0].startswith("anchors of ")


def test_each_choice_is_told_in_a_line() -> None:
    said = "\n".join(plan(CPU).reasons)
    for part in (
        "20 frames around a key frame at 25 fps, that of most videos", "160 x 208 px",
        "--network, --width", "(--image-net)", "anchors of",
        f"{CPU_STEPS:,} steps of 8 key frames (--steps)",
    ):  # fmt: skip
        assert part in said
    assert said.isprintable() or "\n" in said


@pytest.mark.parametrize(
    ("rates", "wanted"),
    [([25, 30, 30], 30), ([30, 25], 25), ([29.97003, 29.97, 25], 29.970015), ([12], 12)],
)
def test_the_rate_is_that_of_most_videos_or_the_lowest(rates: list[float], wanted: float) -> None:
    found = plan(infos=[info_of(rate) for rate in rates])
    assert found.streams["rgb"]["clip"]["rate_fps"] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ([(240, 320)], (160, 208)),
        ([(320, 240)], (208, 160)),
        ([(64, 64)], (64, 64)),
        ([(20, 900)], (32, 896)),
        ([(480, 640), (480, 640), (1080, 1080)], (160, 208)),
    ],
)
def test_a_cpu_s_size_has_the_videos_aspect(
    sizes: list[tuple[int, int]], wanted: tuple[int, int]
) -> None:
    found = plan(infos=[info_of(size_px=size) for size in sizes])
    assert tuple(found.streams["rgb"]["clip"]["size_px"]) == wanted


def test_the_rate_of_learning_follows_the_optimizer_and_the_batch() -> None:
    assert plan(optimizer="sgd", batch=64).lr == pytest.approx(0.2)
    assert plan(optimizer="adamw", batch=64).lr == pytest.approx(1e-3)


def test_both_streams_look_at_the_same_frames() -> None:
    found = plan(modality="both")
    rgb, flow = (ClipSpec.from_json(found.streams[n]["clip"]) for n in ("rgb", "flow"))
    assert replace(flow, modality="rgb", mean=rgb.mean, std=rgb.std,
                   flow_side_px=rgb.flow_side_px) == rgb  # fmt: skip
    assert (flow.modality, flow.flow_side_px, found.streams["flow"]["channels"]) == ("flow", 160, 2)
    detector = build_detector(found.streams, found.shape, 3)
    assert set(detector.streams) == {"rgb", "flow"}
    assert set(plan(modality="flow").streams) == {"flow"}


# Models to start from


def start_of(modality: str = "rgb", style: str = "torchvision") -> ModelFile:
    channels = 3 if modality == "rgb" else 2
    network = build("g3s2g2s3gs3", num_classes=2, width=0.02, style=style, channels=channels)
    mean, std = (0.1,) * channels, (0.3,) * channels
    spec = ClipSpec(modality=modality, mean=mean, std=std, flow_method="dis")  # type: ignore[arg-type]
    return ModelFile(network, ("a", "b"), spec, (), "", "")


def test_a_start_brings_its_network_and_its_normalisation() -> None:
    found = plan(GPU, {"rgb": start_of()}, network="i2d", width=3.0, init="m")
    stream = found.streams["rgb"]
    assert (stream["word"], stream["width"]) == ("g3s2g2s3gs3", 0.02)
    assert stream["style"]["padding"] == "symmetric"
    clip = ClipSpec.from_json(stream["clip"])
    assert (clip.mean, clip.std, clip.size_px) == ((0.1,) * 3, (0.3,) * 3, (320, 400))


def test_flow_from_a_model_of_flow_is_computed_and_scaled_as_that_s() -> None:
    found = plan(starts={"flow": start_of("flow")}, modality="flow", init="m")
    clip = ClipSpec.from_json(found.streams["flow"]["clip"])
    assert (clip.flow_method, clip.std, clip.modality) == ("dis", (0.3, 0.3), "flow")
    found = plan(starts={"flow": start_of("rgb")}, modality="flow", init="m")
    clip = ClipSpec.from_json(found.streams["flow"]["clip"])
    assert (clip.flow_method, clip.std, clip.channels) == ("tvl1", (0.5, 0.5), 2)


def test_norms_stay_where_weights_are_loaded_and_batches_are_small() -> None:
    starts = {"rgb": start_of()}
    assert plan(starts=starts, init="m").freezes_norms
    assert plan(image_init="resnet50-imagenet").freezes_norms
    assert not plan(starts=starts, init="m", batch=32).freezes_norms
    assert plan(starts=starts, init="m", batch=32, freeze_norms=True).freezes_norms
    assert not plan(starts=starts, init="m", freeze_norms=False).freezes_norms
    assert not plan().freezes_norms


def test_weights_for_an_image_net_ask_for_one() -> None:
    assert plan(image_init="resnet50-imagenet").shape.image_net == "resnet50"


def test_each_stream_starts_from_what_was_named_for_it() -> None:
    assert DetectorConfig().inits == {}
    assert DetectorConfig(init="a", modality="both").inits == {"rgb": "a"}
    assert DetectorConfig(init="a", flow_init="b", modality="both").inits == {
        "rgb": "a",
        "flow": "b",
    }
    assert DetectorConfig(init="a", modality="flow").inits == {"flow": "a"}
    assert DetectorConfig(init="a", flow_init="b", modality="flow").inits == {"flow": "b"}


def test_many_videos_get_more_steps_on_a_cpu_up_to_an_end() -> None:
    for videos, wanted in ((1, CPU_STEPS), (400, 400 * STEPS_A_VIDEO), (2000, MOST_CPU_STEPS)):
        found = make_plan(DetectorConfig(), [video_of()] * videos, [info_of()], CPU, {}, False)
        assert found.steps == wanted


# Anchors


def test_anchors_lie_at_the_quantiles_of_the_boxes() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (200, 2))
    sides = np.exp(rng.uniform(np.log(8), np.log(120), (200, 2)))
    video = video_of(np.concatenate([corners, corners + sides], 1))
    sizes, ratios = choose_anchors([video], (240, 320))
    area, ratio = np.sqrt(sides.prod(1)), sides[:, 1] / sides[:, 0]
    np.testing.assert_allclose(sizes, np.quantile(area, [0.1, 0.5, 0.9]), rtol=1e-3)
    np.testing.assert_allclose(ratios, np.quantile(ratio, [0.1, 0.5, 0.9]).clip(0.1, 10), rtol=1e-2)


def test_anchors_are_in_px_of_what_is_looked_at() -> None:
    # One box of 40 x 40 of 400 x 200 (height x width), looked at in 100 x 100: 20 x 10.
    video = video_of([(0, 0, 40, 40)], size_px=(400, 200))
    sizes, ratios = choose_anchors([video, video_of([])], (100, 100))
    np.testing.assert_allclose(sizes, [np.sqrt(200)], rtol=1e-3)
    np.testing.assert_allclose(ratios, [0.5])


def test_anchors_near_each_other_are_one_and_odd_boxes_are_bounded() -> None:
    sizes, ratios = choose_anchors([video_of([(0, 0, 50, 50), (0, 0, 52, 52)])], (240, 320))
    assert (len(sizes), len(ratios)) == (1, 1)
    sizes, ratios = choose_anchors([video_of([(0, 0, 0.5, 200), (0, 0, 300, 1)] * 5)], (240, 320))
    assert min(ratios) == 0.1
    assert max(ratios) == 10
    assert plan().shape.anchor_px == choose_anchors([video_of()], (160, 208))[0]


def test_data_without_a_box_are_refused() -> None:
    with pytest.raises(InputError, match="not one box is marked in the data"):
        choose_anchors([video_of([])], (240, 320))


# Plans and runs on disk


def test_a_plan_survives_json() -> None:
    found = plan(modality="both")
    again = DetectorPlan.from_json(json.loads(json.dumps(found.to_json())))
    assert replace(again, streams=found.streams) == found
    build_detector(again.streams, again.shape, 2)
    with pytest.raises(InputError, match="the run's plan is damaged; choose another --out"):
        DetectorPlan.from_json({"shape": found.shape.to_json()})
    with pytest.raises(InputError, match="the run's plan is damaged"):
        DetectorPlan.from_json({**found.to_json(), "more": 1})


def test_other_boxes_frames_labels_or_models_are_other_data() -> None:
    video, labels = video_of(), ("a", "b")
    tube = video.tubes[0]
    one = digest_data([video], labels, ["m"])
    assert digest_data([video_of()], labels, ["m"]) == one
    changed = [
        digest_data([video], ("a", "c"), ["m"]),
        digest_data([video], labels, []),
        digest_data([video, video], labels, ["m"]),
        digest_data([replace(video, name="w")], labels, ["m"]),
        digest_data([replace(video, frames=video.frames + 1)], labels, ["m"]),
        digest_data([replace(video, tubes=(replace(tube, label=1),))], labels, ["m"]),
        digest_data([replace(video, tubes=(replace(tube, boxes=tube.boxes + 1),))], labels, ["m"]),
        digest_data(
            [replace(video, tubes=(replace(tube, frames=tube.frames + 1),))], labels, ["m"]
        ),
    ]
    assert len({one, *changed}) == 9


def test_a_run_is_found_again_and_nothing_else_is_taken_for_one(tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = DetectorConfig(data="d", out=str(out))
    assert find_run(config) is None
    run = DetectorRun(out, config, plan(), ("a",), "digest", ("note",))
    (out / "flow").mkdir(parents=True)
    assert find_run(config) is None, "killed while flow was computed"
    run.begin()
    found = find_run(replace(config, threads=1, cache_gb=0.0, max_failed=0.5))
    assert found is not None
    assert (found.labels, found.digest, found.notes) == (("a",), "digest", ("note",))
    assert (found.config.threads, found.config.cache_gb, found.config.max_failed) == (1, 0.0, 0.5)
    for options, message in (
        ({"seed": 1}, r"holds a run with seed 0, not 1\. Give the same options"),
        ({"data": "e"}, "holds a run with data 'd', not 'e'"),
        ({"size": "64x64"}, "holds a run with size None, not '64x64'"),
    ):
        with pytest.raises(InputError, match=message):
            find_run(replace(config, **options))
    for text in ("", "[]", "{}", "null", '{"format": "s3d-run-1"}', "\udcff"):
        (out / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(InputError, match="is damaged, or no training of a detector"):
            find_run(config)
    (out / "run.json").unlink()
    (out / "else.txt").write_text("")
    with pytest.raises(InputError, match=r"holds other things \(else.txt\); --out needs a new"):
        find_run(config)
    with pytest.raises(InputError, match="is a file; --out needs a folder"):
        find_run(replace(config, out=str(out / "else.txt")))


# What may not be told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames is 0; it needs a number from 1 to 512"),
        ({"batch": 0}, "batch is 0"),
        ({"lr": 0.0}, "lr is 0"),
        ({"ema": 1.0}, "ema is 1"),
        ({"zoom": 0.9}, "zoom is 0.9"),
        ({"sampled": 3}, "sampled is 3; it needs a number from 4"),
        ({"empty_share": 1.0}, "empty-share is 1"),
        ({"modality": "sound"}, "modality is 'sound'; it is one of rgb, flow, both"),
        ({"optimizer": "lion"}, "optimizer is 'lion'; it is one of adamw, sgd"),
        ({"image_net": "vgg"}, "image_net is 'vgg'; it is one of none, resnet18, resnet50"),
        ({"decay_at": "x"}, "decay-at"),
        ({"size": "320"}, "--size is '320'; it needs HEIGHTxWIDTH from 32 to 2048 px"),
        ({"image_init": "x", "image_net": "none"}, "--image-init fills an image net; leave"),
        ({"flow_init": "x"}, "--flow-init is for a stream of flow; add --modality both or flow"),
        ({"flow": "x"}, "--flow is looked at with --modality flow or both"),
        ({"freeze_norms": True}, "--freeze-norms keeps the norms of weights that are loaded"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectorConfig(**options)


def test_a_size_is_height_by_width() -> None:
    assert read_size("320x400") == read_size(" 320X400 ") == (320, 400)
    for text in ("31x64", "64x2049", "320x", "x", "", "-64x64", "64x64x3", "x64x64", "999999x64"):
        with pytest.raises(InputError, match="it needs HEIGHTxWIDTH from 32 to 2048 px"):
            read_size(text)
