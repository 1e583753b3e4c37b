"""A job: a pure function from one video to its rows, or to a failure that has a name.

A job itself is a few settings, so that it can be sent to other machines; opened, it holds what the
work needs, such as a network, and is a function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from s3d.errors import InputError
from s3d.files import show_path

Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """Name one video.

    Attributes:
        path: Where it is; absolute, since whoever works on it may be anywhere.
        place: Its path below the folder it was found in, for what is written in the same tree.
    """

    path: str
    place: str


@dataclass(frozen=True)
class Outcome:
    """Say what became of a video.

    Attributes:
        path: Which one.
        rows: Its rows of the results; none where they are a file of their own.
        error: Why there are none, in one line.
        is_old: It was done before.
        is_fatal: Nothing more can come of this job; the error says why.
    """

    path: str
    rows: tuple[Row, ...] = ()
    error: str | None = None
    is_old: bool = False
    is_fatal: bool = False


class Task(Protocol):
    """An opened job. It may be called by several threads at a time."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Return the kind of each column of the rows; none where there are no rows."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Return what must be the same for results to be of one job, as JSON values."""

    def __call__(self, item: Item) -> Outcome:
        """Do the work; raises InputError where the video is at fault."""


class Job(Protocol):
    """Settings of the work."""

    @property
    def device(self) -> str:
        """Return where the work is done: cpu or cuda."""

    def open(self) -> Task:
        """Return the work itself; raises InputError where a setting cannot be used."""


def attempt(task: Task, item: Item) -> Outcome:
    """Return what becomes of a video, whatever happens: one must not end the work on a million."""
    try:
        return task(item)
    except InputError as error:
        return Outcome(item.path, error=str(error))
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return Outcome(
            item.path,
            error=f"{show_path(item.path)}: a fault of s3d ({what}). Report it with the video.",
        )
