"""docs/findings.md: every claim with the paper's figure, ours and a verdict; then every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from s3d.data.synthetic import ACTIONS, APPEARANCES
from s3d.explore.findings.claims import FAILS, HOLDS, Claim, Findings, make_claims
from s3d.explore.findings.miniature import Miniature
from s3d.explore.findings.study import Row
from s3d.models.family import network_word

COMMAND = "python recipes/paper_in_miniature.py"
COLUMNS = (
    "network", "seeds", "multiply-adds", "parameters", "all", "order", "look", "within pairs",
    "reversed: order", "look", "within pairs", "minutes",
)  # fmt: skip


def write_page(
    miniature: Miniature, rows: Sequence[Row], pictures: Mapping[str, str], more: str = ""
) -> str:
    """Return the page.

    Args:
        miniature: What was trained.
        rows: What came of it.
        pictures: Captions by the place of the picture, from the page's folder.
        more: Sections that follow: what other data says.
    """
    findings = Findings(rows, miniature.sample)
    parts = [
        _introduce(miniature, rows),
        "## The claims\n",
        _format_claims(make_claims(findings)),
        _explain(),
        *(f"![{caption}]({place})\n\n{caption}\n" for place, caption in pictures.items()),
        "## The networks\n",
        _format_networks(miniature, findings),
        more,
        "## Every row\n",
        _format_rows(rows),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part)


def _introduce(miniature: Miniature, rows: Sequence[Row]) -> str:
    sample = miniature.sample
    train = sample.train_clips_per_class * len(sample.actions)
    test = sample.test_clips_per_class * len(sample.actions)
    dates = sorted(row.date[:10] for row in rows)
    span = dates[0] if dates[:1] == dates[-1:] else f"{dates[0]} to {dates[-1]}"
    longest = max((row.minutes for row in rows), default=0.0)
    counts = {len([r for r in rows if r.network == n]) for n in miniature.networks}
    seeds = " to ".join(map(str, sorted({min(counts), max(counts)})))
    return f"""# The paper's findings, in miniature

Written by `{COMMAND}` from `docs/findings.json`; not by hand. It trains the
networks of the S3D paper (arXiv 1712.04851) on videos that `s3d sample` draws, and asks of each
claim whether it holds there. It says nothing of Kinetics. What it can show is whether an effect is
one of the networks themselves.

- **Videos**: {train:,} to train, {test:,} to test, of scenes that training never shows:
  {len(ACTIONS)} classes of order, in pairs of which one is the other played backwards, and
  {len(APPEARANCES)} of looks, a shape that sways. Textures, drifting grounds, distractors, noise,
  compression: difficulty {sample.difficulty:g} of 1.
- **Networks** at {miniature.width:g} of the paper's width, on clips of {miniature.frames} x \
{miniature.size_px} x {miniature.size_px} at {miniature.rate_fps:g} frames a second: an I2D of
  16m - 3 frames is blind to their order, exactly.
- **Recipe**, the same for all, from random weights: {miniature.epochs} epochs, AdamW, the
  last averaged weights; the test videos choose nothing.
- **Seeds** so far: {seeds} a network; {span}. The longest training took {longest:.0f} minutes
  on one thread, two side by side on two cores.
- **Not the paper's setting**: it begins with image weights and trains whole networks on real
  videos for days; here narrow ones begin at random and train for minutes. Where a claim does not
  hold here, that alone may be why.
- **Spread**: in brackets, 95 % intervals of differences, or the range over seeds where that is
  said.
"""


def _format_claims(claims: Sequence[Claim]) -> str:
    lines = ["| claim | the paper | here | seeds | verdict |", "|---|---|---|---|---|"]
    for claim in claims:
        mark = f"**{claim.verdict}**" if claim.verdict in (HOLDS, FAILS) else claim.verdict
        cells = (claim.title, claim.paper, claim.ours, claim.seeds, mark)
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _explain() -> str:
    return """
A difference is *seen* where its 95 % interval leaves out 0; it is drawn anew over seeds and over
scenes (`s3d/explore/compare.py`). A claim of several comparisons holds where all of them are seen,
and does not hold where one is seen the other way round. "Not decided" is not "no difference": more
seeds may tell.
"""


def _format_networks(miniature: Miniature, findings: Findings) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    for network in miniature.networks:
        rows = findings.of(network)
        if rows:
            lines.append("| " + " | ".join(_network_cells(network, rows)) + " |")
    note = (
        "Shares in %: mean over seeds and, in brackets, least and most. *Within pairs*: how often "
        "the true class scores above the one that is its reverse; chance is 50 %.\n"
    )
    return note + "\n" + "\n".join(lines) + "\n"


def _network_cells(network: str, rows: Sequence[Row]) -> list[str]:
    names = (
        "top1", "order_top1", "look_top1", "within", "reversed_order_top1", "reversed_look_top1",
        "reversed_within",
    )  # fmt: skip
    return [
        f"`{network}` {network_word(network)}",
        str(len(rows)),
        f"{rows[0].macs / 1e6:.1f} M",
        f"{rows[0].parameters / 1e3:,.0f} k",
        *(_spread([getattr(row, name) for row in rows]) for name in names),
        f"{np.mean([row.minutes for row in rows]):.1f}",
    ]


def _spread(values: Sequence[float]) -> str:
    low, mean, high = (100 * float(f(values)) for f in (np.min, np.mean, np.max))
    return f"{mean:.1f}" + (f" ({low:.1f} to {high:.1f})" if len(values) > 1 else "")


def _format_rows(rows: Sequence[Row]) -> str:
    lines = [
        "Any row comes again, to the same number on the same kind of machine, by its command and "
        "`--again`.\n",
        "| network | seed | top-1 | order | look | minutes | ended | hardware |",
        "|---|---:|---:|---:|---:|---:|---|---|",
    ]
    for row in rows:
        shares = (f"{100 * value:.2f}" for value in (row.top1, row.order_top1, row.look_top1))
        machine = ", ".join(f"{row.hardware[k]}" for k in ("gpu", "cpu") if k in row.hardware)
        machine += f", {row.hardware['threads']} thread(s), torch {row.hardware['torch']}"
        cells = (row.network, str(row.seed), *shares, f"{row.minutes:.1f}", row.date, machine)
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    command = f"{COMMAND} --networks NETWORK --seeds SEED"
    return "\n".join(lines) + f"\n\nThe command of a row: `{command}`, with `--again` to compare.\n"
