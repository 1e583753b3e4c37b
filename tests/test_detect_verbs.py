"""The verbs of detection, one after the other as a person uses them, and what they refuse."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from safetensors.torch import save_file

from s3d.cli import main
from s3d.detect.network.detector_file import load_detector, save_detector
from tests.conftest import WriteVideo
from tests.detect.conftest import drift
from tests.detect.tiny_detector import KnowingFinder, know, make_detector
from tests.tiny import refuse

Output = pytest.CaptureFixture[str]

TRAIN = (
    "--network=s3d_fast", "--width=0.1", "--frames=8", "--size=48x64", "--roi=3", "--proposals=4",
    "--steps=2", "--batch=2", "--sampled=4", "--threads=1", "--device=cpu",
)  # fmt: skip


def run(capsys: Output, *words: str | Path | int) -> str:
    """Run a command that succeeds, and return what it printed."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a detector of the figures' first two actions that was never trained."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_detector(path, make_detector(labels=("move_left", "move_right")))
    return path


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a made-up data set of three videos."""
    folder = tmp_path_factory.mktemp("sample") / "figures"
    words = ["sample-boxes", str(folder), "--train-videos", "2", "--test-videos", "1"]
    words += ["--size", "64x48", "--seconds", "0.6", "--actions", "move_left,move_right"]
    assert main(words) == 0
    return folder


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a video of 26 frames."""
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    return write_video(path, drift(26), 25, codec="mpeg4")


def test_from_a_sample_to_a_detector_and_its_boxes(
    figures: Path, tmp_path: Path, capsys: Output
) -> None:
    out, model = tmp_path / "who", tmp_path / "who" / "model.safetensors"
    run(capsys, "train-detector", figures / "train.csv", "--out", out, "--quiet", *TRAIN)
    assert load_detector(model).labels == ("move_left", "move_right")
    text = run(capsys, "evaluate-detector", figures / "test.csv", "--model", model)
    for part in ("protocol   voc: ", "frame-mAP ", "video-mAP ", "move_left", "key frames looked"):
        assert part in text
    (clip, *_) = sorted(figures.rglob("*.mp4"))
    seen = tmp_path / "seen.mp4"
    text = run(capsys, "detect", clip, "--model", model, "--out", seen, "--least-score", 0)
    assert text.splitlines()[-1] == str(seen)
    assert count_frames(seen) == count_frames(clip)


@pytest.mark.parametrize("protocol", ["voc", "act", "coco"])
def test_evaluate_as_json(figures: Path, detector: Path, capsys: Output, protocol: str) -> None:
    words = ("evaluate-detector", figures / "test.csv", "--model", detector, "--json")
    values = json.loads(run(capsys, *words, "--protocol", protocol))
    assert (values["protocol"], values["videos"], values["linking"]) == (protocol, 1, "online")
    assert set(values["frame_map"]) == {"0.5", "0.75", "0.5:0.95"}
    assert values["video_map"] is not None
    assert values["frames"] == count_frames(next(figures.rglob("test/*.mp4")))
    assert (values["failures"], values["problems"]) == ([], [])
    assert values["key_frames_per_second"] > 0


def test_evaluate_links_otherwise_and_looks_at_fewer(
    figures: Path, detector: Path, capsys: Output
) -> None:
    words = ("evaluate-detector", figures / "test.csv", "--model", detector, "--json")
    values = json.loads(run(capsys, *words, "--linking", "viterbi", "--trim"))
    assert values["linking"] == "viterbi"
    assert values["video_map"] is not None
    few = json.loads(run(capsys, *words, "--stride", 4, "--part", "all"))
    assert few["frames"] == -(-values["frames"] // 4)
    assert few["video_map"] is None


def count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_detect_draws_and_writes(
    video: Path, detector: Path, tmp_path: Path, capsys: Output
) -> None:
    out, tubes = tmp_path / "seen.mp4", tmp_path / "tubes.json"
    options = ("--model", detector, "--least-score", 0)
    text = run(capsys, "detect", video, *options, "--out", out, "--json", tubes)
    *told, total, first, second = text.splitlines()
    assert (first, second) == (str(out), str(tubes))
    assert "people in 7 key frames, " in total
    assert count_frames(out) == 26
    values = json.loads(tubes.read_text())
    assert (values["video"], values["model"]) == (str(video), str(detector))
    assert (values["key_frames"], values["stride_frames"], values["rate_fps"]) == (7, 4, 25.0)
    assert (values["size_px"], values["multi_label"]) == ([72, 96], False)
    assert len(values["tubes"]) == len(told) > 0
    numbers = [tube["number"] for tube in values["tubes"]]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert told[0].startswith(f"#{numbers[0]} ")
    for tube in values["tubes"]:
        assert set(tube["frames"]) <= set(range(0, 26, 4))
        assert len(tube["frames"]) == len(tube["boxes"]) == len(tube["scores"]) >= 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["seen.mp4", "tubes.json"]


def test_sharing_changes_nothing_but_the_time(
    video: Path, detector: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3d.infer.reuse import stages

    for cost in ("CALL_MACS", "BYTE_MACS", "LEAST_SAVING"):
        monkeypatch.setattr(stages, cost, 0)
    words = ("detect", video, "--model", detector, "--least-score", 0, "--json")
    shared = run(capsys, *words, tmp_path / "a.json")
    alone = run(capsys, *words, tmp_path / "b.json", "--no-sharing")
    assert ", shared up to " in shared
    assert "shared up to" not in alone
    one, other = (json.loads((tmp_path / n).read_text())["tubes"] for n in ("a.json", "b.json"))
    assert [t["frames"] for t in one] == [t["frames"] for t in other] != []
    for tube, same in zip(one, other, strict=True):
        np.testing.assert_allclose(tube["boxes"], same["boxes"], atol=0.15)
        np.testing.assert_allclose(tube["scores"], same["scores"], atol=1e-3)
        assert tube["labels"] == same["labels"]


def test_detect_may_only_print(
    video: Path, detector: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = run(capsys, "detect", video, "--model", detector, "--least-score", 1)
    assert text.startswith("0 people in 7 key frames, ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("streams", [("flow",), ("rgb", "flow")])
def test_every_frame_is_drawn_whatever_the_streams(
    video: Path, tmp_path: Path, capsys: Output, streams: tuple[str, ...]
) -> None:
    model, out = tmp_path / "model.safetensors", tmp_path / "seen.mkv"
    save_detector(model, make_detector(streams))
    run(capsys, "detect", video, "--model", model, "--out", out, "--stride", 8)
    assert count_frames(out) == 26


def know_two(video: Path, monkeypatch: pytest.MonkeyPatch) -> KnowingFinder:
    """Let the verb find two people: one of 26 frames, one who is there but once."""
    truth = {f: [((f, 10, f + 20, 50), (0.1, 0.8))] for f in range(26)}
    truth[8].append(((60, 10, 90, 50), (0.9, 0.0)))
    finder = know(KnowingFinder(make_detector(), truth), monkeypatch)
    monkeypatch.setattr("s3d.cli.detect.load_finder", lambda options: finder)
    return finder


def test_what_is_drawn_is_what_is_told(
    video: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    know_two(video, monkeypatch)
    drawn = list[list[object]]()
    from s3d.detect.run import detect

    draw = detect.draw_boxes
    monkeypatch.setattr(
        detect, "draw_boxes", lambda f, boxes, scale: drawn.append(boxes) or draw(f, boxes, scale)
    )
    words = ("detect", video, "--model", "m", "--out", tmp_path / "o.mp4", "--json")
    text = run(capsys, *words, tmp_path / "t.json")
    assert text.splitlines()[:2] == [
        "#1    right  0.80  0.00 s to 0.96 s", text.splitlines()[1]
    ]  # fmt: skip
    assert text.splitlines()[1].startswith("1 people in 7 key frames")
    (tube,) = json.loads((tmp_path / "t.json").read_text())["tubes"]
    assert tube["frames"] == list(range(0, 26, 4))
    assert tube["boxes"] == [[f, 10, f + 20, 50] for f in range(0, 26, 4)]
    # On every frame one box, where the person is on that very frame; the last one stands.
    assert [boxes[0].box[0] for boxes in drawn] == [*range(25), 24]
    assert {boxes[0].lines for boxes in drawn} == {("#1 right 0.80",)}


def test_a_file_of_uneven_times_keeps_its_times_and_its_people(
    tmp_path: Path, write_video: WriteVideo, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [*np.arange(40) / 100, *(0.4 + np.arange(12) / 5)]
    path = write_video(tmp_path / "v.mkv", drift(52), 25, times_seconds=times)
    truth = {f: [((20, 10, 40, 50), (0.1, 0.8))] for f in range(52)}
    finder = know(KnowingFinder(make_detector(), truth), monkeypatch)
    monkeypatch.setattr("s3d.cli.detect.load_finder", lambda options: finder)
    words = ("detect", path, "--model", "m", "--patience", 0, "--out", tmp_path / "o.mkv", "--json")
    text = run(capsys, *words, tmp_path / "t.json")
    assert "1 people in " in text
    (tube,) = json.loads((tmp_path / "t.json").read_text())["tubes"]
    assert tube["frames"] == sorted(set(tube["frames"]))
    assert tube["end_seconds"] == pytest.approx(times[tube["frames"][-1]], abs=2e-3)
    with av.open(str(tmp_path / "o.mkv")) as container:
        found = [float(frame.time) for frame in container.decode(video=0)]
    np.testing.assert_allclose(found, times, atol=2e-3)


def test_what_a_label_holds_cannot_reach_the_terminal(
    video: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = know_two(video, monkeypatch)
    finder.labels = ("a", "b\x1b[31m\nc")
    out = run(capsys, "detect", video, "--model", "m", "--out", tmp_path / "o.mp4")
    assert out.splitlines()[0].startswith("#1    b\\x1b[31m\\nc  0.80")


def test_several_things_at_once(
    video: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = {f: [((20, 10, 40, 50), (0.9, 0.7))] for f in range(26)}
    finder = know(KnowingFinder(make_detector(), truth), monkeypatch, multi_label=True)
    monkeypatch.setattr("s3d.cli.detect.load_finder", lambda options: finder)
    run(capsys, "detect", video, "--model", "m", "--json", tmp_path / "t.json")
    values = json.loads((tmp_path / "t.json").read_text())
    assert values["multi_label"] is True
    (tube,) = values["tubes"]
    assert [action["label"] for action in tube["actions"]] == ["left", "right"]
    assert tube["likely"] == [{"left": 0.9, "right": 0.7}] * 7


def test_converted_boxes_are_scored_as_before(
    figures: Path, tmp_path: Path, capsys: Output
) -> None:
    text = run(capsys, "convert-boxes", figures / "test.csv", "--out", tmp_path / "b.csv")
    assert text.startswith("videos   1\n")
    assert "classes  2: move_left, move_right" in text
    again = run(capsys, "convert-boxes", tmp_path / "b.csv", "--out", tmp_path / "c.csv")
    assert again.splitlines()[:3] == text.splitlines()[:3]
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()


def check_nothing_left(folder: Path, before: set[str]) -> None:
    assert {str(path) for path in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.mp4"], "none.mp4: no such file"),
        (["V", "--out", "missing/seen.mp4"], "missing: no such folder. Make it first."),
        (["V", "--json", "missing/t.json"], "missing: no such folder"),
        (["V", "--out", "seen.avi"], "seen.avi: an annotated video is written as .mp4 or .mkv"),
        (["V", "--out", "V"], "v.mp4: would be written over. Name another file."),
        (["V", "--out", "./folder/../v.mp4"], "v.mp4: would be written over"),
        (["V", "--json", "V"], "v.mp4: would be written over"),
        (["V", "--json", "M"], "model.safetensors: would be written over"),
        (["V", "--out", "a.mp4", "--json", "./a.mp4"], "a.mp4: would be written over"),
        (["V", "--json", "folder"], "folder: is a folder. Name a file."),
        (["V", "--stride", "0"], "stride is 0 frames; it needs to be from 1 to 1000."),
        (["V", "--stride", "x"], "argument --stride: invalid int value"),
        (["V", "--least-score", "2"], "least_score is 2.0; it needs to be 0 to 1."),
        (["V", "--least-score", "nan"], "least_score is nan"),
        (["V", "--patience", "-1"], "patience is -1.0 s"),
        (["V", "--engine", "torhc"], "unknown engine 'torhc'"),
        (["V", "--device", "tpu"], "unknown device 'tpu'"),
        (["broken.mp4", "--out", "seen.mp4", "--json", "t.json"], "broken.mp4: "),
    ],
)
def test_detect_refuses(
    video: Path, detector: Path, tmp_path: Path, capsys: Output,
    monkeypatch: pytest.MonkeyPatch, words: list[str], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("broken.mp4").write_bytes(b"no video")
    names = {"V": shutil.copy(video, "v.mp4"), "M": shutil.copy(detector, "model.safetensors")}
    before = {str(path) for path in tmp_path.rglob("*")}
    words = [str(names.get(word, word)) for word in words]
    assert said in refuse(capsys, "detect", *words, "--model", "model.safetensors")
    check_nothing_left(tmp_path, before)


def test_a_disk_that_will_not_take_it_leaves_nothing(
    video: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource
    import signal

    know_two(video, monkeypatch)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        words = ("detect", video, "--model", "m", "--out", tmp_path / "o.mp4")
        line = refuse(capsys, *words, "--json", tmp_path / "t.json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "cannot be written (File too large). Free some room" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["missing", "text", "foreign", "classifier"])
def test_files_that_are_no_detector(
    video: Path, figures: Path, tmp_path: Path, capsys: Output, kind: str
) -> None:
    import torch

    from s3d.clip import ClipSpec
    from s3d.models.model_file import ModelFile, save_model
    from s3d.models.network import build

    model = tmp_path / "model.safetensors"
    if kind == "text":
        model.write_text("hello")
    elif kind == "foreign":
        save_file({"weight": torch.zeros(2)}, model)
    elif kind == "classifier":
        network = build("s3d_fast", num_classes=2, width=0.1).eval()
        save_model(model, ModelFile(network, ("a", "b"), ClipSpec(4, 8, (32, 32), (32, 32))))
    for verb, source in (("detect", video), ("evaluate-detector", figures / "test.csv")):
        line = refuse(capsys, verb, source, "--model", model)
        assert line.startswith(f"s3d: {model}: ")
        if kind == "classifier":
            assert "what `s3d train` makes gives no boxes" in line


def test_a_detector_is_no_classifier(
    video: Path, colours: Path, detector: Path, capsys: Output
) -> None:
    for verb, source in (("predict", video), ("evaluate", colours)):
        line = refuse(capsys, verb, source, "--model", detector)
        assert line.startswith(f"s3d: {detector}: ")
        assert "s3d detect" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--protocol", "pascal"], "--protocol is 'pascal'; it is one of voc, act, coco."),
        (["--linking", "tracking"], "method of linking is 'tracking'. Known: online, viterbi."),
        (["--stride", "0"], "stride is 0 frames"),
        (["--part", "dev"], "unknown part 'dev'. Known: train, val, test, all."),
        (["--part", "val"], "has no videos of part 'val'"),
    ],
)
def test_evaluate_refuses(
    figures: Path, detector: Path, capsys: Output, words: list[str], said: str
) -> None:
    line = refuse(capsys, "evaluate-detector", figures / "test.csv", "--model", detector, *words)
    assert said in line


@pytest.mark.parametrize("verb", ["evaluate-detector", "train-detector", "convert-boxes"])
@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("boxes.txt", "", "boxes.txt: is no annotations of a known kind"),
        ("gone.csv", None, "gone.csv: "),
        ("boxes.csv", "path,label\na.mp4,x\n", "boxes.csv"),
        ("boxes.json", "{", "boxes.json: "),
        ("boxes.csv", "video,frame,x1,y1,x2,y2,label\nno.mp4,0,1,1,9,9,run\n", "not one annotated"),
    ],
)
def test_data_that_is_no_annotations(
    detector: Path, tmp_path: Path, capsys: Output, verb: str, name: str, text: str | None,
    said: str,
) -> None:  # fmt: skip
    data = tmp_path / name
    if text is not None:
        data.write_text(text)
    before = {str(path) for path in tmp_path.rglob("*")}
    words = ["--model", detector] if verb == "evaluate-detector" else ["--out", tmp_path / "out"]
    assert said in refuse(capsys, verb, data, *words)
    check_nothing_left(tmp_path, before)


def test_what_is_wrong_with_some_boxes_is_counted_and_the_rest_scored(
    video: Path, detector: Path, tmp_path: Path, capsys: Output
) -> None:
    shutil.copy(video, tmp_path / "v.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    rows = [
        "v.mp4,0,10,10,40,50,move_left", "v.mp4,1,11,10,41,50,move_left",
        "v.mp4,2,200,10,240,50,move_left", "v.mp4,3,10,10,10,50,move_left",
        "v.mp4,4,nan,10,40,50,move_left", "v.mp4,5,10,10,40,50,swim", "v.mp4,6,9,9,30,30,swim",
        "gone.mp4,0,10,10,40,50,move_left", "broken.mp4,0,10,10,40,50,move_left",
    ]  # fmt: skip
    head = "video,frame,x1,y1,x2,y2,label"
    data = tmp_path / "boxes.csv"
    data.write_text("\n".join([head, *rows]) + "\n")
    assert main(["evaluate-detector", str(data), "--model", str(detector)]) == 0
    out, err = capsys.readouterr()
    assert "of 1 videos" in out
    assert "video-mAP  none: " in out
    lines = err.splitlines()
    assert all(line.startswith("s3d: ") for line in lines)
    for part in (
        "1 boxes outside the picture left out; first: ",
        "1 boxes without width or height left out; first: ",
        "1 boxes that are not four numbers left out; first: ",
        "2 boxes of class 'swim', which the model does not know, left out; first: v.mp4",
    ):
        assert any(line.startswith(f"s3d: {part}") for line in lines), (part, err)
    assert any("gone.mp4" in line for line in lines)
    assert len(lines) <= 6


def test_a_video_that_breaks_later_is_told_and_the_others_are_scored(
    figures: Path, detector: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3d.detect.run import evaluate
    from s3d.errors import InputError

    look, count = evaluate.look_at_video, 0

    def fail_first(*parts: object) -> object:
        nonlocal count
        count += 1
        if count == 1:
            raise InputError("a.mp4: is broken.")
        return look(*parts)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluate, "look_at_video", fail_first)
    words = ["evaluate-detector", str(figures / "train.csv"), "--model", str(detector), "--json"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == "s3d: left out: a.mp4: is broken.\n"
    values = json.loads(out)
    assert (values["videos"], len(values["failures"])) == (1, 1)

    def always(*parts: object) -> object:
        raise InputError("a.mp4: is broken.")

    monkeypatch.setattr(evaluate, "look_at_video", always)
    line = refuse(capsys, *words)
    assert line == "s3d: not one of 2 videos can be read: a.mp4: is broken."


@pytest.mark.skipif(os.name != "posix", reason="other systems take only Unicode names")
def test_any_file_name_can_be_looked_at(
    video: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    know_two(video, monkeypatch)
    monkeypatch.chdir(tmp_path)
    name = f"-{os.fsdecode(bytes([255]))} a\n\u65e5.mp4"
    shutil.copy(video, name)
    out = run(capsys, "detect", name, "--model", "m", "--out", "s.mp4", "--json", "\u65e5.json")
    assert out.splitlines()[-1] == "\u65e5.json"
    said = json.loads(Path("\u65e5.json").read_text(encoding="utf-8"))["video"]
    assert said.removeprefix("./") == name
