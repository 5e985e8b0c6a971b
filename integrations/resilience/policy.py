"""What a policy is: something around a call, which may refuse it, repeat it, or learn from it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from integrations.call import Call
from integrations.errors import (
    NotAsked,
    OverLimit,
    PartnerError,
    PartnerRefused,
    QuotaSpent,
)

Result = TypeVar("Result")
Ask = Callable[[Call], Result]
"""Asks the partner within the time of the call that it is given, or raises a PartnerError."""
Policy = Callable[[Call, Ask[Result]], Result]
"""Asks, or does not; raises NotAsked in the latter case."""


class Answered(Exception):
    """The partner's answer amounts to a failure, but is for the caller to read."""

    def __init__(self, error: PartnerError, answer: object) -> None:
        super().__init__(error)
        self.error = error
        self.answer = answer


class Outcome(StrEnum):
    """What the end of a call says about the partner."""

    OK = "ok"  # it is well, whatever it answered
    FAILED = "failed"  # it is not
    LIMITED = "limited"  # it is well, and we ask too often
    NONE = "none"  # nothing


def outcome(call: Call, error: BaseException | None) -> Outcome:
    """What a call that ended with `error` says about the partner."""
    match means(error):
        case None | PartnerRefused() | QuotaSpent():
            return Outcome.OK
        case OverLimit():
            return Outcome.LIMITED
        case NotAsked():
            return Outcome.NONE
        case PartnerError() | OSError():  # the latter is how an SDK's socket fails
            return Outcome.FAILED
        case _:  # a bug of ours, or a time limit: then the partner was too slow
            return Outcome.FAILED if call.remaining <= 0 else Outcome.NONE


def means(error: BaseException | None) -> BaseException | None:
    """The PartnerError that an answer amounts to; any other error is itself."""
    return error.error if isinstance(error, Answered) else error
