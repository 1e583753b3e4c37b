"""s3d similar: which videos of a folder move like a clip."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.model_options import add_model_options, load_recognizer
from s3d.cli.parser import Verbs, add_verb
from s3d.cli.terminal import progress_bar
from s3d.errors import InputError
from s3d.files import show_path, write_bytes, write_json
from s3d.models.shipped.table import FOR_LIKENESS

if TYPE_CHECKING:
    from s3d.infer.similar.similar import Found

STDOUT = "-"
OUTPUTS = ("out", "json", "csv")
SECONDS_BETWEEN_LINES = 60.0


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "rank the videos of a folder by how alike they move to a clip"
    parser = add_verb(verbs, "similar", text, run)
    parser.add_argument("query", metavar="QUERY", help="the clip: a video")
    parser.add_argument(
        "folder", metavar="FOLDER",
        help="where is searched, with all below; or a video, CSV list, data set NAME:DIR",
    )  # fmt: skip
    parser.add_argument(
        "--start", type=float, metavar="SECONDS", help="where in QUERY the moment begins [0]"
    )
    parser.add_argument("--end", type=float, metavar="SECONDS", help="where it ends [its end]")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many to show [10]")
    parser.add_argument(
        "--moments", action="store_true", help="every moment of a video counts, not its best alone"
    )
    parser.add_argument("--out", metavar="PAGE", help="write a page of one file that plays them")
    parser.add_argument("--json", metavar="FILE", help="write JSON; - prints it")
    parser.add_argument("--csv", metavar="FILE", help="write a table; - prints it")
    add_model_options(parser, default=FOR_LIKENESS)
    parser.add_argument("--at", default="mixed5c", metavar="BLOCK", help="the block [mixed5c]")
    parser.add_argument(
        "--stride", type=float, metavar="SECONDS", help="from window to window [half a window]"
    )
    parser.add_argument(
        "--index", metavar="DIR",
        help="where features are kept, so that the next search is at once [the cache folder]",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print and write what is alike, and return the exit code.

    Videos that cannot be read are counted; they do not end the search.
    """
    _check_outputs(options)
    from s3d.infer.similar.query import Query
    from s3d.infer.similar.similar import SearchRecipe, check_query, find_similar

    query = Query(options.query, options.start, options.end)
    recipe = SearchRecipe(options.at, options.stride, options.top, options.moments, options.index)
    check_query(options.query)
    begin = time.perf_counter()
    found = find_similar(load_recognizer(options), query, options.folder, recipe, _teller())
    seconds = time.perf_counter() - begin
    _write(found, options)
    if STDOUT not in (options.json, options.csv):
        print(_show(found, options, seconds))
    return 0


def _check_outputs(options: argparse.Namespace) -> None:
    """Check that files can be written where they are wanted, before anything is computed."""
    from s3d.train.run import check_writable

    if options.json == options.csv == STDOUT:
        raise InputError("--json - and --csv - would both be printed. Give one of them a file.")
    used = {os.path.realpath(options.query): "QUERY"}
    for name in OUTPUTS:
        place = getattr(options, name)
        if place is None or (place == STDOUT and name != "out"):
            continue
        path = Path(place)
        if not place or path.is_dir():
            raise InputError(f"--{name} {show_path(place)}: is a folder. Name a file.")
        other = used.setdefault(os.path.realpath(path), f"--{name}")
        if other != f"--{name}":
            raise InputError(f"--{name} and {other} are one file, {show_path(place)}. Name two.")
        if not path.absolute().parent.is_dir():
            raise InputError(f"{show_path(path.parent)}: no such folder. Make it first.")
        check_writable(path.absolute().parent)


def _write(found: Found, options: argparse.Namespace) -> None:
    from s3d.infer.similar.page import build_page
    from s3d.infer.similar.tables import as_json, format_csv

    values = as_json(found, options.model, options.folder)
    if options.json == STDOUT:
        print(json.dumps(values, indent=1, ensure_ascii=False))
    elif options.json is not None:
        write_json(Path(options.json), values)
    if options.csv == STDOUT:
        print(format_csv(found), end="")
    elif options.csv is not None:
        write_bytes(Path(options.csv), _as_bytes(format_csv(found)))
    if options.out is not None:
        page = Path(options.out)
        write_bytes(page, _as_bytes(build_page(found, options.model, options.folder, page)))


def _as_bytes(text: str) -> bytes:
    # Of file names that are not UTF-8 Python keeps bytes as surrogates.
    return text.encode("utf-8", "backslashreplace")


def _show(found: Found, options: argparse.Namespace, seconds: float) -> str:
    from s3d.infer.timeline_axis import clock

    rows = [
        (show_path(hit.path), f"{clock(hit.start_seconds)}  {clock(hit.end_seconds)}", hit.likeness)
        for hit in found.hits
    ]
    wide = max(len(path) for path, _, _ in rows)
    lines = [
        f"{rank:4}  {likeness:.2f}  {path:<{wide}}  {span}"
        for rank, (path, span, likeness) in enumerate(rows, 1)
    ]
    query, recipe = found.query, found.recipe
    span = f"{clock(query.start_seconds)}  {clock(query.end_seconds)}"
    lines.append(f"query     {show_path(query.path)}  {span}")
    lines.append(f"windows   {recipe.spec.describe()}; one every {recipe.stride:.3g} s")
    lines.append(f"videos    {_show_count(found)}, in {seconds:.1f} s")
    for error in [error for _, error in found.failures][:1]:
        count = len(found.failures)
        lines.append(f"skipped   {count:,} that cannot be read; the first: {show_path(error)}")
    lines += [f"page      {show_path(options.out)}"] if options.out else []
    return "\n".join(lines)


def _show_count(found: Found) -> str:
    count = f"{found.videos:,} compared"
    return f"{count}, {found.computed:,} of them for the first time" if found.computed else count


def _teller() -> Callable[[int, int], None]:
    """Return what shows a bar on a terminal, and elsewhere prints a line a minute."""
    bar = progress_bar("videos")
    if bar is not None:
        return bar
    said = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said > SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            print(f"similar: {done:,} of {total:,} videos", file=sys.stderr, flush=True)

    return tell
