"""What a person sees while a verb works: errors of one line, bars of progress."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from s3d.errors import InputError
from s3d.files import show_path

USER_ERROR = 2
SILENT_SECONDS = 5.0


def print_error(message: str) -> int:
    """Print an error as one line on stderr and return its exit code.

    Args:
        message: What came, what is needed, what to do; its line breaks become spaces.
    """
    print(f"s3d: {show_path(' '.join(message.split()))}", file=sys.stderr)
    return USER_ERROR


@contextmanager
def first_complains() -> Iterator[None]:
    """Let only the first of many processes complain of the words that torchrun told them all."""
    try:
        yield
    except InputError:
        if os.environ.get("RANK", "0") == "0":
            raise
        # torchrun ends all others with the first that ends: that must be the one that speaks.
        time.sleep(SILENT_SECONDS)
        raise SystemExit(USER_ERROR) from None


def escape_what_cannot_be_encoded() -> None:
    """Let names and bars that the terminal's encoding lacks be printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def progress_bar(what: str) -> Callable[[int, int], None] | None:
    """Return what shows progress on a terminal; nothing elsewhere.

    Args:
        what: The word before the bar, as in "scoring".

    Returns:
        A function of how many are done and how many there are, or None without a terminal.
    """
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bar: Any = None

    def tell(done: int, total: int) -> None:
        nonlocal bar
        bar = bar or tqdm(total=total, desc=what, leave=False, dynamic_ncols=True)
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return tell
