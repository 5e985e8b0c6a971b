"""The closed set of answers that an attempt can give.

Those that a step's code gives are exceptions too: it may return them, or raise them from anywhere
inside. Each can be made without arguments, so that its class alone says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Masked(str):
    """A reason as the record shows it: a mark stands for each word that may be somebody's.

    Attributes:
        original: what the step's code said; empty: just this.
    """

    original: str

    def __new__(cls, shown: str, original: str = "") -> Masked:
        made = super().__new__(cls, shown)
        made.original = "" if original == shown else original
        return made


@dataclass(frozen=True, slots=True)
class Done:
    """It happened. ``result`` is JSON-ready."""

    result: Any = None


@dataclass(unsafe_hash=True)  # not frozen: Python sets a raised exception's traceback
class RetryLater(Exception):
    """This attempt surely did nothing; a later one may work. ``after`` is in seconds."""

    reason: str = ""
    after: float | None = None


@dataclass(unsafe_hash=True)
class Wait(Exception):
    """Nothing to do until a signal comes or ``seconds`` have passed; costs no attempt.

    The step is then called again, with the signal as ``run.signal``, or with ``run.timed_out``.

    Args:
        seconds: how long to wait at most; None: until the signal comes.
        signal: the signal's name; empty: only time ends the wait.
        correlation: the key of the signals to wait for; empty: the run's business key.
        result: what the step gives so far, which it finds as ``run.result`` when it is called
            again; None: what it gave before.
    """

    seconds: float | None = None
    signal: str = ""
    correlation: str = ""
    result: Any = None


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Surely nobody was even asked; come back ``after`` seconds. Costs no attempt of any budget."""

    reason: str
    after: float | None = None


@dataclass(unsafe_hash=True)
class Refused(Exception):
    """This attempt surely did nothing, and asking again will not help."""

    reason: str = ""


@dataclass(unsafe_hash=True)
class Unknown(Exception):
    """It may or may not have happened."""

    reason: str = ""
    after: float | None = None


@dataclass(unsafe_hash=True)
class NotApplied(Exception):
    """A verify's answer: it surely did not happen."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The code does not fit its data: a result cannot be stored, or what is stored cannot be read.

    Neither another try nor undoing mends that; the run needs attention until the code is mended.

    Attributes:
        acted: the step's action was called and may have had its effect.
    """

    reason: str
    acted: bool


Outcome = Mismatch | Done | RetryLater | Wait | NotAsked | Refused | Unknown | NotApplied
OUTCOMES = (Mismatch, Done, RetryLater, Wait, NotAsked, Refused, Unknown, NotApplied)
#: What a step's code may raise instead of returning it.
RAISED = (RetryLater, Wait, Refused, Unknown, NotApplied)


def outcome_of(answer: Any) -> Outcome | None:
    """The outcome that a step's code answered; None: it answered with a result."""
    if isinstance(answer, type) and issubclass(answer, RAISED):
        return answer()
    return answer if isinstance(answer, OUTCOMES) else None
