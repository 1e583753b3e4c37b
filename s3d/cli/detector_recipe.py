"""What the detection files of recipes/ run: a recipe's options, training, and its score."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from s3d.cli.parser import Parser, add_fields, parse
from s3d.cli.terminal import print_error
from s3d.detect.train.config import DetectorConfig
from s3d.detect.train.recipe import DetectorRecipe
from s3d.errors import InputError
from s3d.files import write_json


def run_detector_recipe(recipe: DetectorRecipe, words: Sequence[str] | None = None) -> int:
    """Train by a recipe and score the detector on the test part; return the exit code.

    Args:
        recipe: How.
        words: Of the command line, without the program's name; None takes those of this process.
    """
    try:
        return _run(recipe, sys.argv[1:] if words is None else words)
    except InputError as error:
        return print_error(str(error))


def _run(recipe: DetectorRecipe, words: Sequence[str]) -> int:
    parser = Parser(prog=Path(sys.argv[0]).name, description=recipe.title, allow_abbrev=False)
    parser.add_argument("folder", nargs="?", help=f"of {recipe.dataset}, as in DIR or DIR?split=2")
    parser.add_argument("--promise", action="store_true", help="say what it takes and gives")
    parser.add_argument("--quiet", action="store_true", help="show nothing")
    add_fields(parser, DetectorConfig, skipped=("data",), defaults=recipe.config)
    options = parse(words, parser)
    if options.promise:
        print("\n".join(recipe.lines()))
        return 0
    if not options.folder or not options.out:
        raise InputError(
            f"name the folder of {recipe.dataset} and one for the run, as in DIR --out RUN."
        )
    names = [option.name for option in fields(DetectorConfig) if option.name != "data"]
    values: dict[str, Any] = {name: getattr(options, name) for name in names}
    config = DetectorConfig(data=f"{recipe.dataset}:{options.folder}", **values)
    return _train_and_score(recipe, config, options)


def _train_and_score(
    recipe: DetectorRecipe, config: DetectorConfig, options: argparse.Namespace
) -> int:
    from s3d.detect.annotations.relabel import restrict_labels
    from s3d.detect.network.detector_file import load_detector
    from s3d.detect.run.evaluate import ScoreSettings, evaluate_detector
    from s3d.detect.run.finder import BoxFinder
    from s3d.detect.score.table import detection_summary, format_detection_score
    from s3d.detect.train.data import read_part
    from s3d.detect.train.train import train_detector
    from s3d.models.device import choose_device

    model = load_detector(train_detector(config, options.quiet))
    finder = BoxFinder(model, choose_device(config.device))
    data = restrict_labels(read_part(config.data, None, "test"), model.labels)
    outcome = evaluate_detector(finder, data, ScoreSettings())
    paper = [{"network": f.network, "metric": f.metric, "value": f.paper} for f in recipe.figures]
    summary = detection_summary(outcome.score)
    found = {"recipe": recipe.title, "paper": paper, "result": summary}
    write_json(Path(config.out) / "recipe.json", found)
    print(format_detection_score(outcome.score))
    for figure in recipe.figures:
        print(f"  the paper's {figure.network}: {figure.metric} {figure.paper:g} %")
    return 0
