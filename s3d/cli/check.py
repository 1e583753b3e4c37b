"""s3d check: what is wrong with a folder of videos or a data set."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.batch_options import add_batch_options, check_batch_options
from s3d.cli.check_many import check_many
from s3d.cli.parser import DATA_HELP, Verbs, add_verb
from s3d.cli.terminal import progress_bar
from s3d.errors import InputError
from s3d.files import show_path

if TYPE_CHECKING:
    from s3d.data.doctor import Checkup

FOUND = 1
"""The exit code where something was found."""
EXAMPLES = 3


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "find broken, odd, doubled and missing videos; exit code 1 where there are any"
    parser = add_verb(verbs, "check", text, run)
    parser.add_argument("data", help=f"{DATA_HELP}; or any folder of videos")
    parser.add_argument("--quarantine", metavar="FILE", help="list here what is to be left out")
    parser.add_argument("--threads", type=int, metavar="N", help="videos at a time [cores]")
    parser.add_argument("--json", action="store_true", help="print JSON with every finding")
    add_batch_options(parser, out="what was seen of each video")


def run(options: argparse.Namespace) -> int:
    """Print what was found, and return 0 where that is nothing, otherwise 1."""
    threads = os.cpu_count() or 1 if options.threads is None else options.threads
    if threads < 1:
        raise InputError(f"--threads is {threads}; at least 1 is needed.")
    from s3d.data.doctor import check_videos, list_for_check
    from s3d.data.quarantine import write_quarantine

    if options.quarantine and not Path(options.quarantine).absolute().parent.is_dir():
        raise InputError(f"{show_path(options.quarantine)}: no such folder. Make it first.")
    listed = list_for_check(options.data)
    if check_batch_options(options):
        checkup = check_many(listed, options, threads)
    else:
        checkup = check_videos(listed, threads, progress_bar("checking"))
    if options.quarantine:
        write_quarantine(Path(options.quarantine), checkup.quarantine)
    if options.json:
        print(json.dumps(checkup.to_json(), ensure_ascii=False, indent=1))
    else:
        print("\n".join(_lines(checkup, options.quarantine)))
    return FOUND if checkup.findings else 0


def _lines(checkup: Checkup, quarantine: str | None) -> Iterator[str]:
    from s3d.data.doctor import KINDS

    listed = checkup.listed
    classes = f" of {len(listed.labels)} classes" if listed.labels else ""
    yield f"data       {show_path(listed.source)}"
    checked = f"{len(listed.videos):,} of {listed.listed:,} videos"
    yield f"checked    {checked}{classes} in {checkup.seconds:.1f} s"
    if listed.missing or any(video.split for video in listed.videos):
        yield f"parts      {listed.count_parts()}"
    if not checkup.findings:
        yield "clean      nothing was found"
        return
    for kind, count in checkup.counts.items():
        mark = " (left out by --quarantine)" if KINDS[kind].leaves_out else ""
        yield ""
        yield f"{kind:<14} {count:>6,}   {KINDS[kind].text}{mark}"
        yield from _examples(checkup, kind, count)
    yield ""
    yield _advice(checkup, quarantine)


def _examples(checkup: Checkup, kind: str, count: int) -> Iterator[str]:
    shown = [finding for finding in checkup.findings if finding.kind == kind][:EXAMPLES]
    for finding in shown:
        yield f"    {show_path(finding.path)}: {show_path(finding.detail)}"
    if count > EXAMPLES:
        yield f"    and {count - EXAMPLES:,} more (--json names all)"


def _advice(checkup: Checkup, quarantine: str | None) -> str:
    rows = len(checkup.quarantine)
    if quarantine:
        return (
            f"{rows:,} files are listed in {show_path(quarantine)}; "
            f"train and evaluate leave them out with --quarantine {show_path(quarantine)}"
        )
    if rows:
        return f"{rows:,} files should be left out: --quarantine FILE writes their list"
    return "no file needs to be left out"
