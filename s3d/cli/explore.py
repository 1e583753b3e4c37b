"""s3d explore: which network is the right one for these videos, within a budget."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from s3d.cli.parser import DATA_HELP, Verbs, add_fields, add_verb
from s3d.errors import InputError
from s3d.explore.settings import ExploreConfig
from s3d.files import show_path
from s3d.train.config import NONE, TrainConfig

if TYPE_CHECKING:
    from s3d.explore.conclude import Conclusion

OWN = (
    "data", "out", "network", "width", "frames", "rate_fps", "size", "epochs", "steps", "seed",
    "keep", "device", "quarantine", "threads", "cache_gb", "sync_norms", "checkpoint_seconds",
)  # fmt: skip
"""Options of a training that an exploration sets itself, or has no use for."""


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "train and price networks of the family on your videos, and recommend one"
    parser = add_verb(verbs, "explore", text, run)
    parser.add_argument("data", help=DATA_HELP)
    add_fields(parser, ExploreConfig)
    add_fields(parser, TrainConfig, skipped=OWN, defaults=TrainConfig(init=NONE))
    parser.add_argument("--quiet", action="store_true", help="show the recommendation alone")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Explore, print what to take, and return the exit code."""
    names = [option.name for option in fields(ExploreConfig)]
    config = ExploreConfig(**{name: getattr(options, name) for name in names})
    if not config.out:
        raise InputError("--out is missing: name a folder for the exploration, as in --out found.")
    shared = [option.name for option in fields(TrainConfig) if option.name not in OWN]
    recipe = TrainConfig(**{name: getattr(options, name) for name in shared})
    from s3d.explore.conclude import conclude
    from s3d.explore.explore import run_exploration
    from s3d.train.display import Display

    display = Display(options.quiet)
    exploration = run_exploration(config, recipe, display.say, display.stage)
    command = "s3d " + " ".join(map(shlex.quote, sys.argv[1:]))
    conclusion = conclude(exploration, command, display.say)
    print(json.dumps(_to_json(conclusion), indent=1) if options.json else _format(conclusion))
    return 0 if conclusion.model is not None else 2


def _format(conclusion: Conclusion) -> str:
    page, *others = (show_path(path) for path in conclusion.pages)
    lines = ["", conclusion.found.recommendation.text]
    if conclusion.checked is not None:
        price = conclusion.checked
        again = f"{price.latency_ms:.3g} ms by {price.engine}"
        lines.append(f"measured again: {again}")
    if conclusion.model is not None:
        lines.append(f"model   {show_path(conclusion.model)}")
    return "\n".join([*lines, f"page    {page}", *(f"        {other}" for other in others)])


def _to_json(conclusion: Conclusion) -> dict[str, Any]:
    chosen, price = conclusion.found.recommendation, conclusion.checked
    return {
        "recommended": chosen.name,
        "why": chosen.text,
        "leader": chosen.leader,
        "no_difference_seen_to": list(chosen.equals),
        "measured_again_ms": price and round(price.latency_ms, 3),
        "engine": price and price.engine,
        "macs": price and price.macs,
        "model": conclusion.model and str(conclusion.model),
        "pages": [str(path) for path in conclusion.pages],
    }
