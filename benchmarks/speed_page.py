"""The measured parts of docs/speed.md, from the records in results/.

scripts/benchmark speed_page
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "speed.md"
RESULTS = ROOT / "benchmarks" / "results"
END = "<!-- end -->"
LEAST_SHARE = 0.03
"""Operations that take less of the time are not named."""


def write_part(page: Path, name: str, text: str) -> None:
    """Write one measured part of a page, between its two marks; what is outside them stays."""
    start = f"<!-- measured: scripts/benchmark {name} -->"
    before, rest = page.read_text(encoding="utf-8").split(start, 1)
    _, after = rest.split(END, 1)
    page.write_text(f"{before}{start}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def format_roofline(record: dict[str, Any]) -> str:
    """Return the machine's peaks and a row for each network, in Markdown."""
    peak, later = record["peak"], record["peak_afterwards"]
    heads = (
        "network", "engine", "G multiply-adds", "GB moved", "arithmetic alone", "memory alone",
        "measured", "GFLOP/s", "share of peak", "where OpenVINO's time goes",
    )  # fmt: skip
    lines = [
        f"{_sentence(record['what'])}; {_machine(record)}. Peak: {peak['gflops']:g} GFLOP/s "
        f"({later['gflops']:g} at the end of the run), {peak['gbytes_per_second']:g} GB/s "
        f"({later['gbytes_per_second']:g}).",
        "",
        *_table_head(heads),
    ]
    lines += [
        _row(
            f"`{name}`", row["engine"], f"{row['gmacs']:.1f}", f"{row['gbytes']:.2f}",
            f"{row['arithmetic_alone_ms']:,.0f} ms", f"{row['memory_alone_ms']:,.0f} ms",
            f"{row['latency_ms']:,.0f} ms", f"{row['gflops']:.0f}", f"{row['share_of_peak']:.0%}",
            _name_kinds(row["openvino_time"]),
        )
        for name, row in record["networks"].items()
    ]  # fmt: skip
    return "\n".join(lines)


def format_engines(record: dict[str, Any]) -> str:
    """Return S3D by every engine and torchvision's net, and our other networks, in Markdown."""
    row = record["s3d"]
    ratios, default = row["default_is_times_as_fast_as"], row["default"]
    lines = [
        f"{_sentence(record['what'])}; {_machine(record)}; {row['rounds']} rounds.",
        "",
        *_table_head(("S3D", "median", f"{default} (the default) is as fast, times")),
    ]
    for name, latency in row["latency_ms"].items():
        found = ratios.get(name)
        shown = "1" if found is None else _spread(found)
        lines.append(_row(name, f"{latency:,.0f} ms", shown))
    others = record["other_networks"]
    if others:
        names = list(dict.fromkeys(engine for engines in others.values() for engine in engines))
        lines += ["", *_table_head(("network", *names))]
    for network, engines in others.items():
        cells = [_cell(engines.get(name)) for name in names]
        lines.append(_row(f"`{network}`", *cells))
    return "\n".join(lines)


def format_whole_path(record: dict[str, Any]) -> str:
    """Return how long a file takes to its label, in Markdown."""
    heads = ("protocol", "clips", "ours", "torchvision", "ours is as fast, times")
    lines = [f"{record['what']}; {_machine(record)}; engine {record['engine']}.", ""]
    lines += _table_head(heads)
    for protocol, row in record["warm"].items():
        found = row["ours_is_times_as_fast_as"]["torchvision"]
        ours, theirs = (f"{row['ms'][side]:,.0f} ms" for side in ("ours", "torchvision"))
        clips = f"{row['clips']} x {row['frames_of_a_clip']} frames"
        lines.append(_row(protocol, clips, ours, theirs, _spread(found)))
    for name, cold in record.items():
        if name.startswith("from_a_cold_start_ms_") and cold:
            protocol = name.removeprefix("from_a_cold_start_ms_")
            lines += [
                "",
                f"From the start of a process ({protocol}): ours {cold['ours']:,.0f} ms, "
                f"torchvision {cold['torchvision']:,.0f} ms.",
            ]
    return "\n".join(lines)


def format_windows(record: dict[str, Any]) -> str:
    """Return what overlapping windows cost both ways, in Markdown."""
    heads = (
        "network", "engine", "stride", "shared until", "each by itself", "sharing",
        "as fast, times", "multiply-adds", "logits differ by",
    )  # fmt: skip
    lines = [f"{record['what'].capitalize()}; {_machine(record)}.", "", *_table_head(heads)]
    for row in record["rows"]:
        found = {"median": row["ratio_median"], "range": row["ratio_range"]}
        lines.append(
            _row(
                f"`{row['network']}`", row["engine"], f"{row['stride_frames']} frames",
                row["shared_until"] or "nothing: it does not pay", f"{row['plain_ms']:,.0f} ms",
                f"{row['shared_ms']:,.0f} ms", _spread(found),
                f"1 / {row['multiply_adds_ratio']:.2f}", f"{row['logits_differ_by']:.0e}",
            )
        )  # fmt: skip
    return "\n".join(lines)


PARTS = {
    "windows": format_windows,
    "engines": format_engines,
    "whole_path": format_whole_path,
    "roofline": format_roofline,
}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _machine(record: dict[str, Any]) -> str:
    return f"{record['date']}, {record['cpu']}, {record['threads']} threads"


def _table_head(heads: Sequence[str]) -> list[str]:
    return [_row(*heads), "|---" * len(heads) + "|"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(found: dict[str, Any]) -> str:
    low, high = found["range"]
    return f"**{found['median']:.2f}** ({low:.2f} to {high:.2f})"


def _cell(found: dict[str, Any] | None) -> str:
    if found is None or found["error"]:
        return "-"
    return f"{found['latency_ms']:,.0f} ms ({found['times_as_fast_as_eager']:.2g} x)"


def _name_kinds(shares: dict[str, float]) -> str:
    named = [f"{kind} {share:.0%}" for kind, share in shares.items() if share >= LEAST_SHARE]
    return ", ".join(named)


def main() -> None:
    """Write every part whose record is there."""
    for name, format_part in PARTS.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            write_part(PAGE, name, format_part(json.loads(path.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
