"""s3d analyze activation: where and when a network looks, as a film."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.analyze_options import choose_folder
from s3d.cli.analyze_videos import add_model, make_csv
from s3d.cli.model_options import load_recognizer
from s3d.cli.parser import Verbs, add_verb
from s3d.errors import InputError
from s3d.files import make_folder, show_path, write_bytes, write_json, write_text

if TYPE_CHECKING:
    from s3d.explore.analyse.activation import Activation

SUFFIX = ".mp4"


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "show where and when a network looks in a video, for a class, as a film"
    parser = add_verb(verbs, "activation", text, run)
    add_model(parser, takes_engine=False)
    parser.add_argument("video", metavar="VIDEO", help="a file of any length")
    parser.add_argument(
        "--class", dest="label", metavar="NAME", help="what is looked for [the likeliest]"
    )
    parser.add_argument(
        "--at", default="mixed5c", metavar="BLOCK",
        help="mixed5c: what each place adds to the logit; an earlier block is finer, by Grad-CAM "
        "[mixed5c]",
    )  # fmt: skip
    parser.add_argument(
        "--start", type=float, metavar="SECONDS",
        help="of one window [windows over the whole video]",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="FILE.mp4", help="the film; a strip (.png), .csv and .json come beside it "
        "[<name of the model>-activation/<video>_<class>.mp4]",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Write the film and what lies beside it, say so, and return the exit code."""
    from s3d.explore.analyse.activation import activation_of
    from s3d.explore.analyse.activation_film import write_film
    from s3d.explore.analyse.activation_strip import draw_strip

    _check_out(options.out)
    recognizer = load_recognizer(options)
    found = activation_of(recognizer, options.video, options.label, options.at, options.start)
    path = _choose_file(options, found.label)
    write_film(found, path)
    write_bytes(path.with_suffix(".png"), draw_strip(found))
    write_text(path.with_suffix(".csv"), make_csv(found.to_rows()))
    write_json(path.with_suffix(".json"), found.to_json())
    if options.json:
        print(json.dumps(found.to_json(), ensure_ascii=False, indent=1))
    else:
        print(format_activation(found, path))
    return 0


def _check_out(out: str | None) -> None:
    if out is not None and Path(out).suffix.lower() != SUFFIX:
        raise InputError(f"--out {show_path(out)}: a film is an MP4 file. Name one that ends .mp4.")


def _choose_file(options: argparse.Namespace, label: str) -> Path:
    if options.out is not None:
        path = Path(options.out)
        make_folder(path.parent)
        return path
    plain = [re.sub(r"[^\w.-]+", "_", text).strip("_.") for text in (_stem(options.video), label)]
    return choose_folder(options) / f"{'_'.join(filter(None, plain))[:150] or 'film'}{SUFFIX}"


def _stem(video: str) -> str:
    return Path(video.partition("?")[0]).stem


def format_activation(found: Activation, path: Path) -> str:
    """Return what was found and where it lies, as lines of text."""
    begin, end = found.span
    steps, height, width = found.maps.shape[1:]
    times = sorted(found.to_rows(), key=lambda row: -row["activation"])
    method = "class activation map, sums to the logit" if found.is_exact else "Grad-CAM"
    windows = len(found.maps)
    return "\n".join([
        f"video      {show_path(found.path)}, {begin:.2f} to {end:.2f} s, "
        f"{windows:,} window{'' if windows == 1 else 's'}",
        f"class      {found.label}, score {found.score:.1%}",
        f"at         {found.at}: {steps} steps of {height} x {width} places; {method}",
        f"most       at {times[0]['seconds']:.2f} s",
        f"written    {show_path(path)}, .png, .csv, .json",
    ])  # fmt: skip
