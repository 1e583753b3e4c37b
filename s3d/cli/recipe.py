"""What the files of recipes/ run: a recipe's options, training, and the paper's evaluation."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3d.cli.evaluate import score
from s3d.cli.model_options import load_recognizer
from s3d.cli.parser import Parser, add_fields, parse
from s3d.cli.terminal import print_error
from s3d.errors import InputError
from s3d.files import write_json
from s3d.train.config import TrainConfig
from s3d.train.recipe import CLIPS_A_GPU, Recipe, describe_recipe, fit_recipe

if TYPE_CHECKING:
    from s3d.evaluate.evaluation import Evaluation
    from s3d.models.processes import Processes

RATES = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "scale.json"
PROTOCOL = "all-frames"


def run_recipe(recipe: Recipe, words: Sequence[str] | None = None) -> int:
    """Train by a recipe and score the model as the paper does; return the exit code.

    Args:
        recipe: How.
        words: Of the command line, without the program's name; None takes those of this process.
    """
    try:
        return _run(recipe, sys.argv[1:] if words is None else words)
    except InputError as error:
        return print_error(str(error))


def read_rates() -> dict[str, float]:
    """Return the measured rates of a training step by hardware; none where nothing was measured."""
    try:
        found = json.loads(RATES.read_text(encoding="utf-8"))
        return {str(row["hardware"]): float(row["train_clips_per_second"]) for row in found["rows"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _run(recipe: Recipe, words: Sequence[str]) -> int:
    parser = Parser(prog=Path(sys.argv[0]).name, description=recipe.title, allow_abbrev=False)
    parser.add_argument("folder", nargs="?", help=f"of {recipe.dataset}, as in DIR or DIR?split=2")
    parser.add_argument("--promise", action="store_true", help="say what it takes and gives")
    parser.add_argument(
        "--clips-a-gpu", type=int, default=CLIPS_A_GPU, metavar="N",
        help=f"clips that a process takes at a time [{CLIPS_A_GPU}]",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="show nothing")
    add_fields(parser, TrainConfig, skipped=("data",), defaults=recipe.config)
    options = parse(words, parser)
    if options.promise:
        print(describe_recipe(recipe, read_rates()))
        return 0
    if not options.folder or not options.out:
        raise InputError(
            f"name the folder of {recipe.dataset} and one for the run, as in DIR --out RUN."
        )
    if options.clips_a_gpu < 1:
        raise InputError(f"--clips-a-gpu is {options.clips_a_gpu}; at least 1 is needed.")
    names = [option.name for option in fields(TrainConfig) if option.name != "data"]
    values: dict[str, Any] = {name: getattr(options, name) for name in names}
    asked = TrainConfig(data=f"{recipe.dataset}:{options.folder}", **values)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    config, lines = fit_recipe(recipe, asked, world, options.clips_a_gpu)
    is_first = int(os.environ.get("RANK", "0")) == 0
    if is_first and not options.quiet:
        print("\n".join((recipe.title, *(f"  {line}" for line in lines))))
    return _train_and_score(recipe, config, options.quiet)


def _train_and_score(recipe: Recipe, config: TrainConfig, quiet: bool) -> int:
    from s3d.models.processes import join_processes
    from s3d.train.train import train

    model = train(config, quiet)
    with join_processes(config.device) as processes:
        outcome = _score(model, config, processes)
        if not processes.is_first:
            return 0
    paper = [{"network": f.network, "metric": f.metric, "value": f.paper} for f in recipe.figures]
    found = {"recipe": recipe.title, "network": config.network, "paper": paper}
    write_json(Path(config.out) / "recipe.json", {**found, "result": outcome.to_json()})
    five = f", top-5 {outcome.top(5):.1%}" if len(outcome.labels) > 5 else ""
    print(f"top-1 {outcome.top(1):.1%}{five}; {outcome.coverage}; protocol {PROTOCOL}")
    for figure in recipe.figures:
        print(f"  the paper's {figure.network}: {figure.metric} {figure.paper:g} %")
    return 0


def _score(model: Path, config: TrainConfig, processes: Processes) -> Evaluation:
    """Score the part that the data set's figures are of, under the paper's protocol."""
    options = argparse.Namespace(
        model=str(model),
        device=config.device,
        engine="auto",
        flow=config.flow,
        quarantine=config.quarantine,
        protocol=PROTOCOL,
        reversed=False,
    )
    recognizer = processes.in_turn(lambda: load_recognizer(options))
    return score(recognizer, config.data, options, processes)
