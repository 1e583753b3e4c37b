"""What a run starts from: a trunk that came with s3d, a model that was named, or random weights.

What nobody said is chosen: the trunk that fits what else was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from s3d.data.video_info import FLOW_CHANNELS, VideoInfo
from s3d.errors import InputError
from s3d.models.family import network_word
from s3d.models.model_file import ModelFile
from s3d.models.network import block_number
from s3d.models.open import InitModel, open_start
from s3d.models.shipped.table import SHIPPED, Shipped
from s3d.models.shipped.trunks import load_shipped
from s3d.models.style import find_style
from s3d.train.config import NONE, TrainConfig, refuse_freezing
from s3d.train.describe import describe_network, is_same_style

_RGB_ALONE = "what comes with s3d has seen RGB alone"


@dataclass(frozen=True)
class Origin:
    """Say where a run's first weights come from.

    Attributes:
        init: The name of the model; None for random weights.
        model: It; None for random weights.
        reason: Why they are random, where nobody asked for that.
    """

    init: str | None = None
    model: InitModel | None = None
    reason: str | None = None

    @property
    def is_shipped(self) -> bool:
        """Return whether it is a trunk that came with s3d."""
        return self.model is not None and self.model.is_shipped


def find_origin(config: TrainConfig) -> Origin:
    """Return what a run is to start from.

    Args:
        config: What was asked for.

    Raises:
        InputError: There is no model of this name, or it does not fit the other options.
    """
    if config.frozen_block is not None:
        block_number(config.frozen_block)
    if config.init == NONE:
        return Origin()
    if config.init is None:
        name, reason = choose_trunk(config)
        return _start_at_random(config, reason) if name is None else _start_from_trunk(name)
    start = open_start(config.init, config.network, config.width, config.style)
    _check_agrees(config, start.model)
    return Origin(config.init, start)


def fit_videos(origin: Origin, config: TrainConfig, infos: Sequence[VideoInfo]) -> Origin:
    """Return what a run starts from, now that its videos are known: a trunk has not seen flow.

    Raises:
        InputError: Blocks were to stay as they are, and nothing has trained them.
    """
    if config.init is None and origin.is_shipped and infos[0].channels == FLOW_CHANNELS:
        return _start_at_random(config, _RGB_ALONE)
    return origin


def open_again(chosen: str, config: TrainConfig) -> ModelFile:
    """Return the model that a run began with, whatever would be chosen for it today.

    Args:
        chosen: The name of the trunk, where the run's options name no model.
        config: The run's options.

    Raises:
        InputError: There is no such model any more.
    """
    if config.init is None:
        return load_shipped(chosen)
    return open_start(config.init, config.network, config.width, config.style).model


def choose_trunk(
    config: TrainConfig, table: Mapping[str, Shipped] = SHIPPED
) -> tuple[str | None, str]:
    """Return the name of the trunk that fits what was asked for; None where none does, and why.

    Of two that fit it is the wider: where clips are few it names more of them, and takes two cores
    little longer than the narrow network of a training from scratch. See docs/trunk.md.

    Args:
        config: What was asked for.
        table: The trunks there are.

    Raises:
        InputError: There is no such network or style.
    """
    if config.flow is not None:
        return None, _RGB_ALONE
    fitting = [name for name, trunk in table.items() if _fits(config, trunk)]
    if not fitting:
        return None, f"nothing that comes with s3d is {_describe_asked(config)}"
    return max(fitting, key=lambda name: table[name].width), ""


def _fits(config: TrainConfig, trunk: Shipped) -> bool:
    network, width, style = config.network, config.width, config.style
    return (
        (network is None or network_word(network) == network_word(trunk.network))
        and (width is None or width == trunk.width)
        and (style is None or is_same_style(find_style(style), find_style(trunk.style)))
    )


def _describe_asked(config: TrainConfig) -> str:
    """Return what was asked for of the network, as "s3d_g, of width 0.5, of style slim"."""
    words = [config.network] if config.network is not None else []
    if config.width is not None:
        words.append(f"of width {config.width:g}")
    if config.style is not None:
        words.append(f"of style {config.style}")
    return ", ".join(words)


def _start_from_trunk(name: str) -> Origin:
    return Origin(name, InitModel(load_shipped(name), is_of_images=False, is_shipped=True))


def _start_at_random(config: TrainConfig, reason: str) -> Origin:
    if config.frozen_block is not None:
        raise refuse_freezing(config.frozen_block)
    return Origin(reason=f"starts from random weights: {reason} (--init)")


def _check_agrees(config: TrainConfig, model: ModelFile) -> None:
    """Check that no other network is asked for than the model's."""
    network = model.network
    asked = {
        "network": config.network is None or network_word(config.network) == network.word,
        "width": config.width is None or config.width == network.width,
        "style": config.style is None or is_same_style(find_style(config.style), network.style),
    }
    for name, agrees in asked.items():
        if not agrees:
            raise InputError(
                f"--{name} {getattr(config, name)} does not fit --init {config.init}, which is "
                f"{describe_network(network)}. Leave --{name} out, or start from another model."
            )
