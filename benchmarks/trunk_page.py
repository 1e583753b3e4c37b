"""docs/trunk.md: what the trunk is, what it is worth, and what was tried to get there.

    scripts/benchmark trunk_page

It is made from benchmarks/results/transfer.json (`scripts/benchmark transfer`) and docs/trunk.json,
the log of the pretrainings, whose keys are

runs       name, what, network, width, clips, hours, hardware, date, probe_fights, probe_sample,
           note, status (shipped, tried or failed); null where something was not measured
ablations  left_out ("nothing" for the whole), clips, probe_fights, probe_sample
generator  figures by name; wait_share is the share of the time in which training waits for it
card       data, licence, limits (a list of sentences)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.transfer_rows import RECORD
from benchmarks.transfer_table import (
    format_few,
    format_fights,
    format_freezing,
    format_targets,
    points,
    table,
)

ROOT = Path(__file__).resolve().parents[1]
PAGE, LOG = ROOT / "docs" / "trunk.md", ROOT / "docs" / "trunk.json"
REMAKE = "python recipes/motion_trunk.py --ship"
WHOLE = (None, "", "nothing")
"""What is left out of the one that has every ingredient."""
STATUSES = ("shipped", "tried", "failed")


def write_page(record: Mapping[str, Any], log: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        record: What benchmarks/transfer.py keeps.
        log: What docs/trunk.json holds.
    """
    parts = [
        _introduce(record),
        "## Is the target reached?\n",
        format_targets(record),
        "## Model card\n",
        _format_card(record, log),
        "## Real clips: 241 of fights, by four folds\n",
        format_fights(record),
        "## Few clips a class\n",
        format_few(record),
        _under("## How far to freeze\n", format_freezing(record)),
        "## What was tried\n",
        _format_runs(log["runs"]),
        "## What each ingredient brought\n",
        _format_ablations(log["ablations"]),
        "## The generator\n",
        _format_generator(log["generator"]),
        "## Limits\n",
        "".join(f"- {limit}\n" for limit in log["card"]["limits"]),
        "## Make it again\n",
        _format_remake(record),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part)


def _introduce(record: Mapping[str, Any]) -> str:
    return f"""# A trunk that has learnt to see motion

Written by `scripts/benchmark trunk_page` from `docs/trunk.json` and
`benchmarks/results/transfer.json`; not by hand. Measured up to {record["date"]} on {record["cpu"]}.

`s3d train DIR` starts from `{record["trunk"]["name"]}`, weights that come inside the package.
They were learnt from video that our own code draws: no download, nobody's licence but ours. Where
clips are few, the fresh head is first fitted to what the trunk gives, a linear classifier; then the
network is trained once with its lower blocks as they are and once with all, and what validates
better is kept, in doubt the former. This page says what that is worth, beside the same training
from random weights, and what did not work.
"""


def _format_card(record: Mapping[str, Any], log: Mapping[str, Any]) -> str:
    trunk, card = record["trunk"], log["card"]
    shipped = [run for run in log["runs"] if run["status"] == "shipped"]
    lines = [f"- **Data**: {card['data']}", f"- **Licence**: {card['licence']}"]
    lines += [
        f"- **{run['name']}**: `{run['network']}` x {run['width']:g}, {_count(run['clips'])} "
        f"clips, {_hours(run['hours'])} hours on {run['hardware']}, {run['date']}"
        for run in shipped
    ]
    if not shipped:
        lines.append("- No run of the log is marked as the one that is shipped.")
    lines += [
        f"- **Measured here**: `{trunk['name']}`, {trunk['bytes'] / 1e6:.2f} MB, sha256 "
        f"`{trunk['sha256']}`",
        "- **Transfer** and its spread: the two tables below. **Limits**: at the end.",
    ]
    return "\n".join(lines) + "\n"


def _format_runs(runs: Sequence[Mapping[str, Any]]) -> str:
    heads = (
        "run", "network", "clips", "hours", "hardware", "date", "fights, probe", "sample, probe",
        "came of it",
    )  # fmt: skip
    rows = [
        (
            f"**{run['name']}**" if run["status"] == "shipped" else run["name"],
            f"`{run['network']}` x {run['width']:g}", _count(run["clips"]), _hours(run["hours"]),
            run["hardware"], run["date"], points(run["probe_fights"]), points(run["probe_sample"]),
            run["status"],
        )
        for status in STATUSES
        for run in runs
        if run["status"] == status
    ]  # fmt: skip
    notes = [
        f"- *{run['name']}* ({run['status']}): {_sentence(run['what'])} {run['note']}".rstrip()
        for run in runs
    ]
    note = (
        "Probe: a linear classifier of the frozen features, mean over the folds of the fights, "
        "and on the sample data with few clips; it is by this that runs were chosen between, "
        "not by the score in pretraining.\n"
    )
    return f"{note}\n{table(heads, rows)}\n" + "\n".join(notes) + "\n"


def _format_ablations(ablations: Sequence[Mapping[str, Any]]) -> str:
    if not ablations:
        return "Not measured yet.\n"
    whole = next((row for row in ablations if row["left_out"] in WHOLE), None)
    rows = [
        (
            row["left_out"] or "nothing",
            _count(row["clips"]),
            _beside(row, whole, "probe_fights"),
            _beside(row, whole, "probe_sample"),
        )
        for row in ablations
    ]
    note = (
        "Each was learnt anew without one ingredient, all else alike; in brackets the difference "
        "to the one with all of them, in points.\n"
    )
    return f"{note}\n{table(('left out', 'clips', 'fights, probe', 'sample, probe'), rows)}"


def _beside(row: Mapping[str, Any], whole: Mapping[str, Any] | None, key: str) -> str:
    shown = points(row[key])
    if row is whole or whole is None or None in (row[key], whole[key]):
        return shown
    return f"{shown} ({100 * (row[key] - whole[key]):+.1f})"


def _format_generator(generator: Mapping[str, Any]) -> str:
    rows = [
        (name.replace("_", " "), f"{value:,g}" if isinstance(value, (int, float)) else str(value))
        for name, value in generator.items()
        if name != "wait_share"
    ]
    share = generator.get("wait_share")
    waits = (
        "How long training waits for it is not measured yet."
        if share is None
        else f"Training waits for clips in {share:.1%} of its time."
    )
    shown = table(("figure", "value"), rows) + "\n" if rows else ""
    return f"{shown}{waits}\n"


def _format_remake(record: Mapping[str, Any]) -> str:
    return f"""```bash
{REMAKE}    # draws, learns, and writes the weights; killed, it goes on
{record["command"]}    # the tables of transfer
scripts/benchmark trunk_page    # this page
```
"""


def _under(heading: str, text: str) -> str:
    return f"{heading}\n{text}" if text else ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _hours(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def read_page() -> str | None:
    """Return the page as the records on disk give it; None where one is missing."""
    if not (RECORD.exists() and LOG.exists()):
        return None
    record, log = (json.loads(path.read_text(encoding="utf-8")) for path in (RECORD, LOG))
    return write_page(record, log)


def main() -> None:
    """Write the page."""
    page = read_page()
    if page is None:
        raise SystemExit(f"{RECORD} and {LOG} are needed; `scripts/benchmark transfer` makes one.")
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
