"""Under which names published TensorFlow code keeps the weights of a place."""

from __future__ import annotations

from collections.abc import Callable, Collection

from s3d.models.published.places import Place

Locate = Callable[[Place, str], str]
"""Gives the published name of a place's leaf; the name need not be there."""

_SIDES = {"conv1a": "7x7", "conv2b": "1x1", "conv2c": "3x3"}
NORM_LEAVES = {
    "norm.weight": "gamma",
    "norm.bias": "beta",
    "norm.running_mean": "moving_mean",
    "norm.running_var": "moving_variance",
}


def names_in_slim(names: Collection[str]) -> Locate:
    """Return what finds slim's names: `InceptionV1/Mixed_3b/Branch_1/Conv2d_0b_3x3/weights`."""
    scope = next((n.split("Conv2d_1a_7x7")[0] for n in names if "Conv2d_1a_7x7/" in n), "")

    def locate(place: Place, leaf: str) -> str:
        home = scope + _home(place, "Conv2d", names, scope)
        if leaf.startswith("norm."):
            # A temporal convolution has no norm of its own.
            middle = "/temporal" if place.part == "time" else ""
            return f"{home}{middle}/BatchNorm/{NORM_LEAVES[leaf]}"
        middle = {"time": "/temporal", "gate": "/self_gating/transformer_W"}.get(place.part, "")
        return f"{home}{middle}/{'weights' if leaf == 'weight' else 'biases'}"

    return locate


def names_in_deepmind(names: Collection[str]) -> Locate:
    """Return what finds Sonnet's names: `RGB/inception_i3d/Conv3d_1a_7x7/conv_3d/w`."""
    scope = next((n.split("Conv3d_1a_7x7")[0] for n in names if "Conv3d_1a_7x7/" in n), "")

    def locate(place: Place, leaf: str) -> str:
        home = scope + _home(place, "Conv3d", names, scope)
        if place.part in ("time", "gate"):
            return f"{home}/{place.part}"
        if leaf.startswith("norm."):
            return f"{home}/batch_norm/{NORM_LEAVES[leaf]}"
        return f"{home}/conv_3d/{'w' if leaf == 'weight' else 'b'}"

    return locate


def _home(place: Place, kind: str, names: Collection[str], scope: str) -> str:
    if place.part == "classifier":
        return f"Logits/{kind}_0c_1x1"
    if place.branch is None:
        return f"{kind}_{place.block[4:]}_{_SIDES.get(place.block, 'none')}"
    inside = f"Mixed_{place.block[5:]}/Branch_{place.branch}/{kind}_0"
    if place.part == "reduce" or place.branch == 0:
        return f"{inside}a_1x1"
    if place.branch == 3:
        return f"{inside}b_1x1"
    # DeepMind's mixed5b calls the 3x3 of branch 2 0a where all others are 0b.
    odd = f"{inside}a_3x3"
    return odd if any(n.startswith(scope + odd) for n in names) else f"{inside}b_3x3"
