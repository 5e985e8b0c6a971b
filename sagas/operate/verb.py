"""What every verb of an operator shares: the right, a reason, the lock, the audit, the message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction

from sagas import record, transitions
from sagas.conf import conf
from sagas.define import registry
from sagas.define.draft import Draft, Happening
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.define.view import RunView
from sagas.errors import PayloadInvalid, VerbRefused
from sagas.operate.access import Right, require
from sagas.run.context import condition, stored
from sagas.run.documents import clean, encode
from sagas.run.send import nothing, send_on_commit
from sagas.states import RunStatus

Verb = Callable[[Definition, RunView, Worker], Draft]
_LONGEST = 1000


class Operator(Protocol):
    """Who acts: a user of Django's, or whoever sits at the shell."""

    def has_perm(self, perm: str) -> bool: ...

    def get_username(self) -> str: ...


def act(
    run_id: UUID,
    name: str,
    by: Operator,
    reason: str,
    verb: Verb,
    *,
    revision: int | None = None,
    **details: Any,
) -> RunStatus:
    """Do what a person asks of a run, in the caller's transaction, and note who, what and why.

    Args:
        name: the verb's, as the log keeps it.
        reason: why; it is required.
        verb: drafts the moves from the run as it is now.
        revision: of the run as the person saw it; None: whatever it is now.
        details: what else the log keeps of what was asked.

    Returns:
        the run's status now.

    Raises:
        django.core.exceptions.PermissionDenied: the operator may not change runs.
        UnknownRun: there is no such run.
        UnknownSaga: this code does not know the run's saga, or knows other steps of it.
        VerbRefused: it does not fit the run's state, the run has moved since it was seen, or
            there is no reason.
    """
    require(by, Right.CHANGE)
    why = clean(reason, _LONGEST).strip()
    if not why:
        raise VerbRefused(f"To {name} needs a reason: say why, for those who come after you.")
    with transaction.atomic():
        view = record.read_locked(run_id)
        if revision is not None and view.revision != revision:
            raise VerbRefused(
                f"Run {run_id} has moved since you looked: it is {_words(view.status)} now, at "
                f"revision {view.revision}, not {revision}. Look again."
            )
        saga = registry.pinned(view.saga, view.version, view.fingerprint)
        draft = verb(saga, view, Worker(nothing, condition(saga, view)))
        data = {"by": by.get_username(), "why": why, **details}
        draft.events.insert(0, Happening("", None, "", name, 0, data))
        transitions.write(draft)
        send_on_commit(saga, view, draft.to_send)
    return view.status


def document(saga: Definition, name: str, value: Any) -> str | None:
    """What a person says that a step answered, as it is stored. None says nothing.

    Raises:
        PayloadInvalid: it does not fit what the step declares.
    """
    step: Step | None = saga.steps.get(name)
    if value is None or step is None:
        return None
    try:
        return encode(stored(step, value), conf().MAX_DOCUMENT_BYTES)
    except ValueError as error:
        problem = {"field": "result", "message": str(error)}
        raise PayloadInvalid(f"the result of step {name!r}", [problem]) from None


def _words(status: str) -> str:
    return status.replace("_", " ")
