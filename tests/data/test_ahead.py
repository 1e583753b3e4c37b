"""An iterator runs ahead so far and no further, and is closed by the thread that ran it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from s3d.data.ahead import iterate_ahead


class Source:
    """Count up, and remember what was done where."""

    def __init__(self, stop: int, error: Exception | None = None) -> None:
        self.stop, self.error = stop, error
        self.given = 0
        self.began_in: int | None = None
        self.closed_in: int | None = None

    def __call__(self) -> Iterator[int]:
        self.began_in = threading.get_ident()
        try:
            for number in range(self.stop):
                self.given += 1
                yield number
            if self.error:
                raise self.error
        finally:
            self.closed_in = threading.get_ident()


def settle(source: Source) -> int:
    """Return how many were given once no more come."""
    given = -1
    while source.given != given:
        given = source.given
        time.sleep(0.1)
    return given


def test_all_items_come_in_order() -> None:
    source = Source(50)
    assert list(iterate_ahead(source, 3)) == list(range(50))
    assert source.began_in == source.closed_in != threading.get_ident()


def test_no_more_than_so_many_wait() -> None:
    source = Source(50)
    items = iterate_ahead(source, 3)
    assert source.given == 0
    assert next(items) == 0
    assert settle(source) == 5  # one taken, three waiting, one at the door
    assert [next(items) for _ in range(4)] == [1, 2, 3, 4]
    assert settle(source) == 9
    items.close()


def test_an_error_comes_after_the_items_before_it() -> None:
    items = iterate_ahead(Source(2, ValueError("broken")), 3)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_an_error_at_the_beginning_comes_too() -> None:
    def begin() -> Iterator[int]:
        raise OSError("no such")

    with pytest.raises(OSError, match="no such"):
        list(iterate_ahead(begin, 1))


def test_closing_early_ends_the_thread_and_closes_the_iterator() -> None:
    source, threads = Source(10_000), threading.active_count()
    items = iterate_ahead(source, 2)
    next(items)
    items.close()
    assert threading.active_count() == threads
    assert source.began_in == source.closed_in
    assert source.given < 10
