"""s3d quantize: a model that runs in 8 bits, with what that costs it."""

from __future__ import annotations

import argparse
from pathlib import Path

from s3d.cli.parser import DATA_HELP, Verbs, add_verb
from s3d.cli.terminal import progress_bar
from s3d.errors import InputError
from s3d.files import show_path


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "quantize", "let a model run in 8 bits, and score it", run)
    parser.add_argument("model", help="model.safetensors of a run, or published weights by name")
    parser.add_argument("data", help=DATA_HELP)
    parser.add_argument("--out", required=True, metavar="FILE", help="model.safetensors to write")
    parser.add_argument(
        "--clips", type=int, default=64, metavar="N", help="clips to find ranges from [64]"
    )
    parser.add_argument("--protocol", default="clip", help="clip, all-frames, 10x3 or cover [clip]")
    parser.add_argument("--quarantine", metavar="FILE", help="leave out what `s3d check` listed")


def run(options: argparse.Namespace) -> int:
    """Write the model, print what 8 bits cost it, and return the exit code."""
    _check_out(options.out)
    if options.clips < 1:
        raise InputError(f"--clips is {options.clips}; at least 1 is needed.")
    from s3d.data.quarantine import leave_out
    from s3d.data.videos import list_videos
    from s3d.evaluate.quantise import quantise
    from s3d.infer.views import check_protocol
    from s3d.models.model_file import save_model
    from s3d.models.open import open_model

    check_protocol(options.protocol)
    model = open_model(options.model)
    videos = leave_out(list_videos(options.data, least_classes=1), options.quarantine)
    found = quantise(
        model, videos, clips=options.clips, protocol=options.protocol, watch=progress_bar
    )
    save_model(options.out, found.model)
    assert found.model.ranges is not None
    before, after = found.before, found.after
    print(
        f"{'ranges':<9}of {len(found.model.ranges.highest)} places, from {found.clips} clips of "
        f"{show_path(found.clips_from)}"
    )
    print(f"{'32 bits':<9}top-1 {before.top(1):.2%}, {before.coverage}, {before.protocol} protocol")
    print(f"{'8 bits':<9}top-1 {after.top(1):.2%}; {found.alike:,} videos are named as before")
    print(f"{'logits':<9}differ by {found.difference:.2%} of their norm")
    print(f"{'model':<9}{show_path(options.out)}")
    return 0


def _check_out(out: str) -> None:
    """Refuse a place where no file can be, before the work is done."""
    path = Path(out)
    if not path.name or path.is_dir():
        raise InputError(
            f"--out is {show_path(out) or 'empty'}; it needs a file, as int8.safetensors."
        )
    if not path.parent.is_dir():
        raise InputError(f"--out: there is no folder {show_path(path.parent)}. Make it first.")
