"""An iterator that a thread runs ahead of who takes from it, a few items and no more."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

POLL_SECONDS = 0.2


class _End(Generic[Item]):
    """Say that no item follows, and why."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def iterate_ahead(begin: Callable[[], Iterator[Item]], most: int) -> Generator[Item, None, None]:
    """Yield the items of an iterator that runs in a thread.

    The thread begins with the first item that is asked for. It closes the iterator itself, so that
    a container is closed by whoever opened it; close this generator to end it early.

    Args:
        begin: Makes the iterator, in the thread.
        most: Items that wait to be taken; the thread stops until there is room.

    Raises:
        BaseException: What the iterator raised, after the items before.
    """
    waiting: queue.Queue[Item | _End[Item]] = queue.Queue(most)
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(begin, waiting, stop), daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        thread.join()


def _run(
    begin: Callable[[], Iterator[Item]],
    waiting: queue.Queue[Item | _End[Item]],
    stop: threading.Event,
) -> None:
    end: _End[Item] = _End()
    try:
        items = begin()
        try:
            for item in items:
                if not _put(item, waiting, stop):
                    break
        finally:
            close = getattr(items, "close", None)
            if close:
                close()
    except BaseException as error:
        end = _End(error)
    _put(end, waiting, stop)


def _put(
    item: Item | _End[Item], waiting: queue.Queue[Item | _End[Item]], stop: threading.Event
) -> bool:
    """Hand an item over; False where nobody takes any more."""
    while not stop.is_set():
        try:
            waiting.put(item, timeout=POLL_SECONDS)
        except queue.Full:
            continue
        return True
    return False
