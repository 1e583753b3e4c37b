"""Under which names published PyTorch code keeps the weights of a place.

A name is empty where a code has no such layer.
"""

from __future__ import annotations

from s3d.models.blocks import BLOCKS
from s3d.models.published.places import Place


def name_in_torchvision(place: Place, leaf: str) -> str:
    """Return torchvision's name: `features.5.branch1.1.0.0.weight`."""
    if place.part == "classifier":
        return f"classifier.1.{leaf}"
    if place.part == "gate":
        return ""
    home = f"features.{BLOCKS.index(place.block)}"
    if place.branch is None:
        home += {"space": ".0", "time": ".1"}[place.part] if place.block != "conv2b" else ""
    else:
        home += f".branch{place.branch}" + _in_branch(place, {"space": ".1.0", "time": ".1.1"})
    return f"{home}.{_layer(leaf, '0', '1')}"


def name_in_kylemin(place: Place, leaf: str) -> str:
    """Return kylemin's name: `base.5.branch1.1.conv_s.weight`."""
    if place.part == "classifier":
        return f"fc.0.{leaf}"
    if place.part == "gate":
        return ""
    home = f"base.{BLOCKS.index(place.block)}"
    if place.branch is not None:
        home += f".branch{place.branch}"
        home += _in_branch(place, {"space": ".1", "time": ".1"}, first=".0")
    is_pair = place.part != "reduce" and place.block != "conv2b" and place.branch not in (0, 3)
    half = {"space": "_s", "time": "_t"}[place.part] if is_pair else ""
    return f"{home}.{_layer(leaf, f'conv{half}', f'bn{half}')}"


def name_in_piergiaj(place: Place, leaf: str) -> str:
    """Return piergiaj's name: `Mixed_3b.b1b.conv3d.weight`."""
    if place.part == "classifier":
        return f"logits.conv3d.{leaf}"
    if place.part in ("gate", "time"):
        return ""
    if place.branch is None:
        side = {"conv1a": "7x7", "conv2b": "1x1", "conv2c": "3x3"}[place.block]
        home = f"Conv3d_{place.block[4:]}_{side}"
    else:
        home = f"Mixed_{place.block[5:]}.b{place.branch}"
        home += "a" if place.part == "reduce" else "b" if place.branch else ""
    return f"{home}.{_layer(leaf, 'conv3d', 'bn')}"


def name_in_mil_nce(place: Place, leaf: str) -> str:
    """Return MIL-NCE's name: `mixed_3b.conv_b1_b.conv1.weight`."""
    block, branch = place.block, place.branch
    if place.part == "classifier":
        return f"fc.{leaf}"
    if place.part == "gate" and branch is None:
        return f"gating.fc.{leaf}" if block == "conv2c" else ""
    if place.part == "gate":
        return f"mixed_{block[5:]}.gating_b{branch}.fc.{leaf}"
    if branch is None:
        home = "conv1" if block == "conv1a" else f"conv_{block[4:]}"
    else:
        home = f"mixed_{block[5:]}.conv_b{branch}"
        home += "_a" if place.part == "reduce" else "_b" if branch else ""
    number = 2 if place.part == "time" else 1
    return f"{home}.{_layer(leaf, f'conv{number}', f'bn{number}')}"


def name_in_ibm(place: Place, leaf: str) -> str:
    """Return IBM's name, as torchvision's GoogLeNet has it: `inception3a.branch2.1.conv.weight`."""
    if place.part == "classifier":
        return f"fc.{leaf}"
    if place.part == "gate":
        return ""
    if place.branch is None:
        home = {"conv1a": "conv1", "conv2b": "conv2", "conv2c": "conv3"}[place.block]
    else:
        # Their blocks begin with a where the paper's begin with b; their branches with 1.
        letter = chr(ord(place.block[6]) - 1)
        home = f"inception{place.block[5]}{letter}.branch{place.branch + 1}"
        home += _in_branch(place, {"space": ".1", "time": ".1"})
    half = "_t" if place.part == "time" else ""
    return f"{home}.{_layer(leaf, f'conv{half}', f'bn{half}')}"


def _in_branch(place: Place, parts: dict[str, str], first: str = "") -> str:
    """Return where in a branch a layer is: branch 0 has one, branch 3 pools first."""
    if place.branch == 0:
        return first
    if place.branch == 3:
        return ".1"
    return ".0" if place.part == "reduce" else parts[place.part]


def _layer(leaf: str, convolution: str, norm: str) -> str:
    if leaf.startswith("norm."):
        return f"{norm}.{leaf.removeprefix('norm.')}"
    return f"{convolution}.{leaf}"
