"""Signal: tell a waiting step what it waits for."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction

from sagas import record, transitions
from sagas.conf import conf
from sagas.define import plan, registry
from sagas.define.outcome import Done
from sagas.define.plan import Worker
from sagas.errors import PayloadInvalid, SagaError
from sagas.operate.access import Holder, Right, require, scope
from sagas.run import mailbox
from sagas.run.context import condition
from sagas.run.documents import NotADocument, clean, encode
from sagas.run.send import nothing, send_on_commit
from sagas.states import Direction, StepStatus


def send_signal(
    name: str,
    correlation: str,
    payload: Any = None,
    *,
    deduplication_id: str | None = None,
    by: Holder | None = None,
) -> bool:
    """Hand a signal to the step that waits for it, or keep it until one does.

    Runs in the caller's transaction.

    Args:
        name: the signal's name, as in ``wait_for(name)``.
        correlation: which run it is for; by default a run's business key.
        payload: JSON-ready data: the waiting step's result.
        deduplication_id: the sender's id of this signal; a second one with it is ignored.
        by: the person who sends it, whose right is checked; None: the application's own code.

    Returns:
        True if a waiting step got it; False if it was kept, or was a duplicate.

    Raises:
        PayloadInvalid: the payload cannot be stored.
        SagaError: name or correlation is empty or too long.
        UnknownSaga: this code does not know the saga of the run that waits, or knows other steps
            of it: nothing is kept, so send the signal again.
        django.core.exceptions.PermissionDenied: the run that waits is of a saga that the person's
            right does not hold for; or none waits, and it holds for some sagas only. Nothing is
            kept.
    """
    text = _checked(name, correlation, deduplication_id, payload)
    with transaction.atomic():
        mailbox.lock(name, correlation)
        if not mailbox.keep(name, correlation, deduplication_id, text):
            return False
        while (found := mailbox.waiting(name, correlation)) is not None:
            if _deliver(name, correlation, by, *found):
                return True  # else that one has stopped waiting meanwhile: is there another?
        _permit_early(by)
        return False


def _permit_early(by: Holder | None) -> None:
    """Nobody knows yet the run of which saga will take it."""
    if by is not None and scope(by, Right.CHANGE) is not None:
        raise PermissionDenied(
            f"No run waits for that signal, and your permission {Right.CHANGE.value!r} holds for "
            "some sagas only: send it again when one does."
        )


def _deliver(
    name: str, correlation: str, by: Holder | None, run_id: Any, step: str, direction: str
) -> bool:
    view = record.read_locked(run_id)
    if by is not None:
        require(by, Right.CHANGE, view.saga)
    row = view.step(step, Direction(direction))
    if row is None or row.status is not StepStatus.WAITING:
        return False
    saga = registry.pinned(view.saga, view.version, view.fingerprint)
    payload = mailbox.take(name, correlation, row.id)
    draft = plan.settle(saga, view, row, Done(payload), Worker(nothing, condition(saga, view)))
    transitions.write(draft)
    send_on_commit(saga, view, draft.to_send)
    return True


def _checked(name: str, correlation: str, deduplication_id: str | None, payload: Any) -> str:
    for label, value, limit in (
        ("name", name, 80),
        ("correlation", correlation, 200),
        ("deduplication id", "none" if deduplication_id is None else deduplication_id, 200),
    ):
        if not value or clean(value, limit) != value:
            raise SagaError(
                f"A signal's {label} needs 1 to {limit} characters, "
                "without NUL and lone surrogates."
            )
    try:
        return encode(payload, conf().MAX_DOCUMENT_BYTES)
    except NotADocument as error:
        place = f"payload.{error.field}".rstrip(".")
        problem = {"field": place, "message": str(error)}
        raise PayloadInvalid(f"signal {name!r}", [problem]) from None
