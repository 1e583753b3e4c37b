"""What a network does step by step, without its weights: names, pads and lengths, at once."""

from __future__ import annotations

import torch

from s3d.models.graph import Graph, build_graph
from s3d.models.network import Network

WIDTH = 0.01


def build_outline(network: Network) -> Network:
    """Return a network of the same steps with as few channels as can be, on the CPU."""
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        return Network(network.word, 1, network.style, WIDTH, network.channels).eval()


def outline_graph(outline: Network, frames: int, size_px: tuple[int, int]) -> Graph:
    """Return the graph of an outline for clips of a length and size."""
    with torch.device("cpu"):
        return build_graph(outline, (1, outline.channels, frames, *size_px))
