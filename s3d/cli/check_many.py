"""s3d check --out: what was seen of each video, kept in Parquet files, here or on Ray."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from s3d.cli.batch_options import choose_runner, do_batch

if TYPE_CHECKING:
    from s3d.data.doctor import Checkup
    from s3d.data.video_list import VideoList


def check_many(listed: VideoList, options: argparse.Namespace, threads: int) -> Checkup:
    """Look at every video that --out does not hold yet, and judge the whole.

    Args:
        listed: The videos.
        options: Hold --ray, --workers and --out.
        threads: Videos at a time in this process.

    Raises:
        InputError: The folder cannot be used, or Ray cannot be reached.
    """
    from s3d.batch.check import COLUMNS, CheckJob, examinations
    from s3d.batch.items import items_below
    from s3d.batch.results import as_text
    from s3d.data.doctor import diagnose
    from s3d.data.examine import Examination

    begin = time.perf_counter()
    items = items_below((video.path for video in listed.videos), "")
    runner, results = choose_runner(CheckJob(), options, threads)
    assert results is not None
    summary = do_batch(items, runner, results, "checking")
    known, died = examinations(results.read(list(COLUMNS))), dict(summary.failures)
    seen = []
    for item, video in zip(items, listed.videos, strict=True):
        lost = Examination(video.path, (("unreadable", died.get(item.path, "not seen")),), 0, None)
        found = known.get(as_text(item.path), lost)
        seen.append(Examination(video.path, found.oddities, found.frames, found.signature))
    return diagnose(listed, seen, begin)
