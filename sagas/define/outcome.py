"""The closed set of answers that an attempt can give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """It happened. ``result`` is JSON-ready."""

    result: Any = None


@dataclass(frozen=True, slots=True)
class RetryLater:
    """This attempt surely did nothing; a later one may work. ``after`` is in seconds."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until a signal comes or ``seconds`` have passed; costs no attempt."""

    seconds: float | None = None
    signal: str = ""
    correlation: str = ""


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Surely nobody was even asked; come back ``after`` seconds. Costs no attempt of any budget."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """This attempt surely did nothing, and asking again will not help."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have happened."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class NotApplied:
    """A verify's answer: it surely did not happen."""


Outcome = Done | RetryLater | Wait | NotAsked | Refused | Unknown | NotApplied
