"""Which blocks overlapping windows can share, and what that saves.

Blocks are taken together to stages: those that look at one step of time at a time as one, any other
by itself. A step that a stage gives is the same in every window, unless it was made of the zeros
around the window: so the first and the last few steps, the borders, are each window's own.

    window         |== own ==|-------- the same as in the stream --------|== own ==|
    steps          0       low                                         high    steps_out
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from s3d.models.blocks import BLOCKS
from s3d.models.graph import HEAD
from s3d.models.reach import BlockInTime, Reach, TimeMap

LEAST_SAVING = 0.1
"""Share of the work that must be saved for sharing to be worth its trouble."""

CALL_MACS = 30_000_000
"""Multiply-adds that could be done in the time it takes to call an engine."""

BYTE_MACS = 30
"""Multiply-adds that could be done in the time it takes to hand a byte to an engine or back."""


@dataclass(frozen=True)
class Part:
    """Say how steps of a stage's output are computed from a slice of its input.

    Attributes:
        begin: First step of the slice.
        end: The step after its last.
        skipped: Steps that the slice gives before those that are wanted.
        count: Steps that are wanted.
    """

    begin: int
    end: int
    skipped: int
    count: int


@dataclass(frozen=True)
class Stage:
    """Hold blocks that are run as one, and how a window's steps fall into own and shared.

    Attributes:
        after: The block before them; None where they take frames.
        until: Their last block.
        reach: How far they look in time.
        steps_in: Steps of a window's input.
        steps_out: Steps of its output.
        low: The first output step that windows share.
        high: The step after the last one that they share.
        frames_a_step: Frames of the stream from one output step to the next.
        left: How a window's first steps are computed; None where there are none of its own.
        right: Likewise its last steps.
    """

    after: str | None
    until: str
    reach: Reach
    steps_in: int
    steps_out: int
    low: int
    high: int
    frames_a_step: int
    left: Part | None
    right: Part | None


@dataclass(frozen=True)
class Sharing:
    """Say what windows share.

    Attributes:
        stages: What is run once for all windows, in order; none where nothing is worth it.
        macs_plain: Multiply-adds of a window by itself.
        macs_shared: Multiply-adds a window takes this way.
        saving: Share of the work that is saved, calls and copies counted.
    """

    stages: tuple[Stage, ...]
    macs_plain: int
    macs_shared: int
    saving: float = 0.0

    @property
    def nothing(self) -> Sharing:
        """Return that nothing is shared."""
        return Sharing((), self.macs_plain, self.macs_plain)

    @property
    def until(self) -> str | None:
        """Return the last block of the stages."""
        return self.stages[-1].until if self.stages else None


def plan_sharing(
    times: TimeMap, window_frames: int, stride_frames: int, until: str = HEAD
) -> Sharing:
    """Return what windows of a network had best share.

    Args:
        times: The network's.
        window_frames: Frames of a window.
        stride_frames: From the start of one to that of the next.
        until: The block whose output is wanted of each window; "head" for logits.
    """
    blocks = times.blocks(window_frames)
    plain = sum(block.macs for block in blocks)
    if until == HEAD:
        plain += times.measure(BLOCKS[-1], HEAD, blocks[-1].steps_out).macs
    else:
        blocks = blocks[: BLOCKS.index(until) + 1]
        plain = sum(block.macs for block in blocks)
    nothing = best = Sharing((), plain, plain)
    stages: list[Stage] = []
    macs, left, moved = 0, plain, 0
    for group in group_blocks(blocks):
        stage = _make_stage(times, group, stages[-1] if stages else None)
        if stage is None or stride_frames % stage.frames_a_step:
            break
        stages.append(stage)
        left -= sum(block.macs for block in group)
        parts = _parts_a_window(times, stage, stride_frames // stage.frames_a_step)
        macs += sum(times.measure(stage.after, stage.until, p.end - p.begin).macs for p in parts)
        moved += sum(CALL_MACS + BYTE_MACS * _bytes_of(times, stage, p) for p in parts)
        handed = CALL_MACS + BYTE_MACS * times.bytes_a_step(stage.until) * stage.steps_out
        saving = 1 - (macs + left + moved + handed) / (plain + CALL_MACS)
        if saving > best.saving:
            best = Sharing(tuple(stages), plain, macs + left, saving)
    return best if best.saving >= LEAST_SAVING else nothing


def _parts_a_window(times: TimeMap, stage: Stage, steps: int) -> list[Part]:
    """Return what a stage computes for each window: its new steps and its own borders."""
    far = 8 * stage.steps_out  # Anywhere in the middle of a stream.
    parts = [stream_part(times, stage, far, far + steps), stage.left, stage.right]
    return [part for part in parts if part is not None]


def _bytes_of(times: TimeMap, stage: Stage, part: Part) -> int:
    """Return the bytes that go into and come out of a stage for some of its steps."""
    given = times.bytes_a_step(stage.after) * (part.end - part.begin)
    return given + times.bytes_a_step(stage.until) * (part.skipped + part.count)


def group_blocks(blocks: list[BlockInTime]) -> Iterator[list[BlockInTime]]:
    """Yield the blocks of each stage, up to the first block that sees all of time."""
    group: list[BlockInTime] = []
    for block in blocks:
        looks_aside = block.reach is None or block.reach.before or block.reach.after
        if looks_aside and group:
            yield group
            group = []
        if block.reach is None:
            return
        group.append(block)
        if looks_aside:
            yield group
            group = []
    if group:
        yield group


def _make_stage(times: TimeMap, group: list[BlockInTime], before: Stage | None) -> Stage | None:
    """Return a stage; None where windows would share nothing of it."""
    after, until = before.until if before else None, group[-1].name
    steps_in, steps_out = group[0].steps_in, group[-1].steps_out
    whole = times.measure(after, until, steps_in)
    reach = whole.reach
    assert reach is not None
    low_in, high_in = (before.low, before.high) if before else (0, steps_in)
    low = max(0, -(-(low_in + reach.before) // reach.stride))
    high = min(steps_out, (high_in - 1 - reach.after) // reach.stride + 1)
    if low_in == 0 and reach.before == 0:
        low = 0
    if high <= low:
        return None
    left = cut_part(times, whole, after, 0, low) if low else None
    right = cut_part(times, whole, after, high, steps_out) if high < steps_out else None
    # A border is made of the border before it and of what is shared, never of both borders.
    if (left and left.end > high_in) or (right and right.begin < low_in):
        return None
    frames_a_step = (before.frames_a_step if before else 1) * reach.stride
    return Stage(
        after, until, reach, steps_in, steps_out, low, high, frames_a_step, left, right
    )  # fmt: skip


def cut_part(times: TimeMap, whole: BlockInTime, after: str | None, first: int, stop: int) -> Part:
    """Return the slice from which a stage computes some of its output's steps.

    A slice begins where a step of the whole begins, and is padded as the whole is: some paddings
    depend on the length.

    Args:
        times: The network's.
        whole: The stage, for the whole input.
        after: The block before it.
        first: The first step that is wanted.
        stop: The step after the last.
    """
    reach = whole.reach
    assert reach is not None
    stride = reach.stride
    begin = max(0, (stride * first - reach.before) // stride * stride)
    end = min(whole.steps_in, stride * (stop - 1) + reach.after + 1)
    if stop == whole.steps_out:
        end = whole.steps_in  # What is padded after the end belongs to the last step.
    while times.measure(after, whole.name, end - begin).reach != reach:
        if end < whole.steps_in:
            end += 1
        elif begin:
            begin -= stride
        else:
            break
    return Part(begin, end, first - begin // stride, stop - first)


def stream_part(times: TimeMap, stage: Stage, first: int, stop: int) -> Part:
    """Return the slice of an endless input from which a stage computes some steps.

    It may begin before the steps it needs, and end after them, where any values may stand.
    """
    reach, stride = stage.reach, stage.reach.stride
    begin = (stride * first - reach.before) // stride * stride
    end = stride * (stop - 1) + reach.after + 1
    while times.measure(stage.after, stage.until, end - begin).reach != reach:
        end += 1
    return Part(begin, end, first - begin // stride, stop - first)
