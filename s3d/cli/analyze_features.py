"""s3d analyze features: how classes part from block to block."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3d.cli.analyze_options import add_result_options, choose_folder, name_model
from s3d.cli.model_options import load_recognizer
from s3d.cli.parser import DATA_HELP, Verbs, add_verb, split_words
from s3d.cli.terminal import print_error, progress_bar
from s3d.files import show_path

if TYPE_CHECKING:
    from s3d.data.video_list import VideoList
    from s3d.explore.analyse.separation import Separation

BLOCKS = "pool3a,pool4a,pool5a,mixed5c"
"""As `s3d.explore.analyse.features.DEFAULT_BLOCKS`, which would import torch."""


def add(verbs: Verbs) -> None:
    """Add the analysis and its options."""
    text = "features of labelled videos at some blocks, by tSNE, and how often neighbours are right"
    parser = add_verb(verbs, "features", text, run)
    parser.add_argument(
        "model", metavar="MODEL", help="model.safetensors, or published weights by name"
    )
    parser.add_argument("data", metavar="DATA", help=DATA_HELP)
    parser.add_argument("--at", default=BLOCKS, metavar="BLOCK,BLOCK", help=f"blocks [{BLOCKS}]")
    parser.add_argument(
        "--videos", type=int, default=50, metavar="N", help="at most, of each class [50]"
    )
    parser.add_argument("--protocol", default="clip", help="clip, cover or 10x3 [clip]")
    parser.add_argument("--neighbours", type=int, default=5, metavar="K", help="that vote [5]")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the pictures [0]")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--engine", default="auto", metavar="NAME", help="what runs the network [auto]"
    )
    add_result_options(parser, "features")


def run(options: argparse.Namespace) -> int:
    """Compute, write and print what was found, and return the exit code.

    A video that cannot be read is named on stderr and left out.
    """
    blocks = _check(options)
    from s3d.data.videos import list_videos
    from s3d.explore.analyse.features import choose_videos, compute_block_features
    from s3d.explore.analyse.features_plot import draw_features
    from s3d.explore.analyse.separation import measure_separation
    from s3d.explore.analyse.write import write_analysis
    from s3d.models.family import network_name

    listed = list_videos(options.data)
    listed = listed.take(listed.evaluated_part)
    videos, recognizer = choose_videos(listed.videos, options.videos), load_recognizer(options)
    found = compute_block_features(
        recognizer, videos, blocks, options.protocol, progress=progress_bar("computing features")
    )
    for path, reason in found.failures:
        print_error(reason if show_path(path) in reason else f"{path}: {reason}")
    separation = measure_separation(found, options.neighbours, options.seed)
    folder, network = choose_folder(options), network_name(recognizer.network.word)
    values = {"network": network, **_describe(options, listed), **separation.to_json()}
    picture = draw_features(
        separation, f"Features by class: {network}, {name_model(options.model)}"
    )
    write_analysis(folder, "features", values, separation.to_rows(), picture)
    shown = json.dumps(values, ensure_ascii=False, indent=1)
    print(shown if options.json else _show(separation, listed, folder))
    return 0


def _check(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the blocks; what cannot be done is refused before anything is."""
    from s3d.explore.analyse.embed import check_can_embed
    from s3d.explore.analyse.features import check_blocks, check_protocol
    from s3d.explore.analyse.neighbours import check_neighbours

    blocks = check_blocks(split_words(options.at))
    check_protocol(options.protocol)
    check_neighbours(options.neighbours)
    check_can_embed()
    return blocks


def _describe(options: argparse.Namespace, listed: VideoList) -> dict[str, Any]:
    return {
        "model": show_path(options.model),
        "data": show_path(listed.source),
        "part": listed.part,
        "protocol": options.protocol,
        "most_videos_a_class": options.videos,
    }


def _show(separation: Separation, listed: VideoList, folder: Path) -> str:
    from s3d.explore.analyse.separation import describe_depth
    from s3d.page.text import plural

    found = separation.found
    videos = plural(len(found.videos), "video")
    classes = plural(len(set(found.labels)), "class")
    where = f"{show_path(listed.source)}, its part {listed.part}"
    return "\n".join(
        (
            f"{videos} of {classes} in {where}",
            *describe_depth(separation.accuracy),
            f"in        {show_path(folder)}",
        )
    )
