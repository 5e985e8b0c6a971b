"""Cancel: turn a run back at its next step boundary, if it has not passed its pivot."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sagas import db, record, transitions
from sagas.define import plan, registry
from sagas.define.draft import Draft
from sagas.define.outlook import Outlook
from sagas.define.plan import Worker, past_pivot
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.errors import CancelRefused
from sagas.operate.verb import Operator, Verb, act, steps
from sagas.run.context import condition
from sagas.run.send import nothing, send_on_commit
from sagas.states import ACTIVE_RUNS, Direction, Halt, RunStatus
from sagas.wording import stands


class CancelledBefore(CancelRefused):
    """The run is turning back already."""


class Cancel(Verb):
    """Turn a run back."""

    name = "cancel"
    label = "Cancel"
    past = "cancelled"
    summary = "Turn back at the next step boundary and undo what was done."
    foreseen = True

    @classmethod
    def confirmed(cls, target: str, outlook: Outlook) -> str:
        if (undo := outlook.undo) is None:
            return "Cancel the run"
        if undo.unless:
            return f"Cancel unless {undo.unless} happens"
        more = " or more" if undo.first else ""
        return f"Cancel and undo {steps(undo.count)}{more}" if undo.count else "Cancel the run"

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        assert saga is not None, "it is coded"
        if _asked_before(view):
            raise CancelledBefore(f"Run {view.id} is turning back already.")
        return _turned(saga, view, worker)


@db.transacted
def cancel(run_id: UUID, *, by: Operator | None = None, reason: str = "", **how: Any) -> RunStatus:
    """Ask a run to undo itself.

    Args:
        by: the person who asks, whose right is checked and whose reason is kept; takes and raises
            as ``act`` then. None: the application's own code asks, and asking again changes
            nothing.

    Returns:
        the run's status now: it is still ``running`` while a step is in flight.

    Raises:
        UnknownRun: there is no such run.
        UnknownSaga: this code does not know the run's saga, or knows other steps of it.
        CancelRefused: it is past its pivot, over, or waits for a person.
    """
    if by is not None:
        return act(run_id, Cancel(), by=by, reason=reason, **how)
    view = record.read_locked(run_id)
    if _asked_before(view):
        return view.status
    saga = registry.pinned(view.saga, view.version, view.fingerprint)
    draft = _turned(saga, view, Worker(nothing, condition(saga, view)))
    transitions.write(draft)
    send_on_commit(saga, view, draft.to_send)
    return view.status


def _turned(saga: Definition, view: RunView, worker: Worker) -> Draft:
    _refuse(view, past_pivot(saga, view))
    return plan.halt(saga, view, Halt.CANCELLED, worker)


def _asked_before(view: RunView) -> bool:
    cancelled = view.halt is Halt.CANCELLED and view.status is not RunStatus.NEEDS_ATTENTION
    return cancelled or view.status is RunStatus.COMPENSATING


def _refuse(view: RunView, passed: bool) -> None:
    if passed and not view.over:
        raise CancelRefused(
            f"Run {view.id} cannot be cancelled: it has passed its pivot and must finish."
        )
    if view.status not in ACTIVE_RUNS[Direction.FORWARD]:
        raise CancelRefused(f"Run {view.id} cannot be cancelled: it {stands(view.status)}.")
