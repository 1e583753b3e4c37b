"""s3d flow --ray: the same files, computed on Ray."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3d.cli.batch_options import choose_runner, do_batch, print_summary

if TYPE_CHECKING:
    from s3d.data.flow.folder import FlowJob


def flow_many(jobs: Sequence[FlowJob], options: argparse.Namespace) -> int:
    """Write the flow of each video, and return the exit code: 2 if one failed."""
    from s3d.batch.flow import FlowFileJob
    from s3d.batch.job import Item
    from s3d.data.find_videos import FLOW_ENDING

    out = os.path.abspath(options.out)  # noqa: PTH100
    items = []
    for planned in jobs:
        place = planned.target.relative_to(options.out).as_posix().removesuffix(FLOW_ENDING)
        items.append(Item(os.path.abspath(planned.source), place))  # noqa: PTH100
    job = FlowFileJob(out, options.method, options.short_side, options.device)
    runner, _ = choose_runner(job, options)
    return print_summary(do_batch(items, runner, None, "flow"), "flow", options.out)
