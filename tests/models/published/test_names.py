"""Under which names publishers keep their tensors: as their files have them, letter for letter."""

from __future__ import annotations

import pytest

from s3d.errors import InputError
from s3d.models.published.garden_names import names_in_garden, settle_garden
from s3d.models.published.places import Place
from s3d.models.published.sources import SOURCES, guess_source
from s3d.models.published.tf_names import Locate, names_in_deepmind, names_in_slim
from s3d.models.style import GARDEN
from tests.models.published.publish import KERAS, make_network, publish

STEM, CONV2B = Place("conv1a", None, "space"), Place("conv2b", None, "space")
PAIR, TIME2C = Place("conv2c", None, "space"), Place("conv2c", None, "time")
GATE2C, HEAD = Place("conv2c", None, "gate"), Place("head", None, "classifier")


def mixed(block: str, branch: int | None, part: str) -> Place:
    return Place(f"mixed{block}", branch, part)


NAMES = {
    "torchvision": {
        "features.0.0.0.weight": (STEM, "weight"),
        "features.0.1.1.running_var": (Place("conv1a", None, "time"), "norm.running_var"),
        "features.2.0.weight": (CONV2B, "weight"),
        "features.2.1.bias": (CONV2B, "norm.bias"),
        "features.3.1.0.weight": (TIME2C, "weight"),
        "features.5.branch0.0.weight": (mixed("3b", 0, "space"), "weight"),
        "features.6.branch1.0.1.weight": (mixed("3c", 1, "reduce"), "norm.weight"),
        "features.8.branch2.1.0.0.weight": (mixed("4b", 2, "space"), "weight"),
        "features.15.branch2.1.1.1.running_mean": (mixed("5c", 2, "time"), "norm.running_mean"),
        "features.12.branch3.1.0.weight": (mixed("4f", 3, "space"), "weight"),
        "classifier.1.bias": (HEAD, "bias"),
        "": (GATE2C, "weight"),
    },
    "kylemin": {
        "base.0.conv_s.weight": (STEM, "weight"),
        "base.0.bn_t.running_var": (Place("conv1a", None, "time"), "norm.running_var"),
        "base.2.conv.weight": (CONV2B, "weight"),
        "base.3.bn_s.bias": (PAIR, "norm.bias"),
        "base.5.branch0.0.conv.weight": (mixed("3b", 0, "space"), "weight"),
        "base.6.branch1.0.bn.weight": (mixed("3c", 1, "reduce"), "norm.weight"),
        "base.8.branch2.1.conv_s.weight": (mixed("4b", 2, "space"), "weight"),
        "base.15.branch2.1.bn_t.running_mean": (mixed("5c", 2, "time"), "norm.running_mean"),
        "base.12.branch3.1.conv.weight": (mixed("4f", 3, "space"), "weight"),
        "fc.0.bias": (HEAD, "bias"),
        "": (mixed("3b", 1, "gate"), "weight"),
    },
    "piergiaj": {
        "Conv3d_1a_7x7.conv3d.weight": (STEM, "weight"),
        "Conv3d_2b_1x1.bn.bias": (CONV2B, "norm.bias"),
        "Conv3d_2c_3x3.conv3d.weight": (PAIR, "weight"),
        "Mixed_3b.b0.conv3d.weight": (mixed("3b", 0, "space"), "weight"),
        "Mixed_3c.b1a.bn.weight": (mixed("3c", 1, "reduce"), "norm.weight"),
        "Mixed_4b.b2b.conv3d.weight": (mixed("4b", 2, "space"), "weight"),
        "Mixed_5c.b3b.bn.running_mean": (mixed("5c", 3, "space"), "norm.running_mean"),
        "logits.conv3d.bias": (HEAD, "bias"),
        "": (TIME2C, "weight"),
    },
    "mil-nce": {
        "conv1.conv1.weight": (STEM, "weight"),
        "conv_2b.bn1.bias": (CONV2B, "norm.bias"),
        "conv_2c.conv2.weight": (TIME2C, "weight"),
        "gating.fc.weight": (GATE2C, "weight"),
        "mixed_3b.conv_b0.conv1.weight": (mixed("3b", 0, "space"), "weight"),
        "mixed_3c.conv_b1_a.bn1.weight": (mixed("3c", 1, "reduce"), "norm.weight"),
        "mixed_4b.conv_b2_b.conv1.weight": (mixed("4b", 2, "space"), "weight"),
        "mixed_4b.conv_b2_b.bn2.running_var": (mixed("4b", 2, "time"), "norm.running_var"),
        "mixed_5c.conv_b3_b.bn1.running_mean": (mixed("5c", 3, "space"), "norm.running_mean"),
        "mixed_4f.gating_b3.fc.bias": (mixed("4f", 3, "gate"), "bias"),
        "fc.bias": (HEAD, "bias"),
        "": (mixed("4f", None, "gate"), "weight"),
    },
    "ibm": {
        "conv1.conv.weight": (STEM, "weight"),
        "conv2.bn.bias": (CONV2B, "norm.bias"),
        "conv3.conv_t.weight": (TIME2C, "weight"),
        "inception3a.branch1.conv.weight": (mixed("3b", 0, "space"), "weight"),
        "inception3b.branch2.0.bn.weight": (mixed("3c", 1, "reduce"), "norm.weight"),
        "inception4a.branch3.1.conv.weight": (mixed("4b", 2, "space"), "weight"),
        "inception4e.branch3.1.bn_t.running_var": (mixed("4f", 2, "time"), "norm.running_var"),
        "inception5b.branch4.1.bn.running_mean": (mixed("5c", 3, "space"), "norm.running_mean"),
        "fc.bias": (HEAD, "bias"),
        "": (GATE2C, "weight"),
    },
}


@pytest.mark.parametrize("source", NAMES)
def test_names_of_pytorch_s_modules(source: str) -> None:
    locate = SOURCES[source].locate({})
    assert {locate(*where): where for where in NAMES[source].values()} == NAMES[source]


def check_names(locate: Locate, wanted: dict[str, tuple[Place, str]]) -> None:
    assert {locate(*where): where for where in wanted.values()} == wanted


def test_names_of_slim() -> None:
    top = "InceptionV1/"
    locate = names_in_slim(["global_step", f"{top}Conv2d_1a_7x7/weights"])
    check_names(
        locate,
        {
            f"{top}Conv2d_1a_7x7/weights": (STEM, "weight"),
            f"{top}Conv2d_2b_1x1/BatchNorm/beta": (CONV2B, "norm.bias"),
            f"{top}Conv2d_2b_1x1/BatchNorm/gamma": (CONV2B, "norm.weight"),
            f"{top}Conv2d_2c_3x3/temporal/weights": (TIME2C, "weight"),
            f"{top}Conv2d_2c_3x3/temporal/biases": (TIME2C, "bias"),
            f"{top}Conv2d_2c_3x3/self_gating/transformer_W/weights": (GATE2C, "weight"),
            f"{top}Mixed_3b/Branch_0/Conv2d_0a_1x1/weights": (mixed("3b", 0, "space"), "weight"),
            f"{top}Mixed_3c/Branch_1/Conv2d_0a_1x1/BatchNorm/moving_mean": (
                mixed("3c", 1, "reduce"),
                "norm.running_mean",
            ),
            f"{top}Mixed_5b/Branch_2/Conv2d_0b_3x3/weights": (mixed("5b", 2, "space"), "weight"),
            f"{top}Mixed_5b/Branch_2/Conv2d_0b_3x3/temporal/weights": (
                mixed("5b", 2, "time"),
                "weight",
            ),
            f"{top}Mixed_4f/Branch_0/Conv2d_0a_1x1/self_gating/transformer_W/weights": (
                mixed("4f", 0, "gate"),
                "weight",
            ),
            f"{top}Mixed_4f/Branch_3/Conv2d_0b_1x1/BatchNorm/moving_variance": (
                mixed("4f", 3, "space"),
                "norm.running_var",
            ),
            f"{top}Logits/Conv2d_0c_1x1/biases": (HEAD, "bias"),
        },
    )


@pytest.mark.parametrize("top", ["RGB/inception_i3d/", "Flow/inception_i3d/", ""])
@pytest.mark.parametrize("letter", ["a", "b"])
def test_names_of_deepmind(top: str, letter: str) -> None:
    # Their mixed5b's branch 2 says 0a_3x3 where all others say 0b_3x3.
    odd = f"{top}Mixed_5b/Branch_2/Conv3d_0{letter}_3x3/conv_3d/w"
    locate = names_in_deepmind([f"{top}Conv3d_1a_7x7/conv_3d/w", odd])
    check_names(
        locate,
        {
            f"{top}Conv3d_1a_7x7/conv_3d/w": (STEM, "weight"),
            f"{top}Conv3d_2b_1x1/batch_norm/moving_variance": (CONV2B, "norm.running_var"),
            f"{top}Mixed_3b/Branch_0/Conv3d_0a_1x1/conv_3d/w": (mixed("3b", 0, "space"), "weight"),
            f"{top}Mixed_4b/Branch_2/Conv3d_0b_3x3/batch_norm/beta": (
                mixed("4b", 2, "space"),
                "norm.bias",
            ),
            odd: (mixed("5b", 2, "space"), "weight"),
            f"{top}Mixed_5b/Branch_3/Conv3d_0b_1x1/conv_3d/w": (mixed("5b", 3, "space"), "weight"),
            f"{top}Logits/Conv3d_0c_1x1/conv_3d/b": (HEAD, "bias"),
        },
    )


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("pool_comes_first", [True, False])
@pytest.mark.parametrize("temporal_first", [True, False])
def test_names_of_the_garden(gated: bool, pool_comes_first: bool, temporal_first: bool) -> None:
    home, first = "backbone/layer_with_weights-", 6 if gated else 5
    last = f"{first + 8}/_branch_"
    swapped = 1 if pool_comes_first else 0
    space, time = (3, 0) if temporal_first else (0, 3)
    shapes: dict[str, tuple[int, ...]] = {f"model/layer_with_weights-1/kernel{KERAS}": (5, 1024)}
    shapes |= {f"{home}0/kernel{KERAS}": (64, 3, 3, 7, 7)}
    for number in range(first, first + 9):
        shapes[f"{home}{number}/_branch_0_layers/0/kernel{KERAS}"] = (1, 1, 1, 1, 1)
        shapes[f"{home}{number}/_branch_3_layers/{swapped}/kernel{KERAS}"] = (1, 1, 1, 1, 1)
    pair = "_branch_1_layers/3/_parameterized_conv_layers"
    kernel = (1, 1, 3, 1, 1) if temporal_first else (1, 1, 1, 3, 3)
    shapes[f"{home}{first}/{pair}/0/kernel{KERAS}"] = kernel
    wanted = {
        f"{home}0/kernel": (STEM, "weight"),
        f"{home}1/beta": (STEM, "norm.bias"),
        f"{home}2/kernel": (CONV2B, "weight"),
        f"{home}3/moving_variance": (CONV2B, "norm.running_var"),
        f"{home}4/_parameterized_conv_layers/{space}/kernel": (PAIR, "weight"),
        f"{home}4/_parameterized_conv_layers/{time + 1}/beta": (TIME2C, "norm.bias"),
        f"{home}{first}/_branch_0_layers/1/moving_mean": (
            mixed("3b", 0, "space"),
            "norm.running_mean",
        ),
        f"{home}{last}1_layers/0/kernel": (mixed("5c", 1, "reduce"), "weight"),
        f"{home}{last}2_layers/3/_parameterized_conv_layers/{time}/kernel": (
            mixed("5c", 2, "time"),
            "weight",
        ),
        f"{home}{last}3_layers/{swapped}/kernel": (mixed("5c", 3, "space"), "weight"),
        f"{home}{last}3_layers/{swapped + 1}/beta": (mixed("5c", 3, "space"), "norm.bias"),
        f"{home}{last}0_layers/3/_transformer_w/kernel": (mixed("5c", 0, "gate"), "weight"),
        f"{home}{last}3_layers/4/_transformer_w/bias": (mixed("5c", 3, "gate"), "bias"),
        f"{home}{first + 8}/cell_self_gating/_transformer_w/bias": (
            mixed("5c", None, "gate"),
            "bias",
        ),
        f"{home}5/_transformer_w/kernel": (GATE2C, "weight"),
        "model/layer_with_weights-1/kernel": (HEAD, "weight"),
        "model/layer_with_weights-1/bias": (HEAD, "bias"),
    }
    check_names(names_in_garden(shapes), {f"{n}{KERAS}": where for n, where in wanted.items()})
    style = settle_garden(shapes, GARDEN, "")
    assert (style.pool_comes_first, style.temporal_first) == (pool_comes_first, temporal_first)


@pytest.mark.parametrize("kernel", [(1, 1, 3), (1, 3, 1)])
def test_convolutions_split_along_each_axis_are_refused(kernel: tuple[int, ...]) -> None:
    name = f"backbone/layer_with_weights-4/_parameterized_conv_layers/0/kernel{KERAS}"
    with pytest.raises(InputError, match=r"type 1\+1\+1d are not part of this family"):
        settle_garden({name: (192, 64, *kernel)}, GARDEN, "")


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_is_guessed_by_its_own_names_alone(source: str) -> None:
    word = "3" * 11 if source in ("piergiaj", "deepmind") else "s" * 11
    network = make_network(word, SOURCES[source].style, width=0.02)
    names = dict.fromkeys(publish(network, source), (1,))
    assert guess_source(names) == source
    marks = SOURCES[source].marks
    for mark in marks:
        fewer = {name: shape for name, shape in names.items() if mark not in name}
        assert guess_source(fewer) is None, mark
