"""A network in 8 bits, where its ranges are known: OpenVINO on a CPU."""

from __future__ import annotations

import os

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.infer.engines.choose import AUTO, VARIABLE, Tell
from s3d.infer.engines.engine import Engine, EngineKind, usable_engines
from s3d.infer.engines.openvino_runner import OpenVinoRunner
from s3d.models.network import Network
from s3d.models.quantise import Ranges, add_blocks

INT8 = "int8"


class Int8Engine(Engine):
    """Run a network in 8 bits.

    What a block gives is floats of 256 values, so that going on from there gives what the whole
    network gives.
    """

    def __init__(self, network: Network, spec: ClipSpec, ranges: Ranges) -> None:
        super().__init__(network, spec, "openvino")
        self.name = INT8
        ranges = add_blocks(ranges, network)
        self._kind = EngineKind(
            lambda graph, _: OpenVinoRunner(graph, ranges=ranges),
            "cpu",
            ("openvino",),
            takes_any_batch=False,
        )


def check_int8(ranges: Ranges | None, device: str) -> None:
    """Check that a model can run in 8 bits on a device.

    Raises:
        InputError: It cannot.
    """
    if ranges is None:
        raise InputError(
            "engine int8 needs a model whose ranges are known. Make one with "
            "`s3d quantize MODEL DATA --out FILE`."
        )
    if "openvino" not in usable_engines(device):
        raise InputError(
            "engine int8 needs OpenVINO and a CPU. Use `pip install openvino` and --device cpu, or "
            "--engine auto."
        )


def choose_int8(
    network: Network,
    spec: ClipSpec,
    ranges: Ranges | None,
    wanted: str | None = None,
    tell: Tell | None = None,
) -> Engine | None:
    """Return an engine of 8 bits where that is wanted, or nothing else is and it can run.

    Args:
        network: In eval mode.
        spec: Its clip.
        ranges: Of its values, where they are known.
        wanted: An engine by name, as for `choose_engine`.
        tell: Is told in a line where a model that could run in 8 bits does not.

    Raises:
        InputError: It is wanted by name and cannot run.
    """
    name = wanted or AUTO
    if name == AUTO:
        name = os.environ.get(VARIABLE) or AUTO
    device = next(network.parameters()).device.type
    if name == INT8:
        check_int8(ranges, device)
    elif name != AUTO or ranges is None:
        return None
    assert ranges is not None
    if "openvino" in usable_engines(device):
        return Int8Engine(network, spec, ranges)
    if tell is not None:
        tell("the model could run in 8 bits with OpenVINO on a CPU; it runs in 32 here")
    return None
