"""Lengths of time and states in the words of the run's page."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from sagas.define.view import RunView, StepView
from sagas.operate.undone import UNDONE
from sagas.states import RunStatus, StepStatus

#: A shape for each state, so that none is told by its colour alone.
GLYPHS: Mapping[str, str] = {
    RunStatus.PENDING: "○",
    RunStatus.RUNNING: "▶",
    RunStatus.COMPENSATING: "◀",
    RunStatus.NEEDS_ATTENTION: "!",
    RunStatus.SUCCEEDED: "✓",
    RunStatus.COMPENSATED: "↩",
    RunStatus.RESOLVED: "■",
    StepStatus.READY: "◔",
    StepStatus.IN_FLIGHT: "▶",
    StepStatus.WAITING: "◷",
    StepStatus.UNKNOWN: "?",
    StepStatus.FAILED: "✕",
    StepStatus.SKIPPED: "⇥",
    UNDONE: "↩",
}


def state_of(view: RunView, row: StepView) -> str:
    """How a step stands: its status, or that it was undone."""
    return UNDONE if view.undone(row) else row.status


def length(seconds: float) -> str:
    """A length of time in its two largest units."""
    if seconds < 0.0005:
        return "0 s"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    for (large, size), (small, part) in pairwise(_UNITS):
        if seconds >= size:
            rest = int(seconds % size // part)
            return f"{int(seconds // size)} {large}" + (f" {rest} {small}" if rest else "")
    return f"{seconds:.0f} s"


def age(seconds: float) -> str:
    """How long ago, to the minute: it changes so seldom that an unchanged page stays unchanged."""
    return "less than a minute" if seconds < 60 else length(seconds // 60 * 60)


def until(seconds: float) -> str:
    """How far off a time is, to the minute."""
    if seconds <= 0:
        return "due now"
    return "in less than a minute" if seconds < 60 else f"in {age(seconds)}"


_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
