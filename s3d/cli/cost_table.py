"""What `s3d cost` found, as plain values, a table for the terminal, and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s3d.models.family import network_name
from s3d.page.text import plural

if TYPE_CHECKING:
    from s3d.clip import ClipSpec
    from s3d.explore.roofline import Roofline
    from s3d.models.cost import Cost
    from s3d.models.model_file import ModelFile

COUNTED = "multiply-adds are what the paper calls FLOPs; others count 2 each"
MOVED = "moved: what operations read and write, each input, weight and output once, in float32"
ABOVE = "         over 100%: less is multiplied, or moved, than is counted"
COUNTS = ("parameters", "macs", "activations", "moved_bytes")
"""What is counted of a block and of the whole, as it is called in JSON and CSV."""

Record = dict[str, Any]


def describe_cost(
    name: str, model: ModelFile, spec: ClipSpec, cost: Cost, times: Record | None = None
) -> Record:
    """Return all that was found, as plain JSON values.

    Args:
        name: What the verb was given.
        model: What that is.
        spec: The clip.
        cost: Of the network.
        times: What `describe_times` gave; None where nothing was measured.
    """
    from s3d.train.describe import style_name

    network, (height, width) = model.network, spec.size_px
    kind = network_name(network.word)
    clip = f"{spec.frames} frames of {width} x {height} px, {spec.channels} channels"
    blocks = [
        {"block": block.name, "shape": list(block.shape)}
        | {count: getattr(block, count) for count in COUNTS}
        for block in cost.blocks
    ]
    for block, measured in zip(blocks, times.pop("blocks") if times else (), strict=False):
        block |= measured
    return {
        "model": name,
        "network": kind,
        "word": network.word,
        "width": network.width,
        "style": style_name(network.style),
        "classes": network.num_classes,
        "weights": model.source,
        "clip": {"frames": spec.frames, "size_px": [height, width], "channels": spec.channels},
        "title": f"{kind} x {network.width:g}, a clip of {clip}",
        "counted": COUNTED,
        **{count: getattr(cost, count) for count in COUNTS},
        "blocks": blocks,
        "measured": times,
    }


def describe_times(found: Roofline) -> Record:
    """Return what was measured, as plain JSON values; under "blocks" that of each."""
    import torch

    from s3d.explore.roofline import COPY_BYTES, SIDE
    from s3d.infer.engines.choose import package_version
    from s3d.infer.engines.engine import KINDS
    from s3d.models.device import name_processor

    engines = [times.engine for times in found.times]
    packages = ["torch", *(p for name in engines if name in KINDS for p in KINDS[name].packages)]
    per_block = zip(*(times.block_ms for times in found.times), strict=True)
    rows = zip(found.predicted_ms, per_block, found.shares, strict=True)
    return {
        "processor": name_processor("cpu"),
        "threads": torch.get_num_threads(),
        "versions": {package: package_version(package) for package in packages},
        "runs": found.runs,
        "peaks": {
            "macs_per_second": found.peaks.macs_per_second,
            "bytes_per_second": found.peaks.bytes_per_second,
            "matrix_side": SIDE,
            "copied_bytes": COPY_BYTES,
        },
        "engines": engines,
        "predicted_ms": round(sum(found.predicted_ms), 4),
        "sum_of_blocks_ms": {t.engine: round(sum(t.block_ms), 4) for t in found.times},
        "in_one_go_ms": {t.engine: round(t.whole_ms, 4) for t in found.times},
        "share_of_roof": round(found.whole_share, 4),
        "blocks": [
            {
                "predicted_ms": round(predicted, 4),
                "measured_ms": {n: round(ms, 4) for n, ms in zip(engines, measured, strict=True)},
                "share_of_roof": round(share, 4),
            }
            for predicted, measured, share in rows
        ],
    }


def format_cost(record: Record) -> str:
    """Return the table for a terminal, and what it is of."""
    measured = record["measured"]
    clip = record["clip"]
    height, width = clip["size_px"]
    lines = [
        f"network  {record['network']}, width {record['width']:g}, style {record['style']}, "
        f"{record['classes']} classes: {record['weights']}",
        f"clip     {clip['frames']} frames of {width} x {height} px, {clip['channels']} channels",
        f"counts   {record['counted']}",
        f"         {MOVED}",
    ]
    if measured:
        lines += _format_header(measured)
        shares = [measured["share_of_roof"], *(b["share_of_roof"] for b in record["blocks"])]
        lines += [ABOVE] if max(shares) > 1 else []
    lines.append("")
    return "\n".join([*lines, *_align(_rows(record))])


def _format_header(measured: Record) -> list[str]:
    """Return on what was measured, and how."""
    peaks, engines = measured["peaks"], measured["engines"]
    macs, moved = peaks["macs_per_second"] / 1e9, peaks["bytes_per_second"] / 1e9
    side, versions = peaks["matrix_side"], measured["versions"].items()
    by = "eager PyTorch" if engines == ["eager"] else f"engine {engines[0]} and eager PyTorch"
    return [
        f"machine  {measured['processor']}, {plural(measured['threads'], 'thread')}; "
        + ", ".join(f"{name} {version}" for name, version in versions),
        f"peaks    {macs:,.3g} G multiply-adds/s (products of {side} x {side}), {moved:,.3g} GB/s "
        f"(copies of {peaks['copied_bytes'] / 2**20:,.0f} MiB)",
        f"times    one clip by {by}: medians of {plural(measured['runs'], 'run')} in turn, "
        "each block by itself",
        "         predicted: the longer of arithmetic and memory at these peaks; "
        f"of roof: predicted / {engines[0]}",
    ]


def _rows(record: Record) -> list[list[str]]:
    measured = record["measured"]
    heads = ["block", "output C x T x H x W", "parameters", "multiply-adds", "activations", "moved"]
    rows = [
        [block["block"], " x ".join(map(str, block["shape"])), *_count_cells(block)]
        for block in record["blocks"]
    ]
    total = ["total", "", *_count_cells(record)]
    if not measured:
        return [heads, *rows, total]
    heads += ["predicted", *measured["engines"], "of roof"]
    for row, block in zip(rows, record["blocks"], strict=True):
        row += _time_cells(block["predicted_ms"], block["measured_ms"])
    total += _time_cells(measured["predicted_ms"], measured["sum_of_blocks_ms"])
    whole = ["in one go", *5 * [""]]
    whole += _time_cells(measured["predicted_ms"], measured["in_one_go_ms"])
    return [heads, *rows, total, whole]


def _count_cells(counts: Record) -> list[str]:
    return [
        f"{counts['parameters']:,}",
        _scale(counts["macs"], 1e9, 3, "G"),
        _scale(counts["activations"], 1e6, 2, "M"),
        _scale(counts["moved_bytes"], 1e6, 1, "MB"),
    ]


def _scale(count: int, unit: float, digits: int, name: str) -> str:
    """Return a count in a unit; what is too small for its digits is not called nothing."""
    least = 10**-digits
    if 0 < count < least * unit:
        return f"< {least:g} {name}"
    return f"{count / unit:,.{digits}f} {name}" if count else "0"


def _time_cells(predicted_ms: float, measured_ms: dict[str, float]) -> list[str]:
    share = predicted_ms / next(iter(measured_ms.values()))
    return [*(f"{ms:,.2f} ms" for ms in (predicted_ms, *measured_ms.values())), f"{share:.0%}"]


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines, the first two columns to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(wide) if i < 2 else cell.rjust(wide)
            for i, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def format_csv(record: Record) -> str:
    """Return a row for each block; the first names the columns."""
    measured = record["measured"]
    engines = measured["engines"] if measured else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = ["predicted_ms", *(f"{name}_ms" for name in engines), "share_of_roof"]
    writer.writerow(["block", "output", *COUNTS, *(heads if measured else ())])
    for block in record["blocks"]:
        row = [block["block"], "x".join(map(str, block["shape"])), *(block[c] for c in COUNTS)]
        if measured:
            row += [block["predicted_ms"], *block["measured_ms"].values(), block["share_of_roof"]]
        writer.writerow(row)
    return text.getvalue()
