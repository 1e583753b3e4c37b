"""What recipes/paper_in_miniature.py and recipes/paper_on_fights.py run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.parser import Parser, parse
from s3d.cli.terminal import print_error
from s3d.errors import InputError

if TYPE_CHECKING:
    from s3d.explore.findings.miniature import Miniature
    from s3d.explore.settings import ExploreConfig
    from s3d.train.config import TrainConfig

DOCS = Path(__file__).resolve().parents[2] / "docs"


def run_miniature(miniature: Miniature, words: Sequence[str] | None = None) -> int:
    """Train what is missing, or rows again, and write the page; return the exit code.

    Args:
        miniature: The recipe.
        words: Of the command line, without the program's name; None takes those of this process.
    """
    try:
        return _run(miniature, sys.argv[1:] if words is None else words)
    except InputError as error:
        return print_error(str(error))


def run_on_real_clips(
    config: ExploreConfig,
    recipe: TrainConfig,
    name: str,
    record: Path,
    words: Sequence[str] | None = None,
) -> int:
    """Explore real clips by folds, and keep what came of it; return the exit code.

    Args:
        config: The exploration.
        recipe: The options of every training.
        name: Of the clips, as the page says it.
        record: The file to write.
        words: Of the command line, without the program's name; None takes those of this process.
    """
    from s3d.explore.conclude import conclude
    from s3d.explore.explore import run_exploration
    from s3d.explore.findings.real import keep_real, record_real
    from s3d.train.display import Display

    parser = Parser(prog=Path(sys.argv[0]).name, allow_abbrev=False, description=name)
    parser.add_argument("--out", default=config.out, metavar="DIR", help="of the trainings")
    parser.add_argument("--record", default=str(record), metavar="FILE")
    command = f"python recipes/{parser.prog}"
    try:
        options = parse(sys.argv[1:] if words is None else words, parser)
        display = Display()
        found = run_exploration(
            replace(config, out=options.out), recipe, display.say, display.stage
        )
        conclusion = conclude(found, command, display.say)
        keep_real(Path(options.record), record_real(conclusion.found, name, command))
    except InputError as error:
        return print_error(str(error))
    print(f"{conclusion.found.recommendation.text}\nrecord  {options.record}")
    return 0


def _run(miniature: Miniature, words: Sequence[str]) -> int:
    from s3d.explore.findings.run import Wanted, choose, complete, refresh_page, train_again

    parser = Parser(prog=Path(sys.argv[0]).name, allow_abbrev=False, description=__doc__)
    parser.add_argument("--networks", metavar="A,B", help="which of the recipe's [all]")
    parser.add_argument("--seeds", metavar="0,1", help="which of the recipe's [all]")
    parser.add_argument("--out", default="runs/miniature", metavar="DIR", help="of the trainings")
    parser.add_argument("--record", default=str(DOCS / "findings.json"), metavar="FILE")
    parser.add_argument("--page", default=str(DOCS / "findings.md"), metavar="FILE")
    parser.add_argument("--workers", type=int, metavar="N", help="trainings at a time [cores]")
    parser.add_argument("--again", action="store_true", help="train rows anew and compare")
    parser.add_argument("--page-only", action="store_true", help="write the page from the rows")
    options = parse(words, parser)
    if options.workers is not None and options.workers < 1:
        raise InputError(f"--workers is {options.workers}; at least 1 is needed.")
    seeds = choose(options.seeds, [str(seed) for seed in miniature.seeds], "seed")
    wanted = Wanted(
        choose(options.networks, miniature.networks, "network"),
        tuple(map(int, seeds)),
        Path(options.out).absolute(),
        Path(options.record),
        Path(options.page),
        options.workers or len(os.sched_getaffinity(0)),
    )
    if options.again:
        return 0 if train_again(miniature, wanted, print) else 1
    if options.page_only:
        refresh_page(miniature, wanted)
    else:
        complete(miniature, wanted, print)
    print(f"page    {wanted.page}")
    return 0
