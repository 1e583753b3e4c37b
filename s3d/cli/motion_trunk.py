"""What recipes/motion_trunk.py runs: pretraining a trunk, and packing it into the package."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from s3d.cli.parser import Parser, parse
from s3d.cli.terminal import print_error
from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.model_file import load_model
from s3d.models.shipped.table import FOLDER, SHIPPED
from s3d.models.shipped.trunks import file_sha256, save_trunk
from s3d.pretrain.pretrain import pretrain
from s3d.pretrain.settings import INGREDIENTS, PretrainConfig


def run_trunks(
    trunks: Mapping[str, PretrainConfig],
    words: Sequence[str] | None = None,
    folder: Path = FOLDER,
) -> int:
    """Learn a trunk by its recipe; return the exit code.

    Args:
        trunks: Recipes by name, the first of them the one that is learnt where none is named.
        words: Of the command line, without the program's name; None takes those of this process.
        folder: Where shipped trunks lie.
    """
    try:
        return _run(trunks, sys.argv[1:] if words is None else words, folder)
    except InputError as error:
        return print_error(str(error))


def _run(trunks: Mapping[str, PretrainConfig], words: Sequence[str], folder: Path) -> int:
    parser = Parser(
        prog=Path(sys.argv[0]).name,
        description="Learn motion from drawn clips.",
        allow_abbrev=False,
    )
    parser.add_argument("--trunk", choices=tuple(trunks), default=next(iter(trunks)))
    parser.add_argument("--out", type=Path, default=Path("runs/motion_trunk"), metavar="RUN")
    parser.add_argument(
        "--leave-out", nargs="+", choices=INGREDIENTS, default=[], help="ingredients to do without"
    )
    parser.add_argument("--clips", type=int, help="clips shown in all, in place of the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1, help="that draw clips [1]")
    parser.add_argument("--ship", action="store_true", help="write the trunk into the package")
    options = parse(words, parser)
    config = replace(
        trunks[options.trunk],
        left_out=tuple(sorted(options.leave_out)),
        seed=options.seed,
        clips=trunks[options.trunk].clips if options.clips is None else options.clips,
    )
    if options.ship and config != trunks[options.trunk]:
        raise InputError(
            "--ship packs what the recipe gives; leave --leave-out, --clips and --seed out."
        )
    path = pretrain(config, options.out, options.processes)
    print(f"{show_path(path)}: learnt from {config.clips:,} clips")
    if options.ship:
        _ship(options.trunk, path, folder)
    return 0


def _ship(name: str, path: Path, folder: Path) -> None:
    """Write a trunk into the package, and say whether the table knows it."""
    to = folder / f"{name}.safetensors"
    save_trunk(to, load_model(path))
    found = file_sha256(to)
    known = name in SHIPPED and SHIPPED[name].sha256 == found
    told = "as recorded" if known else "not what s3d/models/shipped/table.py records: put it there"
    print(f"{show_path(to)}: {to.stat().st_size:,} bytes, sha256 {found}, {told}")
