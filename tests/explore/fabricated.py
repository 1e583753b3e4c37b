"""A made-up exploration: every number here is invented, so that pages can be drawn and tested."""

from __future__ import annotations

from dataclasses import replace

from s3d.explore.budget import Budget
from s3d.explore.report import ExploreReport, Point
from s3d.models.family import network_word

# network, G multiply-adds, ms, accuracy: invented, in the order of size that the paper prints
ROWS = (
    ("i2d", 1.12, 19.0, 0.611),
    ("i3d_bottom_2", 2.61, 44.1, 0.648),
    ("i3d_bottom_6", 3.20, 52.3, 0.664),
    ("i3d", 3.41, 57.0, 0.752),
    ("i3d_top_2", 2.05, 39.5, 0.761),
    ("i3d_top_6", 1.39, 27.4, 0.742),
    ("s3d_bottom_2", 1.88, 36.9, 0.655),
    ("s3d_bottom_6", 2.01, 40.2, 0.671),
    ("s3d", 2.11, 43.0, 0.781),
    ("s3d_top_4", 1.26, 25.1, 0.774),
    ("s3d_fast", 1.14, 21.8, 0.758),
    ("s3d_g", 2.18, 51.2, 0.789),
)


def some_point(network: str, gmacs: float, ms: float, accuracy: float, width: float = 0.5) -> Point:
    """Return a trained point with three repeats and an interval around its accuracy."""
    name = f"{network}-w{width:g}-16x112-r8"
    return Point(
        name=name,
        network=network,
        word=network_word(network),
        width=width,
        frames=16,
        size_px=112,
        rate_fps=8.0,
        parameters=round(2e6 * gmacs),
        macs=round(1e9 * gmacs),
        state="trained",
        latency_ms=ms,
        latency_range_ms=(0.96 * ms, 1.09 * ms),
        engine="openvino",
        accuracies=(accuracy - 0.012, accuracy + 0.002, accuracy + 0.01),
        accuracy=accuracy,
        interval=(accuracy - 0.041, accuracy + 0.037),
        deviation=0.0111,
        to_leader=f"{100 * (accuracy - 0.789):.1f} points (-4.1 to 1.2), not seen",
        runs=tuple(f"trials/{name}-e30-f0-s{seed}" for seed in (0, 1, 2)),
        minutes=41.0 * gmacs,
        epochs=30,
    )


def some_points() -> tuple[Point, ...]:
    """Return fifteen points: twelve trained, and one in each other state."""
    trained = [some_point(*row) for row in ROWS]
    dropped = replace(
        some_point("s3d_top_8", 0.36, 9.1, 0.522, width=0.25),
        state="dropped early",
        reason="the lower half after 10 of 30 epochs",
        epochs=10,
        interval=None,
    )
    dear = replace(
        some_point("i3d", 13.2, 190.0, 0.0, width=1.0),
        state="over the budget",
        reason="190 ms a clip",
        accuracy=None,
        accuracies=(),
        interval=None,
        deviation=None,
        to_leader="",
        runs=(),
        minutes=0.0,
        epochs=0,
    )
    failed = replace(
        dear,
        name="22222333333-w0.5-16x112-r8",
        network="22222333333",
        word="22222333333",
        width=0.5,
        macs=1_450_000_000,
        latency_ms=None,
        latency_range_ms=None,
        engine="",
        state="failed",
        reason="its process was ended by signal 9, perhaps for memory",
    )
    return (*trained, dropped, dear, failed)


def some_report(**changes: object) -> ExploreReport:
    """Return an exploration within 60 ms whose cheapest equal is recommended."""
    report = ExploreReport(
        title="Invented actions: which network?",
        data="invented (no such data)",
        date="2026-11-27T14:02+00:00",
        command="s3d explore ~/videos/invented --budget-ms 60 --seeds 3 --out explored",
        hardware=(("cpu", "a processor that was never built"), ("threads", "2")),
        recipe=(
            ("epochs", "30"),
            ("clips shown", "14,400 to each network"),
            ("batch", "16"),
            ("learning rate", "0.1, cosine"),
        ),
        protocol="one clip from the middle, centre crop; sources of scored videos were left out",
        budget=Budget("ms", 60.0),
        points=some_points(),
        recommended="s3d_fast-w0.5-16x112-r8",
        recommendation=(
            "No difference seen between s3d_g-w0.5-16x112-r8, the most accurate within the budget "
            "of 60 ms, and s3d_fast-w0.5-16x112-r8 (difference 3.1 points, 95 % interval -1.2 to "
            "7.2; 3 seeds, 300 videos of 25 sources): the cheaper is taken, 21.8 ms against 51.2 "
            "ms a clip. Of 4 others no difference is seen either; they cost more than that."
        ),
        chance=0.21,
        seeds=3,
        folds=1,
        videos=300,
        groups=25,
        classes=12,
        notes=("Half of the candidates went on after 10 epochs.",),
        failures=(("22222333333-w0.5-16x112-r8-e30-f0-s0", "ended by signal 9"),),
    )
    return replace(report, **changes)  # type: ignore[arg-type]
