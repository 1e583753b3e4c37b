"""One evaluation on many processes: each scores a share of the videos, all know what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from s3d.models.processes import Processes

Item = TypeVar("Item")
Result = TypeVar("Result")


def predict_together(
    predict: Callable[[Sequence[Item]], Iterable[Result]],
    videos: Sequence[Item],
    processes: Processes,
) -> Iterator[Result]:
    """Yield a result for each video, in order and once, whoever scored it.

    Args:
        predict: Yields a result for each of the videos it is given, in order.
        videos: All of them, the same for every process.
        processes: Which share them. A video is scored as a whole by one of them, so that its
            scores are those of an evaluation in one process.
    """
    if processes.is_alone:
        yield from predict(videos)
        return
    own = list(predict(processes.share(videos)))
    processes.wait()  # Videos of a share may be much longer than those of another.
    yield from processes.collect(own)
