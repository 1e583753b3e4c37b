"""The family on real clips: what an exploration by folds gave, as a record and as a section."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from s3d.errors import InputError
from s3d.explore.collect import Found
from s3d.explore.compare import measure_accuracy
from s3d.explore.explore import Tried
from s3d.explore.machine import describe_machine
from s3d.files import show_path, write_json

DIGITS = 4


def record_real(found: Found, name: str, command: str) -> dict[str, Any]:
    """Return what an exploration by folds gave, as plain JSON values.

    Args:
        found: What it found.
        name: Of the videos, as the page says it.
        command: Gives it again.
    """
    exploration, answers = found.exploration, found.answers
    config, shared = exploration.config, exploration.shared
    last = [tried for tried in exploration.tried if tried.candidate.name in answers.right]
    clip = last[0].candidate if last else None
    return {
        "name": name,
        "command": command,
        "date": date.today().isoformat(),
        "hardware": describe_machine(exploration.device),
        "folds": len(shared.parts),
        "seeds": config.seed_count,
        "videos": len(answers.groups),
        "sources": len(set(answers.groups.tolist())),
        "classes": list(shared.labels),
        "chance": round(answers.chance, DIGITS),
        "protocol": config.protocol,
        "epochs": exploration.rounds[-1].epochs if exploration.rounds else 0,
        "clip": clip
        and f"{clip.frames} x {clip.size_px} x {clip.size_px} at {clip.rate_fps:g} fps",
        "width": clip and clip.width,
        "recommendation": found.recommendation.text,
        "rows": [_row(found, tried) for tried in last],
    }


def keep_real(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record; raises as `s3d.files.write_json`."""
    write_json(path, record)


def read_real(path: Path) -> dict[str, Any] | None:
    """Return a record; None where there is none.

    Raises:
        InputError: It is damaged.
    """
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        format_real(values)
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{show_path(path)}: is damaged. Delete it to make it again.") from None
    return dict(values)


def format_real(record: Mapping[str, Any]) -> str:
    """Return the section of the page."""
    lines = [
        f"## On real clips: {record['name']}\n",
        f"{record['videos']} clips of {record['sources']} sources, classes "
        f"{', '.join(record['classes'])}; {record['folds']} folds, no source in two, each scored "
        f"by the training that left it out (protocol `{record['protocol']}`); {record['epochs']} "
        f"epochs from random weights, width {record['width']:g}, clips of {record['clip']}; seeds: "
        f"{record['seeds']}. Always naming the commonest class: {100 * record['chance']:.1f} %. "
        f"{record['date']}, {record['hardware']['cpu']}, one thread a training: "
        f"`{record['command']}`.\n",
        "| network | multiply-adds | top-1, 95 % interval | folds | to the best | minutes |",
        "|---|---:|---:|---|---|---:|",
    ]
    for row in record["rows"]:
        low, high = (f"{100 * value:.1f}" for value in row["interval"])
        folds = ", ".join(f"{100 * value:.1f}" for value in row["folds"])
        lines.append(
            f"| `{row['network']}` | {row['macs'] / 1e6:.0f} M | {100 * row['top1']:.1f} ({low} to "
            f"{high}) | {folds} | {row['to_leader']} | {row['minutes']:.1f} |"
        )
    return "\n".join([*lines, f"\n{_conclude(record)}\n"])


def _conclude(record: Mapping[str, Any]) -> str:
    rows = record["rows"]
    best = max(rows, key=lambda row: row["top1"])
    worse = [f"`{row['network']}`" for row in rows if row["to_leader"].endswith(", seen")]
    if worse:
        return f"Seen to be worse than `{best['network']}`: {', '.join(worse)}."
    return (
        f"No network is seen to differ from the most accurate, `{best['network']}`: so few clips "
        "of so few sources do not tell them apart."
    )


def _row(found: Found, tried: Tried) -> dict[str, Any]:
    exploration, answers = found.exploration, found.answers
    name = tried.candidate.name
    accuracy = measure_accuracy(answers.right[name], answers.groups)
    low, high = accuracy.interval or (0.0, 1.0)
    difference = found.recommendation.differences.get(name)
    price = exploration.prices[tried.candidate]
    return {
        "network": tried.candidate.network,
        "macs": getattr(price, "macs", 0),
        "top1": round(accuracy.mean, DIGITS),
        "interval": [round(low, DIGITS), round(high, DIGITS)],
        "folds": [
            round(value, DIGITS) for value in _fold_means(tried, len(exploration.shared.parts))
        ],
        "to_leader": difference.short() if difference else "the best",
        "minutes": round(sum(o.minutes for o in tried.outcomes.values()), 1),
    }


def _fold_means(tried: Tried, folds: int) -> Sequence[float]:
    means = []
    for fold in range(folds):
        values = [o.top1 for (place, _), o in tried.outcomes.items() if place == fold]
        means.append(sum(values) / len(values))
    return means
