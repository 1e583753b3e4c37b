"""The tables of docs/scale.md, from the rows of results/scale.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
START, END = "<!-- measured: scripts/benchmark scale -->", "<!-- end -->"

# Kinetics-400: clips of 10 s; the recipe's 80,000 steps of 336; all frames at 25 fps to label.
TRAINED_CLIPS = 80_000 * 336
LISTED_CLIPS = 260_000
FRAMES_A_CLIP = 250
FLOW_PAIRS = LISTED_CLIPS * (FRAMES_A_CLIP - 1)
LABELLED_WINDOWS = LISTED_CLIPS * FRAMES_A_CLIP / 64
JOBS: tuple[tuple[str, str, float], ...] = (
    ("train S3D-G, 80,000 x 336 clips", "train_clips_per_second", TRAINED_CLIPS),
    ("label 260,000 clips, all frames", "label_clips_per_second", LABELLED_WINDOWS),
    ("TV-L1 flow of 260,000 clips", "flow_pairs_per_second", FLOW_PAIRS),
)
UNITS = (1, 8, 64)
_FED = (
    " Reading is not in them either: it is for the processor's cores, and a GPU that outruns them "
    "waits; compare the rate at which 2 cores read."
)
PRICES = {"core": 0.04, "GPU": 2.5}
"""Of an hour, in dollars: round numbers of what clouds ask. Put your own in their place."""


def write_tables(page: Path, marks: tuple[str, str], rows: Sequence[dict[str, Any]]) -> None:
    """Write the tables between two marks of a page; what is outside them stays."""
    start, end = marks
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(start, 1)
    _, after = rest.split(end, 1)
    page.write_text(f"{before}{start}\n\n{format_tables(rows)}\n\n{end}{after}", encoding="utf-8")


def format_tables(rows: Sequence[dict[str, Any]]) -> str:
    """Return the measured rates, and for each unit of hardware the hours and cost."""
    lines = [
        "| hardware | date | trains | labels | reads | flow |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['hardware']}, batch {row['batch']} | {row['date']} "
        f"| {_rate(row, 'train_clips_per_second', 'clips/s')} "
        f"| {_rate(row, 'label_clips_per_second', 'clips/s')} "
        f"| {_rate(row, 'read_clips_per_second', 'clips/s')} "
        f"| {_rate(row, 'flow_pairs_per_second', 'pairs/s')} |"
        for row in rows
    ]
    for row in rows:
        lines += ["", *_format_jobs(row)]
    return "\n".join(lines)


def _rate(row: dict[str, Any], key: str, unit: str) -> str:
    return "-" if row[key] is None else f"{row[key]:.3g} {unit}"


def _format_jobs(row: dict[str, Any]) -> list[str]:
    unit = row["unit"]
    heads = [f"{count} {unit}{'' if count == 1 else 's'}" for count in UNITS]
    lines = [
        f"Hours and cost on {row['hardware']}, at ${PRICES[unit]:g} an hour and {unit}. "
        f"Measured on {row['units']} {unit}{'' if row['units'] == 1 else 's'}; every other count "
        "is **extrapolated** as if the rate grew with the number. Labelling and flow are work on "
        "videos that need nothing of each other; training must exchange gradients too, which is "
        f"not in these figures.{_FED if unit == 'GPU' else ''}",
        "",
        f"| job | {' | '.join(heads)} |",
        "|---|" + "---|" * len(UNITS),
    ]
    for name, key, work in JOBS:
        hours = [work / (row[key] / row["units"] * count) / 3600 for count in UNITS]
        costs = [hour * count * PRICES[unit] for hour, count in zip(hours, UNITS, strict=True)]
        cells = [
            f"{h:,.{0 if h >= 10 else 1}f} h, ${c:,.0f}" for h, c in zip(hours, costs, strict=True)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines
