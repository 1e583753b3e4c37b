"""Starting from weights that are there: what `--init` names, and what is taken of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from s3d.errors import InputError
from s3d.models.family import network_name, network_word
from s3d.models.model_file import ModelFile, weights_of
from s3d.models.network import Network, block_number
from s3d.models.open import InitModel, open_start
from s3d.models.style import STYLES, Style, find_style
from s3d.train.config import TrainConfig


@dataclass(frozen=True)
class Start:
    """Say what a run's first weights are.

    Attributes:
        init: As it was asked for.
        sha256: Of the model it named: network, labels, clip and weights.
        keeps_head: The classes are the model's own.
        source: Where its weights come from.
        licence: Under which licence they may be used, and so what is trained from them.
    """

    init: str
    sha256: str
    keeps_head: bool
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


def read_init(config: TrainConfig) -> InitModel | None:
    """Return the model to start from; None where none is asked for.

    Raises:
        InputError: There is none of this name, or it does not fit the other options.
    """
    if config.freeze_until is not None:
        block_number(config.freeze_until)
    if config.init is None:
        return None
    start = open_start(config.init, config.network, config.width, config.style)
    _check_agrees(config, start.model)
    return start


def make_start(
    config: TrainConfig, model: ModelFile, labels: Sequence[str]
) -> tuple[Start, tuple[str, ...]]:
    """Say what is taken of a model.

    Args:
        config: What was asked for.
        model: That of `read_init`.
        labels: The classes to train.

    Returns:
        The start, and a line a decision.
    """
    assert config.init is not None
    keeps_head = tuple(labels) == model.labels
    start = Start(config.init, fingerprint(model), keeps_head, model.source, model.licence)
    origin = f", {model.source}" if model.source else ""
    lines = [f"starts from {config.init}: {describe_network(model.network)}{origin} (--init)"]
    if keeps_head:
        lines.append(f"its head is kept, since its {len(labels)} classes are these")
    elif model.labels:
        lines.append(f"its head of {len(model.labels)} classes gives way to one of {len(labels)}")
    else:
        lines.append(f"a fresh head for {len(labels)} classes")
    if config.freeze_until is not None:
        lines.append(f"blocks up to and with {config.freeze_until} stay as they are")
    return start, tuple(lines)


def load_weights(start: Start, config: TrainConfig, network: Network, folder: str) -> None:
    """Give a run's fresh network the weights it starts from.

    Args:
        start: What was decided when the run began.
        config: Names the model.
        network: Of the run's classes; its own fresh head stays, unless the model's is kept.
        folder: Of the run, to name it.

    Raises:
        InputError: The model has gone or is another one now.
    """
    try:
        found = read_init(config)
    except InputError as error:
        raise InputError(f"{error} The run in {folder} starts from it.") from None
    if found is None or fingerprint(found.model) != start.sha256:
        raise InputError(
            f"{start.init}: is not the model any more that the run in {folder} began with. "
            "Put that back, or choose another --out."
        )
    trained = found.model.network
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


def describe_network(network: Network) -> str:
    """Return a network in a few words: kind, width and style."""
    name, style = network_name(network.word), style_name(network.style)
    return f"{name} x {network.width:g} (style {style})"


def style_name(style: Style) -> str:
    """Return the name of a style, whatever its dropout; "of its own" where it has none."""
    plain = (n for n, s in STYLES.items() if replace(s, dropout=style.dropout) == style)
    return next(plain, "of its own")


def _check_agrees(config: TrainConfig, model: ModelFile) -> None:
    """Check that no other network is asked for than the model's."""
    network = model.network
    asked = {
        "network": config.network is None or network_word(config.network) == network.word,
        "width": config.width is None or config.width == network.width,
        "style": config.style is None
        or replace(find_style(config.style), dropout=network.style.dropout) == network.style,
    }
    for name, agrees in asked.items():
        if not agrees:
            raise InputError(
                f"--{name} {getattr(config, name)} does not fit --init {config.init}, which is "
                f"{describe_network(network)}. Leave --{name} out, or start from another model."
            )
