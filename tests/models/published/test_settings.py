"""A network's word, style and width are read from the shapes of its tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from s3d.errors import InputError
from s3d.models.network import build
from s3d.models.published.places import Place
from s3d.models.published.settings import Layout, Settings, read_settings
from s3d.models.published.sources import SOURCES
from s3d.models.style import LATER_FIELDS, PAPER, STYLES, Style
from tests.models.published.publish import find_locate, publish

S3D, S3D_G, I3D = "s" * 11, "s" + "g" * 10, "3" * 11


def make_shapes(
    source: str, word: str = S3D, width: float = 1.0, channels: int = 3, **changes: Any
) -> dict[str, tuple[int, ...]]:
    """Return the shapes that a source's file of a network has, by published name."""
    style = replace(SOURCES[source].style, **changes)
    with torch.device("meta"):
        network = build(word, num_classes=7, style=style, width=width, channels=channels)
    return {name: tuple(tensor.shape) for name, tensor in publish(network, source).items()}


def read(source: str, shapes: dict[str, tuple[int, ...]]) -> Settings:
    locate = SOURCES[source].locate(shapes)
    return read_settings(Layout(shapes, locate, "file"), SOURCES[source].style)


@pytest.mark.parametrize("width", [0.1, 0.25, 0.3, 0.5, 0.75, 1, 1.25, 1.5, 2, 3.7, 8])
@pytest.mark.parametrize("source", ["slim", "tf-garden", "torchvision"])
def test_the_width_is_the_simplest_that_gives_the_channels(source: str, width: float) -> None:
    found = read(source, make_shapes(source, S3D_G if source != "torchvision" else S3D, width))
    assert (found.width, found.classes, found.channels) == (width, 7, 3)
    assert found.style == SOURCES[source].style


@pytest.mark.parametrize("width", [1 / 3, 0.123456789, 2**0.5, 0.07, 0.013])
def test_a_width_of_many_decimals_gives_the_same_channels(width: float) -> None:
    for fewest in (1, 16):
        shapes = make_shapes("slim", width=width, fewest_channels=fewest)
        found = read("slim", shapes)
        again = make_shapes("slim", width=found.width, fewest_channels=found.style.fewest_channels)
        assert again == shapes


@pytest.mark.parametrize("width", [0.01, 0.02, 0.04])
def test_the_smallest_widths_leave_every_layer_at_the_fewest(width: float) -> None:
    found = read("slim", make_shapes("slim", width=width))
    assert (found.width, found.style.fewest_channels) == (0.01, 16)


@pytest.mark.parametrize(
    ("source", "fewest"), [("slim", 4), ("slim", 8), ("slim", 15), ("tf-garden", 16)]
)
def test_another_floor_than_the_source_s_is_found(source: str, fewest: int) -> None:
    found = read(source, make_shapes(source, width=0.25, fewest_channels=fewest))
    assert (found.width, found.style.fewest_channels) == (0.25, fewest)


def test_a_width_that_says_nothing_of_the_floor_keeps_the_source_s() -> None:
    assert read("slim", make_shapes("slim", width=2)).style.fewest_channels == 16
    assert read("tf-garden", make_shapes("tf-garden", width=2)).style.fewest_channels == 1


@pytest.mark.parametrize("source", ["slim", "torchvision", "mil-nce"])
@pytest.mark.parametrize("layer", ["conv1a", "mixed4d"])
def test_channels_of_no_width_are_refused(source: str, layer: str) -> None:
    shapes = make_shapes(source, S3D)
    network = build(S3D, num_classes=7, style=SOURCES[source].style, width=0.02)
    locate = find_locate(network, source, "")
    name = locate(Place(layer, 1 if "mixed" in layer else None, "space"), "weight")
    shapes[name] = (shapes[name][0] + 7, *shapes[name][1:])
    with pytest.raises(InputError, match=r"^file: no width makes the channels of its layers"):
        read(source, shapes)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_channels_of_a_clip_are_read_through_cubes_too(channels: int) -> None:
    for source in ("torchvision", "mil-nce"):
        assert read(source, make_shapes(source, channels=channels)).channels == channels
    whole = make_shapes("mil-nce", S3D_G, channels=channels, stem="full", stem_frames=3)
    found = read("mil-nce", whole)
    assert (found.channels, found.style.stem) == (channels, "full")


@pytest.mark.parametrize(
    ("source", "word", "changes"),
    [
        ("slim", S3D_G, {"gate_has_bias": True}),
        ("slim", "3vvvv333333", {"gate_has_bias": True}),
        ("slim", S3D, {"norm_has_scale": True}),
        ("slim", S3D, {"temporal_norm": "batch"}),
        ("tf-garden", S3D, {"norm_has_scale": True}),
        ("tf-garden", S3D_G, {"gate_place": "branch_and_concat", "gate_has_bias": False}),
        ("torchvision", S3D, {"stem": "full", "stem_frames": 5}),
        ("torchvision", S3D, {"stem_frames": 5}),
        ("torchvision", S3D, {"norm_has_scale": False}),
        ("piergiaj", I3D, {"norm_has_scale": False}),
        ("mil-nce", S3D_G, {"gate_has_bias": False}),
    ],
)
def test_what_tensors_show_overrides_the_source_s_style(
    source: str, word: str, changes: dict[str, Any]
) -> None:
    found = read(source, make_shapes(source, word, **changes))
    assert found.word == word
    assert found.style == replace(SOURCES[source].style, **changes)


def test_only_conv2c_gated_keeps_the_gate_s_place() -> None:
    found = read("slim", make_shapes("slim", "sg" + "s" * 9))
    assert found.word == "sg" + "s" * 9
    assert found.style.gate_place == "branch"


STEM = "features.0.0.0.weight"
HEAD = "classifier.1.weight"


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (HEAD, None, f"tensor '{HEAD}' is missing"),
        (HEAD, (), f"tensor '{HEAD}' has no axes"),
        (STEM, None, f"tensor '{STEM}' is missing"),
        (STEM, (64, 3, 7, 7), "has shape \\(64, 3, 7, 7\\); a video network's kernel has 5 axes"),
        (STEM, (), "has shape \\(\\); a video network's kernel has 5 axes"),
        ("features.9.branch1.1.0.0.weight", None, "'features.9.branch1.1.0.0.weight' is missing"),
        ("features.0.1.0.weight", (64, 64, 99, 1, 1), "Style stem_frames is 99"),
    ],
)
def test_what_is_no_network_is_refused(
    name: str, shape: tuple[int, ...] | None, message: str
) -> None:
    shapes = make_shapes("torchvision")
    del shapes[name]
    if shape is not None:
        shapes[name] = shape
    with pytest.raises(InputError, match=message):
        read("torchvision", shapes)


@pytest.mark.parametrize("kernel", [(2, 7, 7), (9, 7, 7), (3, 5, 5), (3, 7, 5), (2, 4, 4)])
def test_a_first_kernel_of_no_stem_is_refused(kernel: tuple[int, ...]) -> None:
    shapes = make_shapes("slim")
    shapes["Conv2d_1a_7x7/weights"] = (64, 3, *kernel)
    with pytest.raises(InputError, match=r"^file: its first convolution has shape \(64, 3, "):
        read("slim", shapes)


# Styles of files that were written before some of their fields were there


@pytest.mark.parametrize("name", STYLES)
def test_a_style_without_its_later_fields_is_as_it_always_was(name: str) -> None:
    values = {k: v for k, v in STYLES[name].to_json().items() if k not in LATER_FIELDS}
    old = {field: getattr(PAPER, field) for field in LATER_FIELDS}
    assert Style.from_json(values) == replace(STYLES[name], **old)
    assert old == {
        "temporal_first": False,
        "pool_follows_letter": True,
        "last_pool": 2,
        "time_strides": "paper",
        "fewest_channels": 16,
    }


@pytest.mark.parametrize("field", sorted(set(PAPER.to_json()) - LATER_FIELDS))
def test_an_earlier_field_may_not_be_missing(field: str) -> None:
    values = {k: v for k, v in PAPER.to_json().items() if k != field}
    with pytest.raises(InputError, match="a style needs exactly the fields"):
        Style.from_json(values)
