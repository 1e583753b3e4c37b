"""The conventions of published code, and what is refused as one."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from s3d.errors import InputError
from s3d.models.style import MIL_NCE, PAPER, SLIM, STYLES, TORCHVISION, Style, find_style


def test_styles_are_found_by_name_and_as_they_are() -> None:
    assert [find_style(name) for name in STYLES] == list(STYLES.values())
    own = replace(SLIM, dropout=0.5)
    assert find_style(own) is own


def test_published_choices() -> None:
    assert PAPER.separable_branches == (0, 1, 2, 3)
    assert (PAPER.gate_place, PAPER.gate_has_bias) == ("temporal", True)
    assert (TORCHVISION.separable_branches, TORCHVISION.norm_epsilon) == ((1, 2), 1e-3)
    assert (SLIM.stem, SLIM.temporal_norm, SLIM.temporal_init) == ("full", "bias", "identity")
    assert not SLIM.norm_has_scale
    assert (MIL_NCE.stem, MIL_NCE.head, MIL_NCE.norm_epsilon) == ("space_to_depth", "global", 1e-5)


@pytest.mark.parametrize("name", STYLES)
def test_a_style_survives_json(name: str) -> None:
    assert Style.from_json(json.loads(json.dumps(STYLES[name].to_json()))) == STYLES[name]


def test_an_unknown_style_names_its_near_one() -> None:
    with pytest.raises(
        InputError, match=r"unknown style 'slimm'\. Did you mean slim\? Known: paper, "
    ):
        find_style("slimm")
    with pytest.raises(InputError, match="style is 3; it needs a name or a Style"):
        find_style(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", [f.name for f in fields(Style)])
@pytest.mark.parametrize("value", ["odd", None, float("nan"), -1, 99, [], [[]], {}, ("a",)])
def test_each_field_refuses_what_it_is_not(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^Style {field} is "):
        replace(PAPER, **{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stem_frames", True),
        ("stem_frames", 7.0),
        ("gate_has_bias", 1),
        ("separable_branches", (1.0, 2.0)),
        ("separable_branches", [1, 2]),
        ("dropout", True),
        ("dropout", 1.0),
    ],
)
def test_equal_is_not_enough_where_kinds_differ(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^Style {field} is "):
        replace(PAPER, **{field: value})


def test_a_whole_number_is_a_number() -> None:
    assert replace(PAPER, dropout=0).dropout == 0


@pytest.mark.parametrize("values", [None, [], {}, {"stem": "full"}, {**PAPER.to_json(), "more": 1}])
def test_json_of_other_fields_is_refused(values: Any) -> None:
    with pytest.raises(
        InputError, match="a style needs exactly the fields dropout, fewest_channels"
    ):
        Style.from_json(values)
