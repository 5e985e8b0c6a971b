"""The public door: everything that a saga's author and its callers need."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Signature

from sagas import record
from sagas.define import registry
from sagas.define.backoff import Retry
from sagas.define.context import ReceivedSignal, Run
from sagas.define.outcome import NotApplied, Refused, RetryLater, Unknown, Wait
from sagas.define.redact import Redacted
from sagas.define.saga import Definition, parallel, pivot
from sagas.define.step import Errors, Step, step, wait_for, wait_until
from sagas.errors import (
    ApprovalNeeded,
    BacklogFull,
    CancelRefused,
    DefinitionError,
    KeyConflict,
    PayloadInvalid,
    SagaError,
    StartRefused,
    StepTimeout,
    UnknownRun,
    UnknownSaga,
    VerbRefused,
)
from sagas.operate.assign import assign
from sagas.operate.automatic import (
    Lift,
    held_partners,
    hold_partner,
    last_lift,
    let_one_through,
    lift_partner,
)
from sagas.operate.cancel import cancel
from sagas.operate.compensate import compensate
from sagas.operate.hold import hold, lift
from sagas.operate.mark import mark
from sagas.operate.migrate import migrate
from sagas.operate.pause import pause, resume
from sagas.operate.reading import HistoryEvent, RunInfo, StepInfo, get_run
from sagas.operate.resolve import resolve
from sagas.operate.restart import restart
from sagas.operate.retry import retry
from sagas.operate.signal import send_signal
from sagas.operate.skip import skip
from sagas.operate.throttle import Door, Throttled
from sagas.run.canvas import canvas
from sagas.run.recover import claimable
from sagas.run.start import Started, astart, start

__all__ = [
    "ApprovalNeeded",
    "BacklogFull",
    "CancelRefused",
    "DefinitionError",
    "Door",
    "Errors",
    "HistoryEvent",
    "KeyConflict",
    "Lift",
    "NotApplied",
    "PayloadInvalid",
    "ReceivedSignal",
    "Redacted",
    "Refused",
    "Retry",
    "RetryLater",
    "Run",
    "RunInfo",
    "Saga",
    "SagaError",
    "StartRefused",
    "Started",
    "Step",
    "StepInfo",
    "StepTimeout",
    "Throttled",
    "Unknown",
    "UnknownRun",
    "UnknownSaga",
    "VerbRefused",
    "Wait",
    "assign",
    "astart",
    "cancel",
    "compensate",
    "get_run",
    "held_partners",
    "hold",
    "hold_partner",
    "last_lift",
    "let_one_through",
    "lift",
    "lift_partner",
    "mark",
    "migrate",
    "parallel",
    "pause",
    "pivot",
    "resolve",
    "restart",
    "resume",
    "retry",
    "send_signal",
    "skip",
    "start",
    "step",
    "wait_for",
    "wait_until",
]


class Saga(Definition):
    """A saga that this process knows by its name as soon as it is defined."""

    __doc__ = Definition.__doc__

    def defined(self) -> None:
        registry.register(self)

    def canvas(self, run_id: UUID) -> Signature[Any] | None:
        """The Celery canvas that is sent for a run as it stands; None if nothing is due.

        Raises:
            UnknownRun: there is no such run.
        """
        view = record.read(run_id)
        rows = claimable(self, view)
        return canvas(self, view, rows) if rows else None
