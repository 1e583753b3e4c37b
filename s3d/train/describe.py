"""Networks and styles in a few words."""

from __future__ import annotations

from dataclasses import replace

from s3d.models.family import network_name
from s3d.models.network import Network
from s3d.models.style import STYLES, Style


def describe_network(network: Network) -> str:
    """Return a network in a few words: kind, width and style."""
    name, style = network_name(network.word), style_name(network.style)
    return f"{name} x {network.width:g} (style {style})"


def style_name(style: Style) -> str:
    """Return the name of a style, whatever its dropout; "of its own" where it has none."""
    return next((name for name, known in STYLES.items() if is_same_style(known, style)), _NAMELESS)


def is_same_style(one: Style, other: Style) -> bool:
    """Return whether two styles are one, whatever is dropped in training."""
    return replace(one, dropout=other.dropout) == other


_NAMELESS = "of its own"
