"""s3d shard: pack a data set into tar shards."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.parser import DATA_HELP, Verbs, add_verb
from s3d.cli.terminal import print_error, progress_bar
from s3d.errors import InputError
from s3d.files import show_path

if TYPE_CHECKING:
    from s3d.data.shards.write import Packed

MOST_MB = 1_000_000


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "pack videos into WebDataset tar shards, read as shards:DIR; goes on where it stopped"
    parser = add_verb(verbs, "shard", text, run)
    parser.add_argument("data", help=DATA_HELP)
    parser.add_argument("--out", required=True, metavar="DIR", help="where the shards are to be")
    parser.add_argument(
        "--shard-mb", type=int, default=500, metavar="MB", help="size of a shard, in 10^6 B [500]"
    )
    parser.add_argument("--part", metavar="NAME", help="train, val or test alone [all]")
    parser.add_argument("--quarantine", metavar="FILE", help="leave out what `s3d check` listed")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the order [0]")
    parser.add_argument("--threads", type=int, metavar="N", help="videos probed at a time [cores]")


def run(options: argparse.Namespace) -> int:
    """Write the shards, and return the exit code: 2 if a video could not be packed."""
    threads = os.cpu_count() or 1 if options.threads is None else options.threads
    if threads < 1:
        raise InputError(f"--threads is {threads}; at least 1 is needed.")
    if not 1 <= options.shard_mb <= MOST_MB:
        raise InputError(f"--shard-mb is {options.shard_mb}; it needs 1 to {MOST_MB}.")
    from s3d.data.quarantine import leave_out
    from s3d.data.shards.write import pack_shards, plan_packing
    from s3d.data.videos import list_videos

    listed = list_videos(options.data, least_classes=1)
    if options.part:
        listed = listed.take(options.part)
    kept = leave_out(listed, options.quarantine)
    out = Path(options.out)
    packing = plan_packing(out, listed, kept, options.shard_mb * 1_000_000, options.seed)
    packed = pack_shards(packing, threads, progress_bar("packing"))
    code = 0
    for _, reason in packed.index.failed:
        code = print_error(reason)
    print(f"packed    {_describe(packed)}")
    if lost := len(packed.index.missing):
        print(f"left out  {_count('listed video', lost)}: missing, broken or quarantined")
    print(f"in        {show_path(out)}; use it as shards:{show_path(out)}")
    return code


def _describe(packed: Packed) -> str:
    shards = len(packed.index.shards)
    before = shards - packed.written
    held = f"{_count('video', packed.videos)} in {_count('shard', shards)}"
    more = f", {before:,} done before" if before > 0 else ""
    return f"{held}, {packed.bytes / 1e6:,.1f} MB{more}"


def _count(what: str, number: int) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
