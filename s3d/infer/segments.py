"""From the scores of overlapping windows to segments: when something begins, and when it ends.

Every moment goes to the window whose centre is nearest, so windows one stride apart vote for one
stride each, the first also for what lies before it, the last for what follows:

    windows       [--------a--------]
                      [--------b--------]
                          [--------c--------]
    votes         [ . . . . a ][b ][c . . . . ]

A window that shows half of an action gives about half a score when its centre is where the action
begins, so boundaries are good to about half a stride. One label holds at a time:

- a segment begins once its label has the highest score, reaches `enter` and has led for
  `least_seconds`; its start is where the label took the lead with at least `leave`;
- it ends where its score falls below `leave`, or where another label took the lead and kept it;
- labels that mean nothing are followed alike, and make no segments.

What is kept does not grow with the number of windows, so this serves a live stream as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from s3d.errors import InputError

Scores = npt.NDArray[np.float32]

DEFAULT_THRESHOLD = 0.5
LEAVE_SHARE = 0.8
"""Of `enter`, where `leave` is not given: under it a boundary moves by a tenth of a window."""
SLACK_SECONDS = 1e-6
MOST_SMOOTHED = 1001


@dataclass(frozen=True)
class SegmentRule:
    """Say when a segment begins and ends.

    Attributes:
        enter: The score from which a label is believed, above 0, up to 1.
        leave: The score below which it is no longer; None is four fifths of `enter`.
        smooth_windows: Each score is the mean over so many windows around it, an odd number; what
            is said of a live stream comes half as many windows later.
        least_seconds: Shorter segments are dropped.
        nothing: Labels that mean that nothing happens.
    """

    enter: float = DEFAULT_THRESHOLD
    leave: float | None = None
    smooth_windows: int = 1
    least_seconds: float = 0.0
    nothing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.enter <= 1:
            raise InputError(f"threshold is {self.enter:g}; it needs a score above 0, up to 1.")
        if not 0 < self.leave_score <= self.enter:
            raise InputError(
                f"leaving threshold is {self.leave_score:g}; it needs a score above 0, up to the "
                f"threshold, {self.enter:g}."
            )
        if not (0 < self.smooth_windows <= MOST_SMOOTHED and self.smooth_windows % 2):
            raise InputError(
                f"scores are to be smoothed over {self.smooth_windows} windows; it needs an odd "
                f"number from 1 to {MOST_SMOOTHED}."
            )
        if not 0 <= self.least_seconds < float("inf"):
            raise InputError(
                f"least length of a segment is {self.least_seconds:g} s; it needs 0 or more."
            )

    @property
    def leave_score(self) -> float:
        """Return the score below which a segment ends."""
        return LEAVE_SHARE * self.enter if self.leave is None else self.leave


@dataclass(frozen=True)
class Segment:
    """Hold a stretch of time in which one thing happens.

    Attributes:
        start_seconds: When it begins.
        end_seconds: When it ends; of one that goes on, up to when it is known.
        label: What happens.
        score: The mean of the label's scores over it.
    """

    start_seconds: float
    end_seconds: float
    label: str
    score: float


class Change(NamedTuple):
    """Say what became of a segment.

    Attributes:
        kind: "began" or "ended".
        segment: Up to where it is known.
    """

    kind: Literal["began", "ended"]
    segment: Segment


def check_labels(labels: Sequence[str], rule: SegmentRule) -> None:
    """Check that the labels that are to mean nothing are there.

    Raises:
        InputError: One is not.
    """
    for label in rule.nothing:
        if label not in labels:
            raise InputError(
                f"label {label!r} is to mean nothing, and the model has no such label. "
                "Name one of its own."
            )


class Segmenter:
    """Turn windows into segments as they come."""

    def __init__(self, labels: Sequence[str], rule: SegmentRule | None = None) -> None:
        """Set up.

        Args:
            labels: Class names, in the order of the scores.
            rule: When segments begin and end.

        Raises:
            InputError: The rule names a label that is none of these.
        """
        self.labels, self.rule = tuple(labels), rule or SegmentRule()
        check_labels(labels, self.rule)
        self._forget()

    def _forget(self) -> None:
        self._held: deque[_Vote] = deque()
        self._next = 0
        self._centre: float | None = None
        self._end = 0.0
        self._active: _Run | None = None
        self._challenger: _Run | None = None

    def push(self, start_seconds: float, end_seconds: float, scores: Scores) -> list[Change]:
        """Take the next window.

        Args:
            start_seconds: Where it begins, after the one before.
            end_seconds: Where it ends.
            scores: (K,) of the labels.

        Returns:
            What began or ended by it, in order of time.

        Raises:
            InputError: The window does not follow the one before, or has other labels.
        """
        if np.shape(scores) != (len(self.labels),):
            raise InputError(f"{np.shape(scores)} scores came for {len(self.labels)} labels.")
        self._held.append(self._place(start_seconds, end_seconds, scores))
        self._end = max(self._end, end_seconds)
        if len(self._held) > self.rule.smooth_windows:
            self._held.popleft()
            self._next -= 1
        ahead = self.rule.smooth_windows // 2
        return self._advance() if len(self._held) - self._next > ahead else []

    def finish(self) -> list[Change]:
        """Return what ends with the last window; then another stream may begin."""
        changes = []
        while self._next < len(self._held):
            changes += self._advance()
        changes += self._confirm(self._end)
        self._challenger = None  # It never was believed.
        if self._active:
            changes += self._end_run(self._active, self._end)
        self._forget()
        return changes

    def _place(self, start: float, end: float, scores: Scores) -> _Vote:
        centre, before = (start + end) / 2, self._centre
        if end <= start or (before is not None and centre <= before):
            raise InputError(
                f"a window from {start:g} to {end:g} s came after one around {before or 0:g} s. "
                "Give them in order of time."
            )
        self._centre = centre
        if before is None:
            return _Vote(start, centre, scores)
        return _Vote((before + centre) / 2, (3 * centre - before) / 2, scores)

    def _advance(self) -> list[Change]:
        """Follow the next vote, smoothed over what is there on both sides of it."""
        half, place = self.rule.smooth_windows // 2, self._next
        around = [self._held[i].scores for i in range(max(0, place - half), len(self._held))]
        vote = self._held[place]._replace(scores=np.mean(around[: 2 * half + 1], 0))
        self._next += 1
        return self._follow(vote)

    def _follow(self, vote: _Vote) -> list[Change]:
        changes, active = list[Change](), self._active
        self._challenge(vote)
        if active is not None:
            score = float(vote.scores[active.label])
            if score < self.rule.leave_score:
                changes += self._end_run(active, vote.start)
            else:
                active.add(score)
        return changes + self._confirm(vote.end)

    def _challenge(self, vote: _Vote) -> None:
        """Note who leads, where that is not the one whose segment goes on."""
        leader, rule = int(np.argmax(vote.scores)), self.rule
        score = float(vote.scores[leader])
        if score < rule.leave_score or (self._active and leader == self._active.label):
            self._challenger = None
            if self._active:
                self._active.settle()
            return
        if self._challenger is None or self._challenger.label != leader:
            self._challenger = _Run(leader, vote.start)
            if self._active:
                self._active.settle()
        self._challenger.add(score)
        self._challenger.settle()
        self._challenger.has_entered |= score >= rule.enter

    def _confirm(self, end: float) -> list[Change]:
        run, rule = self._challenger, self.rule
        if run is None or not run.has_entered:
            return []
        if end - run.start < rule.least_seconds - SLACK_SECONDS:
            return []
        changes = self._end_run(self._active, run.start) if self._active else []
        self._active, self._challenger = run, None
        return changes + self._tell("began", run, end)

    def _end_run(self, run: _Run, end: float) -> list[Change]:
        self._active, rival = None, self._challenger
        if rival is None:
            run.settle()
        return self._tell("ended", run, rival.start if rival else end)

    def _tell(self, kind: Literal["began", "ended"], run: _Run, end: float) -> list[Change]:
        label = self.labels[run.label]
        if label in self.rule.nothing:
            return []
        return [Change(kind, Segment(run.start, end, label, run.score))]


def merge_windows(
    windows: Iterable[tuple[float, float, Scores]],
    labels: Sequence[str],
    rule: SegmentRule | None = None,
) -> list[Segment]:
    """Return the segments of windows that are all there.

    Args:
        windows: (start seconds, end seconds, (K,) scores) in order of time.
        labels: Class names, in the order of the scores.
        rule: When segments begin and end.

    Raises:
        InputError: As of `Segmenter`.
    """
    segmenter = Segmenter(labels, rule)
    changes = [change for window in windows for change in segmenter.push(*window)]
    changes += segmenter.finish()
    return [change.segment for change in changes if change.kind == "ended"]


class _Vote(NamedTuple):
    """Hold what one window says, and of which time; the end is as if the stride went on."""

    start: float
    end: float
    scores: Scores


class _Run:
    """Follow one label since it took the lead.

    Scores since somebody else leads are kept apart until it is known whose time that is.
    """

    def __init__(self, label: int, start: float) -> None:
        self.label, self.start, self.has_entered = label, start, False
        self.total, self.count = 0.0, 0
        self.open_total, self.open_count = 0.0, 0

    @property
    def score(self) -> float:
        return self.total / max(1, self.count)

    def add(self, score: float) -> None:
        self.open_total += score
        self.open_count += 1

    def settle(self) -> None:
        self.total, self.count = self.total + self.open_total, self.count + self.open_count
        self.open_total, self.open_count = 0.0, 0
