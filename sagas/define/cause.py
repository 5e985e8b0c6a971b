"""What stopped a run, in words that are the same for every run that it stopped."""

from __future__ import annotations

import re

from sagas.define.view import StepView
from sagas.states import Direction

_LONGEST = 200
# What differs from run to run, the longest kinds first.
_PARTICULARS = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE), "URL"),
    (re.compile(r"[^\s@<>'\"]+@[^\s@<>'\"]+\.[^\s@<>'\"]+"), "EMAIL"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "ID"),
    (re.compile(r"'[^']*'|\"[^\"]*\""), "'…'"),
    (re.compile(r"\b(?=\w*\d)[0-9a-z_]{12,}\b", re.IGNORECASE), "ID"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "#"),
)


def general(reason: str) -> str:
    """A reason without what differs from run to run: numbers, ids, addresses, quoted words."""
    for pattern, stand_in in _PARTICULARS:
        reason = pattern.sub(stand_in, reason)
    return _cut(" ".join(reason.split()))


def error_group(row: StepView, reason: str) -> str:
    """The group of a step's failure: the step, its direction, and the reason in general words."""
    doing = "undo " if row.direction is Direction.BACKWARD else ""
    return _cut(f"{doing}{row.name}: {general(reason)}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
