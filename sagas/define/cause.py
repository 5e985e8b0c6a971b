"""What stopped a run, in words that are the same for every run that it stopped."""

from __future__ import annotations

import re

from sagas.define.title import titled
from sagas.define.view import StepView

_LONGEST = 200
_READ = 1_000  # a pattern takes time by the square of a text's length
# What differs from run to run, the longest kinds first.
_PARTICULARS = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE), "URL"),
    (re.compile(r"[^\s@<>'\"]+@[^\s@<>'\"]+\.[^\s@<>'\"]+"), "EMAIL"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "ID"),
    (re.compile(r"'[^']*'|\"[^\"]*\""), "'…'"),
    (re.compile(r"\b(?=\w*\d)[0-9a-z_]{12,}\b", re.IGNORECASE), "ID"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "…"),
)
_HUMPS = r"[A-Z][A-Za-z0-9]*[a-z0-9][A-Z][A-Za-z0-9]*"
# The name of an exception: by its ending, or because it stands where ``describe`` puts it.
_EXCEPTION = re.compile(
    r"\b(?:\w+\.)*(?P<named>[A-Z]\w*(?:Error|Exception|Warning|Timeout))\b"
    rf"|(?:^|(?<=: ))(?P<first>{_HUMPS})(?=:|\.?$)"
)
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def general(reason: str) -> str:
    """A reason in plain words, without what differs from run to run.

    That is: numbers, ids, addresses and quoted words. Names of exceptions are told as words: they
    are for engineers, who find them with the step's error.
    """
    reason = plain(reason[:_READ])
    for pattern, stand_in in _PARTICULARS:
        reason = pattern.sub(stand_in, reason)
    return _cut(" ".join(reason.split()))


def plain(reason: str) -> str:
    """A reason whose names of exceptions are told as words."""
    read = _EXCEPTION.sub(lambda found: in_words(found["named"] or found["first"]), reason[:_READ])
    return read + reason[_READ:]


def in_words(name: str) -> str:
    """The name of an exception as words: ``JSONDecodeError`` is a JSON decode error."""
    parts = (" ".join(name.split("_")) for name in _WORD.sub(" ", name).split())
    return " ".join(part if part.isupper() and len(part) > 1 else part.lower() for part in parts)


def error_group(row: StepView, reason: str) -> str:
    """The group of a step's failure: the step's title, and the reason in general words."""
    return _cut(f"{titled(row)}: {general(reason)}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
