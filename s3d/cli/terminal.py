"""What a person sees while a verb works: errors of one line, bars of progress."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

from s3d.files import show_path

USER_ERROR = 2


def print_error(message: str) -> int:
    """Print an error as one line on stderr and return its exit code.

    Args:
        message: What came, what is needed, what to do; its line breaks become spaces.
    """
    print(f"s3d: {show_path(' '.join(message.split()))}", file=sys.stderr)
    return USER_ERROR


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
