"""Signal: tell a waiting step what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeGuard
from uuid import UUID

from django.core.exceptions import PermissionDenied
from pydantic import BaseModel, ValidationError

from sagas import db, record, transitions
from sagas.conf import conf
from sagas.define import plan, registry
from sagas.define.saga import problems, safe_problems
from sagas.define.step import Step
from sagas.define.view import RunView, StepView
from sagas.errors import PayloadInvalid, SagaError, UnknownSaga
from sagas.operate.access import Holder, Right, require, scope
from sagas.run import mailbox
from sagas.run.documents import NotADocument, clean, encode
from sagas.run.send import send_on_commit
from sagas.states import Direction, RunStatus, StepStatus


@db.transacted
def send_signal(
    name: str,
    key: str = "",
    payload: Any = None,
    *,
    saga: str = "",
    run: UUID | str | None = None,
    deduplication_id: str | None = None,
    expires: timedelta | None = None,
    by: Holder | None = None,
) -> bool:
    """Hand a signal to the step that waits for it, or keep it until one does.

    Runs in the caller's transaction. The step is then called by a worker, as soon as one has code
    that fits the run. Only runs of one saga get a signal: of the saga that is given, or else of the
    only one that waits for signals of that name, or the only one of these with a run under the key.
    If only other sagas have runs under the key, the first step that waits for the signal gets it.

    Args:
        name: the signal's name, as in ``wait_for(name)``.
        key: which run it is for: its business key, unless ``wait_for(correlate=...)`` says
            otherwise.
        payload: JSON-ready data or a pydantic model, which must fit what ``wait_for(payload=...)``
            declares.
        saga: the saga whose run it is for.
        run: the id of the run that it is for, instead of a key.
        deduplication_id: the sender's id of this signal; a second one with it is ignored.
        expires: no step takes it after that long; default: the setting ``SIGNAL_SECONDS``.
        by: the person who sends it, whose right is checked; None: the application's own code.

    Returns:
        True if a waiting step got it; False if it was kept, or was a duplicate.

    Raises:
        PayloadInvalid: the payload does not fit, or cannot be stored. Nothing is kept.
        UnknownRun: there is no run of that id.
        SagaError: name or key is empty or too long; or runs of several sagas may be meant.
        django.core.exceptions.PermissionDenied: the person's right does not hold for the saga; or
            it holds for some sagas only, and none is known to wait for it. Nothing is kept.
    """
    if run is not None and (key or saga):
        raise SagaError(f"Signal {name!r}: give a run, or a key with or without a saga; not both.")
    run_id = None if run is None else UUID(str(run))
    correlation = key if run_id is None else str(run_id)
    _demand_address(name, correlation, deduplication_id)
    span = _expiry(name, expires)
    text = _text(name, payload)
    if saga and deduplication_id:  # the same event may be sent to several sagas
        deduplication_id = f"{saga}:{deduplication_id}"
    if run_id is None:
        mailbox.lock(name, correlation)
        steps = mailbox.waiting(name, correlation)
        saga = _addressee(name, key, steps, saga)
        step = steps.get(saga)
    else:
        view = record.read_locked(run_id)
        saga, step = view.saga, _waiting(view, name)
    _permit(by, saga)
    _demand_fit(name, saga, text)
    if not mailbox.keep(name, correlation, deduplication_id, text, saga=saga, expires=span):
        return False
    tried = None
    while step is not None and step != tried:
        if _handed(name, step):
            return True
        tried, step = step, mailbox.waiting(name, correlation).get(saga)
    return False


def hand_missed() -> int:
    """Hand over kept signals that a step waits for all the same. Gives how many.

    For sweeps. There are none, unless a transaction of the sender's or of an atomic step was not
    READ COMMITTED, and so did not see what the other one had done meanwhile.
    """
    return sum(_handed_late(*found) for found in mailbox.missed())


@db.transacted
def _handed_late(name: str, correlation: str, step: mailbox.Waiting) -> bool:
    mailbox.lock(name, correlation)
    return _handed(name, step)


def _addressee(name: str, key: str, steps: Mapping[str, mailbox.Waiting], saga: str) -> str:
    """The saga whose runs may take a signal; empty: nobody can tell."""
    if saga:
        if saga not in steps and saga not in mailbox.sagas_under(key):
            registry.get(saga)
        return saga
    named = registry.waiting_for(name).keys() | steps.keys()
    only = next(iter(named)) if len(named) == 1 else ""
    if only in steps:
        return only
    started = mailbox.sagas_under(key)
    if only:  # the runs under the key may wait for it too: a step need not declare what it returns
        return only if only in started or not started else ""
    meant = started & named if named else started
    if len(meant) == 1:
        return meant.pop()
    if not named:
        return ""
    raise SagaError(
        f"Signal {name!r} for {key!r}: runs of several sagas may wait for it: "
        f"{', '.join(sorted(meant or named))}. Say whose it is, as in saga={min(meant or named)!r}."
    )


def _waiting(view: RunView, name: str) -> mailbox.Waiting | None:
    """The step of a run that waits for a signal."""
    rows = (row for row in view.steps.values() if _waits(row, name))
    return next(((view.id, row.name, row.direction) for row in rows), None)


def _waits(row: StepView | None, name: str) -> TypeGuard[StepView]:
    return row is not None and row.status is StepStatus.WAITING and row.signal == name


def _handed(name: str, step: mailbox.Waiting) -> bool:
    """Hand a signal to a step and have it called. False: it has stopped waiting meanwhile."""
    run_id, step_name, direction = step
    view = record.read_locked(run_id)
    row = view.step(step_name, Direction(direction))
    if not _waits(row, name) or row.id is None:
        return False
    if not mailbox.hand(view.saga, view.id, row.id, name, row.correlation):
        return False
    draft = plan.hand_over(view, row)
    transitions.write(draft)
    with suppress(UnknownSaga):  # then a sweep sends it, of a process whose code fits the run
        saga = registry.pinned(view.saga, view.version, view.fingerprint)
        if view.status is not RunStatus.NEEDS_ATTENTION:
            send_on_commit(saga, view, draft.to_send)
    return True


def _permit(by: Holder | None, saga: str) -> None:
    if by is None:
        return
    if saga:
        require(by, Right.CHANGE, saga)
    elif scope(by, Right.CHANGE) is not None:
        raise PermissionDenied(
            f"No saga is known to wait for that signal, and your permission {Right.CHANGE.value!r} "
            "holds for some sagas only: say which saga it is for."
        )


# --- what is said at the door --------------------------------------------------------------


def _demand_address(name: str, correlation: str, deduplication_id: str | None) -> None:
    for label, value, limit in (
        ("name", name, 80),
        ("key", correlation, 200),
        ("deduplication id", "none" if deduplication_id is None else deduplication_id, 200),
    ):
        if not value or clean(value, limit) != value:
            raise SagaError(
                f"A signal's {label} needs 1 to {limit} characters, "
                "without NUL and lone surrogates."
            )


def _expiry(name: str, expires: timedelta | None) -> timedelta | None:
    if expires is not None and not (isinstance(expires, timedelta) and expires > timedelta(0)):
        raise SagaError(
            f"Signal {name!r}: expires={expires!r} is no time span. "
            "Give a timedelta above zero, as in expires=timedelta(days=2)."
        )
    return expires


def _text(name: str, payload: Any) -> str:
    plain = (
        payload.model_dump(mode="json", by_alias=True)
        if isinstance(payload, BaseModel)
        else payload
    )
    try:
        return encode(plain, conf().MAX_DOCUMENT_BYTES)
    except NotADocument as error:
        place = f"payload.{error.field}".rstrip(".")
        raise PayloadInvalid(
            f"signal {name!r}", [{"field": place, "message": str(error)}]
        ) from None


def _demand_fit(name: str, saga: str, text: str) -> None:
    """Refuse a payload that fits none of the declarations of those who may take it."""
    declared = registry.waiting_for(name)
    steps = declared.get(saga, []) if saga else [s for found in declared.values() for s in found]
    errors = [error for step in steps if (error := _misfit(step, text)) is not None]
    if errors and len(errors) == len(steps):
        found = [
            {**problem, "field": f"payload.{problem['field']}".rstrip(".")}
            for problem in problems(errors[0])
        ]
        raise PayloadInvalid(f"signal {name!r}", found, safe_problems(errors[0]))


def _misfit(step: Step, text: str) -> ValidationError | None:
    try:
        step.signal_type.validate_json(text)
    except ValidationError as error:
        return error
    return None
