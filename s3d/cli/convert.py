"""s3d convert: somebody's published weights as a model file."""

from __future__ import annotations

import argparse
import difflib
import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3d.cli.parser import Verbs, add_verb
from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.style import Style

if TYPE_CHECKING:
    from s3d.models.published.convert import Conversion

SOURCES = "torchvision, kylemin, piergiaj, deepmind, slim, tf-garden, mil-nce, ibm"
MOST_LABELS_BYTES = 10_000_000
MOST_SHOWN = 12
EXAMPLE = "model.safetensors"


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "convert", "turn published weights into a model file", run)
    parser.add_argument(
        "file", help=".pt, .pth, .safetensors, or .index of a TensorFlow checkpoint"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="model.safetensors to write")
    parser.add_argument(
        "--from", dest="source", metavar="SOURCE", help=f"{SOURCES} [guessed from the names]"
    )
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line, in their order")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="a choice of style that no tensor shows, as time_strides=none for IBM's",
    )


def run(options: argparse.Namespace) -> int:
    """Write the model file, say what it holds, and return the exit code."""
    style = dict(_read_choice(text) for text in options.set)
    _check_out(options.out, options.file)
    labels = _read_labels(options.labels) if options.labels else None
    from s3d.models.model_file import save_model
    from s3d.models.published.convert import convert

    conversion = convert(options.file, options.source, labels=labels, style=style)
    save_model(options.out, conversion.model)
    for name, text in _describe(conversion):
        print(f"{name:<9}{text}")
    print(f"{'model':<9}{show_path(options.out)}")
    return 0


def _check_out(out: str, file: str) -> None:
    """Refuse a place where no file can be, or where the weights are, before they are read."""
    if not Path(out).name or Path(out).is_dir():
        raise InputError(f"--out is {show_path(out) or 'empty'}; it needs a file, as {EXAMPLE}.")
    if Path(out).exists() and Path(file).exists() and Path(out).samefile(file):
        raise InputError(f"--out is {show_path(file)} itself; it needs another file.")


def _read_choice(text: str) -> tuple[str, Any]:
    name, mark, value = text.partition("=")
    if not mark:
        raise InputError(f"--set is {text!r}; it needs FIELD=VALUE, as time_strides=none.")
    known = [field.name for field in fields(Style)]
    if name not in known:
        near = difflib.get_close_matches(name[:60], known, n=2)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise InputError(f"--set: no field {name!r} of style.{hint} Known: {', '.join(known)}.")
    try:
        return name, json.loads(value.lower() if value in ("True", "False") else value)
    except (ValueError, RecursionError):
        return name, value


def _read_labels(path: str) -> list[str]:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_LABELS_BYTES + 1)
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{show_path(path)}: cannot be read as class names ({reason}).") from None
    if len(content) > MOST_LABELS_BYTES:
        raise InputError(f"{show_path(path)}: too large for a list of class names.")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _describe(conversion: Conversion) -> list[tuple[str, str]]:
    from s3d.models.family import network_name
    from s3d.models.published.convert import summarise_unused

    model, network = conversion.model, conversion.model.network
    size = sum(p.numel() for p in network.parameters())
    low, high = model.spec.value_range
    name, guess = conversion.name, ", guessed from the names" if conversion.guessed else ""
    rows = [
        ("from", f"{conversion.source}{guess}" + (f"; it is {name}" if name else "")),
        (
            "network",
            f"{network_name(network.word)} x {network.width:g}, {size / 1e6:.2f} M parameters",
        ),
        ("clip", f"{model.spec.describe()}, values {low:.3g} to {high:.3g}"),
        ("classes", _show_labels(model.labels, network.num_classes)),
    ]
    rows += [(m["metric"], f"{m['value']:.2%} {m['protocol']}") for m in model.metrics]
    rows += [("origin", model.source), ("licence", model.licence)]
    unused = summarise_unused(conversion.unused)
    more = [f"and {len(unused) - MOST_SHOWN} more"] if len(unused) > MOST_SHOWN else []
    left = ", ".join([*unused[:MOST_SHOWN], *more])
    rows.append(("used", f"{conversion.used} tensors, each once"))
    rows += [("not used", left)] if left else []
    return [(key, show_path(text)) for key, text in rows]


def _show_labels(labels: tuple[str, ...], count: int) -> str:
    if not labels:
        return f"none: an embedding of {count} numbers"
    shown = ", ".join(labels[:2])
    return f"{count}: {shown}{', ...' if count > 2 else ''}"
