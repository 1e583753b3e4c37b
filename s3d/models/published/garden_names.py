"""Under which names the TF Model Garden's checkpoints keep the weights of a place.

They number what they hold: `backbone/layer_with_weights-6/_branch_1_layers/3/...`.
"""

from __future__ import annotations

import re
from dataclasses import replace

from s3d.errors import InputError
from s3d.models.blocks import INCEPTION
from s3d.models.published.places import Place
from s3d.models.published.settings import Shapes
from s3d.models.published.tf_names import NORM_LEAVES, Locate
from s3d.models.style import Style

_END = "/.ATTRIBUTES/VARIABLE_VALUE"
_FIRST = "layer_with_weights-0/kernel" + _END
_NUMBER = re.compile(r"layer_with_weights-(\d+)/_branch_0_layers/")


def names_in_garden(shapes: Shapes) -> Locate:
    """Return what finds the garden's names in a checkpoint of these variables."""
    scope = _find_scope(shapes)
    numbers = {int(n) for name in shapes if name.startswith(scope) for n in _NUMBER.findall(name)}
    cells = dict(zip(INCEPTION, sorted(numbers), strict=False))
    pool_comes_first = _pools_first(shapes)
    temporal_first = _temporal_comes_first(shapes)
    found = (n for n in shapes if n.endswith(f"/kernel{_END}") and len(shapes[n]) == 2)
    dense = next(found, f"model/layer_with_weights-1/kernel{_END}")

    def locate(place: Place, leaf: str) -> str:
        if place.part == "classifier":
            return dense if leaf == "weight" else dense.replace("/kernel/", "/bias/")
        if place.block in INCEPTION:
            home = f"{scope}layer_with_weights-{cells.get(place.block, -1)}/"
            return home + _in_cell(place, leaf, pool_comes_first, temporal_first)
        return scope + _in_stem(place, leaf, temporal_first)

    return locate


def settle_garden(shapes: Shapes, style: Style, arch: str) -> Style:
    """Return the style that a checkpoint's variables show.

    Raises:
        InputError: Its convolutions are split along height and width too.
    """
    for name, shape in shapes.items():
        if "_parameterized_conv_layers/0/kernel" in name and shape[2:] in ((1, 1, 3), (1, 3, 1)):
            raise InputError(
                f"{name!r} has shape {shape}: convolutions of type 1+1+1d are not part of this "
                "family; 2d, 3d, 2+1d and 1+2d are read."
            )
    return replace(
        style,
        pool_comes_first=_pools_first(shapes),
        temporal_first=_temporal_comes_first(shapes),
    )


def _find_scope(shapes: Shapes) -> str:
    """Return what stands before the backbone's layers: that of the first convolution's kernel."""
    found = (n for n in shapes if n.endswith(_FIRST) and len(shapes[n]) == 5)
    return next(found, _FIRST).removesuffix(_FIRST)


def _pools_first(shapes: Shapes) -> bool:
    return not any(f"/_branch_3_layers/0/kernel{_END}" in name for name in shapes)


def _temporal_comes_first(shapes: Shapes) -> bool:
    mark = f"_parameterized_conv_layers/0/kernel{_END}"
    return any(shape[2:] == (3, 1, 1) for name, shape in shapes.items() if name.endswith(mark))


def _in_stem(place: Place, leaf: str, temporal_first: bool) -> str:
    if place.part == "gate":
        # Only conv2c has one; it follows it.
        number = 5 if place.block == "conv2c" else -1
        return f"layer_with_weights-{number}/_transformer_w/{_last(leaf)}"
    if place.block == "conv2c":
        return f"layer_with_weights-4/{_in_pair(place, leaf, temporal_first)}"
    number = 0 if place.block == "conv1a" else 2
    number = -1 if place.part == "time" else number
    return f"layer_with_weights-{number + leaf.startswith('norm.')}/{_last(leaf)}"


def _in_cell(place: Place, leaf: str, pool_comes_first: bool, temporal_first: bool) -> str:
    if place.part == "gate":
        home = "cell_self_gating" if place.branch is None else f"_branch_{place.branch}_layers/4"
        home = "_branch_0_layers/3" if place.branch == 0 else home
        return f"{home}/_transformer_w/{_last(leaf)}"
    home = f"_branch_{place.branch}_layers"
    if place.branch in (1, 2) and place.part != "reduce":
        return f"{home}/3/{_in_pair(place, leaf, temporal_first)}"
    first = 1 if place.branch == 3 and pool_comes_first else 0
    return f"{home}/{first + leaf.startswith('norm.')}/{_last(leaf)}"


def _in_pair(place: Place, leaf: str, temporal_first: bool) -> str:
    """Return where in a pair of convolutions, each with norm and ReLU, a leaf is."""
    first = 3 if (place.part == "time") != temporal_first else 0
    return f"_parameterized_conv_layers/{first + leaf.startswith('norm.')}/{_last(leaf)}"


def _last(leaf: str) -> str:
    return {**NORM_LEAVES, "weight": "kernel"}.get(leaf, leaf) + _END
