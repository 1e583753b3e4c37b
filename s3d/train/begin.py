"""Starting from weights that are there: what is taken of a model, and that it is still the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from s3d.errors import InputError
from s3d.models.model_file import ModelFile, weights_of
from s3d.models.network import Network
from s3d.models.shipped.table import SHIPPED
from s3d.train.config import TrainConfig
from s3d.train.describe import describe_network
from s3d.train.origin import Origin, open_again
from s3d.train.scarcity import is_scarce


@dataclass(frozen=True)
class Start:
    """Say what a run's first weights are.

    Attributes:
        init: As it was asked for, or the name of the trunk that was chosen.
        sha256: Of the model it named: network, labels, clip and weights.
        keeps_head: The classes are the model's own.
        fits_head: A fresh head is first fitted to what the model gives (`s3d.train.head`).
        source: Where its weights come from.
        licence: Under which licence they may be used, and so what is trained from them.
    """

    init: str
    sha256: str
    keeps_head: bool
    fits_head: bool
    source: str
    licence: str

    @classmethod
    def from_json(cls, values: Any) -> Start | None:
        """Rebuild a start from its JSON values; None for a run from scratch.

        Raises:
            InputError: They are not one.
        """
        if values is None:
            return None
        if not isinstance(values, dict) or set(values) != {f.name for f in fields(cls)}:
            raise InputError("the run's plan is damaged; choose another --out.")
        return cls(**values)


def make_start(
    origin: Origin, labels: Sequence[str], clips: int
) -> tuple[Start | None, tuple[str, ...]]:
    """Say what is taken of a model.

    Args:
        origin: What to start from.
        labels: The classes to train.
        clips: To train on.

    Returns:
        The start, None for random weights; and a line a decision.
    """
    if origin.model is None or origin.init is None:
        return None, (origin.reason,) if origin.reason else ()
    model = origin.model.model
    keeps_head = tuple(labels) == model.labels
    fits_head = origin.is_shipped and not keeps_head and is_scarce(clips, len(labels))
    start = Start(
        origin.init, fingerprint(model), keeps_head, fits_head, model.source, model.licence
    )
    lines = [f"starts from {origin.init}: {describe_network(model.network)}{_whence(origin)}"]
    if keeps_head:
        lines.append(f"its head is kept, since its {len(labels)} classes are these")
    elif model.labels:
        lines.append(f"its head of {len(model.labels)} classes gives way to one of {len(labels)}")
    else:
        fitted = ", first fitted to what it gives" if fits_head else ""
        lines.append(f"a fresh head for {len(labels)} classes{fitted}")
    return start, tuple(lines)


def _whence(origin: Origin) -> str:
    """Return where weights come from, and the option that changes it."""
    assert origin.model is not None
    if origin.is_shipped:
        assert origin.init is not None
        title = SHIPPED[origin.init].title
        return f", {title}, shipped with s3d (--init none to start at random)"
    source = origin.model.model.source
    return f", {source} (--init)" if source else " (--init)"


def load_weights(start: Start, config: TrainConfig, network: Network, folder: str) -> None:
    """Give a run's fresh network the weights it starts from.

    Args:
        start: What was decided when the run began.
        config: What was asked for.
        network: Of the run's classes; its own fresh head stays, unless the model's is kept.
        folder: Of the run, to name it.

    Raises:
        InputError: The model has gone or is another one now.
    """
    try:
        found = open_again(start.init, config)
    except InputError as error:
        raise InputError(f"{error} The run in {folder} starts from it.") from None
    if fingerprint(found) != start.sha256:
        raise InputError(
            f"{start.init}: is not the model any more that the run in {folder} began with. "
            "Put that back, or choose another --out."
        )
    trained = found.network
    if not start.keeps_head:
        trained.replace_head(network.num_classes)
    if trained.channels != network.channels:
        trained.replace_input(network.channels)
    network.load_state_dict(trained.state_dict())


def fingerprint(model: ModelFile) -> str:
    """Return the sha256 of a model: of its network, labels, clip and weights."""
    network = model.network
    facts = [
        network.word,
        network.style.to_json(),
        network.width,
        network.channels,
        model.labels,
        model.spec.to_json(),
    ]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name, tensor in sorted(weights_of(network).items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
