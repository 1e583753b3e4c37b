"""The network a second time, slow and obvious: written from the paper, with plain 3D operations.

Nothing is shared with `s3d.models` but the weights and their names. Activations are (B, C, T, H, W)
as PyTorch lays them out; each convolution of a block stands alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.models.network import Network

STAGES = (("1a", "p2a", "2b", "2c"), ("p3a", "3b", "3c"), ("p4a", "4b", "4c", "4d", "4e", "4f"))
TRUNK = [name for stage in (*STAGES, ("p5a", "5b", "5c")) for name in stage]
K_OF = {name: k for k, name in enumerate(n for n in TRUNK if n[0] != "p" and n != "2b")}
POOLS = {
    "paper": {
        "p2a": ((1, 3, 3), (1, 2, 2)),
        "p3a": ((1, 3, 3), (1, 2, 2)),
        "p4a": ((3, 3, 3), (2, 2, 2)),
        "p5a": ((2, 2, 2), (2, 2, 2)),
    },
    "late": {
        "p2a": ((1, 3, 3), (1, 2, 2)),
        "p3a": ((3, 3, 3), (2, 2, 2)),
        "p4a": ((3, 3, 3), (2, 2, 2)),
        "p5a": ((2, 2, 2), (2, 2, 2)),
    },
    "none": {
        "p2a": ((1, 3, 3), (1, 2, 2)),
        "p3a": ((3, 3, 3), (1, 2, 2)),
        "p4a": ((3, 3, 3), (1, 2, 2)),
        "p5a": ((2, 2, 2), (1, 2, 2)),
    },
}
KIND = {"2": "2", "3": "3", "s": "s", "w": "2", "v": "3", "g": "s"}
GATED = "wvg"
ONE = (1, 1, 1)


class Reference:
    """Answers as `network` does, from its weights; `state` holds the norms' statistics after."""

    def __init__(self, network: Network) -> None:
        self.word, self.style, self.training = network.word, network.style, network.training
        self.state: dict[str, Tensor] = dict(network.named_parameters())
        self.state |= {name: buffer.clone() for name, buffer in network.named_buffers()}

    def __call__(self, x: Tensor) -> Tensor:
        for name in TRUNK:
            x = self.block(name, x)
        frames, height, width = x.shape[2:]
        if self.style.head == "windows":
            x = F.avg_pool3d(x, (min(2, frames), min(7, height), min(7, width)), 1)
        elif self.style.head == "pairs":
            x = F.avg_pool3d(x, (min(2, frames), height, width), 1)
        else:
            x = F.adaptive_avg_pool3d(x, 1)
        weight = self.state["head.classifier.weight"][:, :, None, None, None]
        return F.conv3d(x, weight, self.state["head.classifier.bias"]).mean((2, 3, 4))

    def block(self, name: str, x: Tensor) -> Tensor:
        if name.startswith("p"):
            kernel, stride = POOLS[self.style.time_strides][name]
            return self.pool(
                x, (3, 3, 3) if name == "p5a" and self.style.last_pool == 3 else kernel, stride
            )
        letter = self.word[K_OF[name]] if name in K_OF else "2"
        if name == "1a":
            return self.stem(letter, x)
        if name == "2b":
            return self.conv(x, "conv2b", ONE)
        if name == "2c":
            places = iter(range(9))
            x = self.spacetime(letter, x, "conv2c", places)
            if self.style.gate_place == "temporal":
                return x
            return self.gate(letter, x, f"conv2c.{next(places)}")
        return self.mixed(letter, x, f"mixed{name}")

    def stem(self, letter: str, x: Tensor) -> Tensor:
        kind, frames = self.style.stem, self.style.stem_frames
        step = 2 if self.style.time_strides == "paper" else 1
        if KIND[letter] != "s":
            sides = (1 if KIND[letter] == "2" else 7, 7, 7)
            x, used = self.conv(x, "conv1a.0", sides, (step, 2, 2)), 1
        elif kind == "full":
            x, used = self.conv(x, "conv1a.0", (frames, 7, 7), (step, 2, 2)), 1
        elif kind == "separable":
            x = self.conv(x, "conv1a.0", (1, 7, 7), (1, 2, 2))
            x, used = self.conv(x, "conv1a.1", (frames, 1, 1), (step, 1, 1)), 2
        else:
            x, used = self.cubes(x), 2
        return self.gate(letter, x, f"conv1a.{used}")

    def cubes(self, x: Tensor) -> Tensor:
        t, h, w = x.shape[2:]
        x = F.pad(x, (0, w % 2, 0, h % 2, 0, t % 2))
        corners = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
        x = torch.cat([x[:, :, i::2, j::2, k::2] for i, j, k in corners], 1)
        # The port pads 1, 2, 2 on both sides and throws the first of each axis away.
        y = F.conv3d(x, self.state["conv1a.1.weight"], None, 1, (1, 2, 2))
        return self.norm(y[:, :, 1:, 1:, 1:], "conv1a.1.norm").relu()

    def mixed(self, letter: str, x: Tensor, name: str) -> Tensor:
        entries = self.entries(x, name)
        tails = [iter(range(9)) for _ in range(4)]
        y1 = self.spacetime(letter, entries[1], f"{name}.branch1", tails[1])
        y2 = self.spacetime(letter, entries[2], f"{name}.branch2", tails[2])
        y3 = self.project(letter, x, f"{name}.branch3", tails[3])
        ys = [self.temporal(letter, 0, entries[0], f"{name}.branch0", tails[0]), y1, y2]
        ys.append(self.temporal(letter, 3, y3, f"{name}.branch3", tails[3]))
        if self.style.gate_place.startswith("branch"):
            named = [f"{name}.branch{i}.{next(tails[i])}" for i in range(4)]
            ys = [self.gate(letter, y, gate) for y, gate in zip(ys, named, strict=True)]
        y = torch.cat(ys, 1)
        return (
            self.gate(letter, y, f"{name}.gate") if self.style.gate_place.endswith("concat") else y
        )

    def entries(self, x: Tensor, name: str) -> list[Tensor]:
        """Return the three 1x1x1 convolutions that our `entry` holds side by side, one by one."""
        tails = (f"{name}.branch1.0.weight", f"{name}.branch2.0.weight")
        widths = [self.state[tail].shape[1] for tail in tails]
        weight = self.state[f"{name}.entry.weight"]
        first = len(weight) - sum(widths)
        kernels = torch.split(weight, [first, *widths])
        convolved = torch.cat([F.conv3d(x, kernel) for kernel in kernels], 1)
        y = self.norm(convolved, f"{name}.entry.norm").relu()
        return list(torch.split(y, [first, *widths], 1))

    def project(self, letter: str, x: Tensor, name: str, places: Iterator[int]) -> Tensor:
        first, second = f"{name}.{next(places)}", f"{name}.{next(places)}"
        flat = KIND[letter] == "2" and self.style.pool_follows_letter
        kernel = (1 if flat else 3, 3, 3)
        if self.style.pool_comes_first:
            return self.conv(self.pool(x, kernel, ONE), second, ONE)
        return self.pool(self.conv(x, first, ONE), kernel, ONE)

    def spacetime(self, letter: str, x: Tensor, name: str, places: Iterator[int]) -> Tensor:
        kernels = [(3 if KIND[letter] == "3" else 1, 3, 3)]
        if KIND[letter] == "s":
            kernels.append((3, 1, 1))
        for kernel in reversed(kernels) if self.style.temporal_first else kernels:
            x = self.conv(x, f"{name}.{next(places)}", kernel)
        if letter in GATED and self.style.gate_place == "temporal":
            x = self.gate(letter, x, f"{name}.{next(places)}")
        return x

    def temporal(
        self, letter: str, branch: int, x: Tensor, name: str, places: Iterator[int]
    ) -> Tensor:
        if letter in "sg" and branch in self.style.separable_branches:
            x = self.conv(x, f"{name}.{next(places)}", (3, 1, 1))
            if self.style.gate_place == "temporal":
                x = self.gate(letter, x, f"{name}.{next(places)}")
        return x

    def gate(self, letter: str, x: Tensor, name: str) -> Tensor:
        if letter not in GATED:
            return x
        mixed = torch.einsum("oc,bc->bo", self.state[f"{name}.weight"], x.mean((2, 3, 4)))
        if f"{name}.bias" in self.state:
            mixed = mixed + self.state[f"{name}.bias"]
        return x * mixed.sigmoid()[:, :, None, None, None]

    def conv(
        self, x: Tensor, name: str, kernel: tuple[int, ...], stride: tuple[int, ...] = ONE
    ) -> Tensor:
        weight = self.state[f"{name}.weight"]
        assert tuple(weight.shape[2:]) == tuple(kernel), name
        outputs = [self.outputs(*one) for one in zip(x.shape[2:], kernel, stride, strict=True)]
        # Padded to spare after the end; the values beyond `outputs` are dropped.
        half = self.style.padding != "same"
        spare = [
            (k // 2 if half else self.before(n, k, s), max(kernel))
            for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)
        ]
        x = F.pad(x, [n for pair in reversed(spare) for n in pair])
        y = F.conv3d(x, weight, self.state.get(f"{name}.bias"), stride)
        y = y[:, :, : outputs[0], : outputs[1], : outputs[2]]
        return (
            self.norm(y, f"{name}.norm").relu() if f"{name}.norm.bias" in self.state else y.relu()
        )

    def pool(self, x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        sizes, ceil = x.shape[2:], self.style.padding == "ceil"
        open_ended = [ceil and s > 1 for s in stride]
        fit = [
            min(k, n) if k % 2 == 0 or loose else k
            for k, n, loose in zip(kernel, sizes, open_ended, strict=True)
        ]
        before = [
            0 if loose else self.before(n, k, s)
            for n, k, s, loose in zip(sizes, fit, stride, open_ended, strict=True)
        ]
        outputs = [
            # A window for each stride that begins one inside, and none that begins outside.
            max(-(-(n - k) // s) + 1, 1) if loose else self.outputs(n, k, s)
            for n, k, s, loose in zip(sizes, fit, stride, open_ended, strict=True)
        ]
        x = F.pad(x, [n for one in reversed(before) for n in (one, max(fit))])
        y = F.max_pool3d(x, fit, stride)
        return y[:, :, : outputs[0], : outputs[1], : outputs[2]]

    def outputs(self, size: int, kernel: int, stride: int) -> int:
        """Return how many values an axis has after a kernel."""
        if self.style.padding == "symmetric" and kernel % 2 == 0:
            return max((size - kernel) // stride + 1, 1)
        # An odd kernel padded by half, and TensorFlow's SAME: one for each stride begun.
        return -(-size // stride)

    def before(self, size: int, kernel: int, stride: int) -> int:
        """Return how many zeros an axis has before its start."""
        if self.style.padding in ("symmetric", "symmetric_ceil", "ceil"):
            return kernel // 2 if kernel % 2 else 0
        if self.style.padding == "static":
            return max(kernel - stride, 0) // 2
        left = size % stride or stride
        return max(kernel - left, 0) // 2

    def norm(self, x: Tensor, name: str) -> Tensor:
        return F.batch_norm(
            x,
            self.state[f"{name}.running_mean"],
            self.state[f"{name}.running_var"],
            self.state[f"{name}.weight"],
            self.state[f"{name}.bias"],
            self.training,
            1e-3,
            self.style.norm_epsilon,
        )
