"""The clip contract: what it says, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from s3d.clip import ClipSpec
from s3d.errors import InputError

FLOW = ClipSpec(modality="flow", mean=(0.5, 0.5), std=(0.5, 0.5))


def test_the_default_is_the_paper_s_clip() -> None:
    spec = ClipSpec()
    assert (spec.frames, spec.rate_fps, spec.resize, spec.modality) == (64, 25.0, "squash", "rgb")
    assert (spec.resize_px, spec.size_px) == ((256, 256), (224, 224))
    assert spec.value_range == (-1.0, 1.0)
    assert spec.channels == 3
    assert spec.span_seconds == 2.56


def test_the_value_range_is_over_all_channels() -> None:
    kinetics = ClipSpec(mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989))
    low, high = kinetics.value_range
    assert low == pytest.approx(-0.43216 / 0.22803)
    assert high == pytest.approx((1 - 0.37645) / 0.216989)


def test_flow_has_two_channels() -> None:
    assert FLOW.channels == 2


def test_a_contract_is_told_in_a_few_words() -> None:
    spec = ClipSpec(frames=16, rate_fps=12.5, resize_px=(64, 80), size_px=(48, 64))
    assert spec.describe() == "16 frames at 12.5 fps (1.3 s), 64 x 48 px, rgb"


@pytest.mark.parametrize("spec", [ClipSpec(), FLOW, ClipSpec(frames=1, resize="keep")])
def test_a_contract_survives_json(spec: ClipSpec) -> None:
    assert ClipSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize("values", [None, 3, [], {}, {"frames": 8}])
def test_json_of_other_fields_is_refused(values: Any) -> None:
    with pytest.raises(InputError, match="a clip contract needs exactly the fields flow_method,"):
        ClipSpec.from_json(values)


def test_a_contract_from_before_flow_said_how_it_was_made_is_read() -> None:
    values = FLOW.to_json()
    del values["flow_method"], values["flow_side_px"]
    assert ClipSpec.from_json(values) == FLOW


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(InputError, match="needs exactly the fields"):
        ClipSpec.from_json({**ClipSpec().to_json(), "fps": 25})


@pytest.mark.parametrize("field", [f.name for f in fields(ClipSpec)])
@pytest.mark.parametrize(
    "value",
    [None, "odd\n", True, -1, float("nan"), float("inf"), 10**400, (), (1,), (1, "2"), ([], [])],
)
def test_each_field_refuses_what_it_is_not(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=r"^ClipSpec ") as caught:
        replace(ClipSpec(), **{field: value})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 0}, "frames is 0; it needs a whole number from 1 to 4096"),
        ({"frames": 4097}, "frames is 4097"),
        ({"frames": 8.0}, r"frames is 8\.0; it needs a whole number"),
        ({"rate_fps": 0}, r"rate_fps is 0; it needs a number from 0\.01 to 1000\.0"),
        ({"size_px": (224, 0)}, "size_px is 0"),
        ({"size_px": [224, 224]}, r"size_px is \[224, 224\]; it needs \(height, width\)"),
        ({"size_px": (224, 224, 3)}, r"size_px is \(224, 224, 3\); it needs \(height, width\)"),
        ({"size_px": (256, 257)}, r"crops \(256, 257\) from frames resized to \(256, 256\)"),
        ({"size_px": (257, 256)}, r"crops .*resize_px must be at least size_px"),
        ({"std": (0.5, 0, 0.5)}, "std is 0; it needs"),
        ({"mean": (0.5, 0.5)}, r"mean is \(0\.5, 0\.5\); rgb needs 3 values, one a channel"),
        ({"modality": "flow"}, "mean is .*; flow needs 2 values, one a channel"),
        ({"modality": "depth"}, "modality is 'depth'; it is 'rgb' or 'flow'"),
        ({"resize": "crop"}, "resize is 'crop'; it is 'keep' or 'squash'"),
    ],
)
def test_what_is_refused_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^ClipSpec {message}"):
        replace(ClipSpec(), **change)
