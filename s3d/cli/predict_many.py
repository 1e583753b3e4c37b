"""s3d predict --out: rows of scores in Parquet files, here or on Ray."""

from __future__ import annotations

import argparse

from s3d.cli.batch_options import absolute_model, choose_runner, do_batch, print_summary
from s3d.errors import InputError


def predict_many(options: argparse.Namespace) -> int:
    """Write a row for each video, and return the exit code: 2 if one failed."""
    if options.json:
        raise InputError("--json prints, and --out writes. Leave one out.")
    if options.flow is not None:
        raise InputError(
            "--flow is not read with --out, which computes what flow it needs. Leave it out, or "
            "label the flow itself with a model of flow."
        )
    from s3d.batch.items import list_items
    from s3d.batch.predict import PredictJob

    items = list_items(options.videos, options.out, keeps_tree=False)
    job = PredictJob(
        absolute_model(options.model), options.protocol, options.reversed, options.top,
        options.all_scores, options.device,
        absolute_model(options.flow_model) if options.flow_model else None, options.engine,
    )  # fmt: skip
    runner, results = choose_runner(job, options)
    return print_summary(do_batch(items, runner, results, "labelling"), "labelled", options.out)
