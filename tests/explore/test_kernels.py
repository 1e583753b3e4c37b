"""Kernel weights per temporal offset: by hand, for every kind of layer and style."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from s3d.errors import InputError
from s3d.explore.analyse.kernel_report import report_kernels
from s3d.explore.analyse.kernels import KernelSpread, measure_change, measure_kernels
from s3d.explore.analyse.kernels_plot import draw_kernels
from s3d.explore.analyse.start import find_start
from s3d.models.blocks import CubeConv, SpaceToDepth
from s3d.models.family import LAYERS
from s3d.models.layers import Conv
from s3d.models.model_file import load_model
from s3d.models.network import Network, build
from s3d.models.style import MIL_NCE, Style
from tests.tiny import tiny_config


def make(name: str, style: str | Style = "paper") -> Network:
    torch.manual_seed(1)
    return build(name, num_classes=2, style=style, width=0.1)


def by_part(network: Network) -> dict[tuple[str, str], KernelSpread]:
    return {(one.layer, one.part): one for one in measure_kernels(network)}


def temporal(module: torch.nn.Module) -> Conv:
    (conv,) = [m for m in module.modules() if isinstance(m, Conv) and m.kernel[0] > 1]
    return conv


def fill(conv: Conv, *taps: float) -> None:
    """Set all weights of each temporal tap to one number."""
    with torch.no_grad():
        conv.weight.copy_(torch.tensor(taps).view(1, 1, -1, 1, 1).expand_as(conv.weight))


def test_quartiles_whiskers_and_spread_are_those_of_the_weights() -> None:
    network = make("s3d")
    conv = temporal(network.conv2c)
    values = torch.zeros(conv.weight[:, :, 0].numel())
    # -1, 0 and 1 in equal shares, and one that is far away.
    values[::3], values[1::3], values[0] = -1.0, 1.0, 100.0
    with torch.no_grad():
        conv.weight[:, :, 0] = values.view_as(conv.weight[:, :, 0])
    first = by_part(network)["conv2c", "layer"].offsets[0]
    n = len(values)
    assert (first.offset, first.lower_quartile, first.median, first.upper_quartile) == (
        -1,
        -1,
        0,
        1,
    )
    assert (first.lower_whisker, first.upper_whisker) == (-1, 1)  # 1.5 * 2 beyond the box: not 100
    ones, below = len(values[1::3]), len(values[::3]) - 1
    square = (ones + below + 100**2) / n
    assert first.root_mean_square == pytest.approx(math.sqrt(square))
    mean = (ones - below + 100) / n
    assert first.standard_deviation == pytest.approx(math.sqrt(square - mean**2))


def test_outer_taps_are_held_against_the_centre() -> None:
    network = make("s3d")
    fill(temporal(network.conv2c), 1, 2, -3)
    fill(temporal(network.conv1a), 0, 0, 1, 2, 1, 0, 0)
    found = by_part(network)
    assert found["conv2c", "layer"].outer_ratio == pytest.approx(math.sqrt((1 + 9) / 2) / 2)
    assert found["conv1a", "layer"].outer_ratio == pytest.approx(math.sqrt(2 / 6) / 2)
    assert [tap.offset for tap in found["conv1a", "layer"].offsets] == [-3, -2, -1, 0, 1, 2, 3]


def test_a_block_is_its_branches_1_and_2_together_and_each_apart() -> None:
    network = make("i3d")
    block = network.mixed4b
    one, two = temporal(block.branch1), temporal(block.branch2)
    fill(one, 1, 1, 1)
    fill(two, 3, 1, 3)
    found = by_part(network)
    n1, n2 = (conv.weight[:, :, 0].numel() for conv in (one, two))
    assert found["mixed4b", "layer"].weights == n1 + n2
    share = math.sqrt((n1 + 9 * n2) / (n1 + n2))
    assert found["mixed4b", "layer"].outer_ratio == pytest.approx(share)
    assert found["mixed4b", "branch1"].outer_ratio == 1
    assert found["mixed4b", "branch2"].outer_ratio == pytest.approx(3)
    assert ("mixed4b", "branch0") not in found


def test_branches_0_and_3_stand_apart_where_the_style_has_them() -> None:
    found = by_part(make("s3d", "paper"))
    parts = [part for layer, part in found if layer == "mixed3b"]
    assert parts == ["layer", "branch0", "branch1", "branch2", "branch3"]
    both = found["mixed3b", "branch1"].weights + found["mixed3b", "branch2"].weights
    assert found["mixed3b", "layer"].weights == both
    parts = [part for layer, part in by_part(make("s3d", "torchvision")) if layer == "mixed3b"]
    assert parts == ["layer", "branch1", "branch2"]


@pytest.mark.parametrize(
    ("name", "style", "layers", "stem"),
    [
        ("i3d", "torchvision", LAYERS, (7, 7, 7)),
        ("s3d_g", "paper", LAYERS, (7, 1, 1)),
        ("s3d", "slim", LAYERS, (3, 7, 7)),
        ("s3d_g", "mil_nce", LAYERS, (4, 8, 8)),
        ("i3d_top_4", "paper", LAYERS[4:], None),
        ("s3d_fast", "googlenet", LAYERS[9:], None),
        ("v2222222222", "paper", LAYERS[:1], (7, 7, 7)),
    ],
)
def test_layers_of_any_word_and_style(
    name: str, style: str, layers: tuple[str, ...], stem: tuple[int, int, int] | None
) -> None:
    found = [one for one in measure_kernels(make(name, style)) if one.part == "layer"]
    assert tuple(one.layer for one in found) == layers
    if stem is not None:
        assert found[0].kernel == stem
    assert all(len(one.offsets) == one.kernel[0] for one in found)


def test_slim_begins_as_an_image_network_with_the_outer_taps_at_zero() -> None:
    network = make("s3d", "slim")
    spread = by_part(network)["conv2c", "layer"]
    channels = temporal(network.conv2c.get_submodule("1")).weight.shape[0]
    assert spread.outer_ratio == 0
    assert spread.offsets[1].root_mean_square == pytest.approx(channels**-0.5)


def test_a_stem_on_cubes_is_measured_as_the_kernel_on_frames_that_it_is() -> None:
    from s3d.explore.analyse.kernels import _unfold

    torch.manual_seed(2)
    conv, clips = CubeConv((24, 5), MIL_NCE), torch.randn(1, 3, 6, 12, 12)
    on_cubes = F.conv3d(SpaceToDepth()(clips), conv.weight)
    torch.testing.assert_close(
        F.conv3d(clips, _unfold(conv.weight), stride=2), on_cubes, rtol=1e-4, atol=1e-4
    )
    spread = by_part(make("s3d", "mil_nce"))["conv1a", "layer"]
    assert [tap.offset for tap in spread.offsets] == [-1.5, -0.5, 0.5, 1.5]


def test_of_an_even_number_of_taps_the_middle_two_are_the_centre() -> None:
    network = make("s3d", Style(stem_frames=4))
    fill(temporal(network.conv1a), 1, 2, 2, 1)
    assert by_part(network)["conv1a", "layer"].outer_ratio == pytest.approx(0.5)


def test_a_network_that_sees_single_frames_is_refused() -> None:
    with pytest.raises(
        InputError, match="i2d has no temporal kernels: every layer looks at one frame"
    ):
        measure_kernels(make("i2d"))


def test_fresh_networks_stand_beside_and_are_the_same_each_time() -> None:
    network = make("s3d_fast", "slim")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Conv):
                module.weight.fill_(1.0)
    before = torch.get_rng_state()
    report = report_kernels(network)
    assert torch.equal(torch.get_rng_state(), before)
    assert report.fresh == report_kernels(make("s3d_fast", "slim")).fresh
    assert [(spread.outer_ratio, fresh) for spread, fresh in report.layers] == [(1, (0,) * 5)] * 2
    alike = report_kernels(make("s3d", "paper")).layers[-1][1]
    assert len(set(alike)) == 5
    assert all(0.9 < ratio < 1.1 for ratio in alike)


def test_a_change_is_measured_tap_by_tap() -> None:
    start, network = make("i3d"), make("i3d")
    conv = temporal(network.mixed3b.branch2)
    with torch.no_grad():
        conv.weight += torch.tensor([0.5, 0.25, 0.5]).view(1, 1, 3, 1, 1)
    found = {(one.layer, one.part): one for one in measure_change(network, start)}
    assert found["mixed3b", "branch2"].outer_ratio == pytest.approx(2, rel=1e-5)
    assert found["mixed3b", "branch2"].offsets[0].median == pytest.approx(0.5, rel=1e-5)
    assert found["mixed3b", "branch1"].offsets[0].root_mean_square == 0
    assert math.isnan(found["conv1a", "layer"].outer_ratio)
    report = report_kernels(network, start)
    values = {(one["layer"], one["part"]): one for one in report.to_json()["kernels"]}
    assert values["mixed3b", "branch2"]["change_root_mean_squares"] == [0.5, 0.25, 0.5]
    assert values["conv1a", "layer"]["change_outer_ratio"] is None
    assert [r["change_root_mean_square"] for r in report.to_rows() if r["part"] == "branch2"][
        :3
    ] == ["0.5", "0.25", "0.5"]
    assert draw_kernels(report).startswith(b"\x89PNG")


def test_a_start_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"the start is i3d of width 0\.1, the model s3d of width"):
        measure_change(make("s3d"), make("i3d"))


def test_what_a_run_began_with_is_made_anew_from_its_seed(tiny_run: Path, tmp_path: Path) -> None:
    begun = tmp_path / "run"
    config = tiny_config(tmp_path, begun)  # the options of tiny_run, but for its epochs
    after = load_model(tiny_run / "model.safetensors").network
    start = find_start(tiny_run / "model.safetensors", after)
    assert start is not None
    torch.manual_seed(config.seed)
    wanted = build("s3d_fast", num_classes=2, width=config.width or 1)
    for key, value in start.state_dict().items():
        if "head" not in key:
            assert torch.equal(value, wanted.state_dict()[key])
    change = measure_change(after, start)[0].offsets[1].root_mean_square
    assert 0 < change < 0.7 * measure_kernels(after)[0].offsets[1].root_mean_square


def test_without_a_run_from_scratch_no_start_is_known(tiny_run: Path, tmp_path: Path) -> None:
    model = shutil.copy(tiny_run / "model.safetensors", tmp_path)
    network = load_model(model).network
    assert find_start("s3d-kinetics400", network) is None
    assert find_start(model, network) is None
    values = json.loads((tiny_run / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(values))
    assert find_start(model, network) is not None
    assert find_start(model, make("s3d")) is None
    values["plan"]["start"] = {"init": "other"}
    (tmp_path / "run.json").write_text(json.dumps(values))
    assert find_start(model, network) is None
    (tmp_path / "run.json").write_text("[]")
    assert find_start(model, network) is None


def test_json_and_rows_hold_every_number() -> None:
    network = make("s3d_fast", "torchvision")
    fill(temporal(network.mixed5b.branch1), 1, 2, 3)
    fill(temporal(network.mixed5b.branch2), 0, 0, 0)
    report = report_kernels(network)
    values = json.loads(json.dumps(report.to_json(), allow_nan=False))
    parts = {(one["layer"], one["part"]): one for one in values["kernels"]}
    assert parts["mixed5b", "branch1"]["outer_ratio"] == pytest.approx(math.sqrt(5) / 2, abs=1e-5)
    assert parts["mixed5b", "branch2"]["outer_ratio"] is None  # nothing against nothing
    rows = report.to_rows()
    assert len(rows) == 2 * 3 * 3
    assert [row["median"] for row in rows if row["part"] == "branch1"][:3] == ["1", "2", "3"]
    assert {row["kernel"] for row in rows} == {"3x1x1"}


@pytest.mark.parametrize("name", ["s3d", "s3d_fast"])
def test_the_picture_is_drawn_without_a_warning(name: str) -> None:
    import io

    from matplotlib.image import imread

    network = make(name, "mil_nce")
    fill(temporal(network.mixed5b.branch1), 0, 0, 0)
    fill(temporal(network.mixed5b.branch2), 0, 0, 0)
    picture = imread(io.BytesIO(draw_kernels(report_kernels(network), "$a_b$ 日本")))
    assert picture.shape[1] > 1000
    assert np.ptp(picture) > 0.5
