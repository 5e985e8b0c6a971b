"""The engine's pipeline for one message: claim, perform, record, continue.

A message may arrive never, late, twice or out of order. What it says counts for nothing; it makes
its worker look at the record, and the record decides.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeGuard, TypeVar
from uuid import UUID

from django.db import (
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction

from sagas import db, record, transitions
from sagas.conf import conf
from sagas.define import plan, registry
from sagas.define.blockers import MISMATCH
from sagas.define.draft import Change, Draft
from sagas.define.mask import masked_error
from sagas.define.outcome import Done, Mismatch, NotAsked, Outcome, RetryLater, Unknown, Wait
from sagas.define.plan import Worker, time_limit
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.define.view import RunView, StepView
from sagas.errors import UnknownRun, UnknownSaga
from sagas.identity import identity
from sagas.run import heartbeat, limits, mailbox, workers
from sagas.run.canvas import Links
from sagas.run.context import AtHand, condition
from sagas.run.drain import draining
from sagas.run.faults import counted
from sagas.run.isolation import isolated, take_back_settings, transaction_ended
from sagas.run.origin import OriginKind, starting
from sagas.run.points import reached
from sagas.run.publishing import breaker
from sagas.run.queues import default_queue
from sagas.run.send import nothing, send, unheld
from sagas.run.step import perform
from sagas.states import FINISHED_STEPS, SETTLED_STEPS, Direction, StepStatus

logger = logging.getLogger("sagas.dispatch")
T = TypeVar("T")


@dataclass(slots=True)
class Message:
    """What one Celery message asks for, and the links that it still carries."""

    run_id: UUID
    epoch: int
    step: str
    direction: Direction
    links: Links
    saga: str = ""  # its name and version: what the run probably is
    began: float = field(default_factory=time.monotonic)
    claimed: StepView | None = None  # the step that it is about now
    queue: str = field(default_factory=default_queue)  # where steps go that name none


@counted
def carry(message: Message) -> None:
    """Perform the message's step, and the steps after it while this worker may."""
    draft = claim(message)
    try:
        with starting(OriginKind.RUN, str(message.run_id)):
            while draft is not None and draft.claimed is not None:
                message.claimed = draft.claimed
                message.links.drop_through(draft.claimed.name)
                draft = attempt(message, draft)
    finally:
        limits.release_when_idle()
    reached("K5", message.step, message.direction)


def claim(message: Message) -> Draft | None:
    """Phase 2: take the message's step, or the first of its links that is due, for this worker.

    With nothing to take, the message's links are dropped too, so that copies never multiply.
    """
    insist(heartbeat.ensure)
    if (draft := _first_claim(message)) is not None:
        return _go_on(message, registry.get(draft.view.saga, draft.view.version), draft)
    try:
        view = insist(lambda: record.read(message.run_id))
    except UnknownRun:
        logger.warning("A message names run %s, which does not exist.", message.run_id)
        message.links.clear()
        return None
    saga = definition_of(view)
    if saga is None or view.epoch != message.epoch:
        message.links.clear()
        return None
    step = _next_of(message, saga, view)
    if step is None:
        message.links.clear()
        return None
    draft = plan.claim(saga, view, step.name, message.direction, worker(saga, view, message, step))
    if not draft:
        message.links.clear()
        return None
    written = _written(draft)
    return claim(message) if written is None else _go_on(message, saga, written)


def attempt(message: Message, draft: Draft) -> Draft | None:
    """Phases 3 to 5: perform the claimed step, record its outcome, go on or hand on."""
    view, row = draft.view, draft.claimed
    assert row is not None, "only called with a claimed step"
    saga = registry.get(view.saga, view.version)
    signal = _at_hand(row)
    if saga.steps[row.name].atomic and not plan.probing(saga.steps[row.name], row):
        settled = _atomically(message, saga, view, row, signal)
    else:
        with isolated():
            outcome = perform(saga, view, row, signal)
        reached("K3", row.name, row.direction)
        settled = recorded(message, saga, view, row, outcome)
    if settled is None:
        message.links.clear()
        return None
    reached("K4", row.name, row.direction)
    return _go_on(message, saga, settled)


def recorded(
    message: Message, saga: Definition, view: RunView, row: StepView, outcome: Outcome
) -> Draft | None:
    """Phase 4, record: the outcome, the next moves and the next claim. None: it came too late."""
    step = saga.steps[row.name]
    fence = _Fence(view.epoch, row.attempt, acted=not plan.probing(step, row))
    if not row.signal and not _awaits_signal(outcome):
        draft = plan.settle(saga, view, row, outcome, worker(saga, view, message, step))
        if (written := _written(draft)) is not None:
            return written
    return insist(lambda: _recorded_locked(message, saga, view.id, row, fence, outcome))


def definition_of(view: RunView) -> Definition | None:
    """The definition that the run pins, or None: this code has none, or one that does not fit.

    Then the run is left to workers that know it, and a sweep of theirs looks at it soon. It needs
    attention once nobody has known it for as long as a deployment may take.
    """
    with suppress(UnknownSaga):
        return registry.pinned(view.saga, view.version, view.fingerprint)
    if not view.over and not view.attention:
        _leave(view)
    return None


def _leave(view: RunView) -> None:
    started = [row.name for row in view.rows(Direction.FORWARD)]
    reason = registry.mismatch(view.saga, view.version, view.fingerprint, started)
    _warn(workers.pin(view.saga, view.version, view.fingerprint), reason)
    look_in = conf().SWEEP_SECONDS if view.wake_in is None else view.wake_in
    ignored = max(0.0, -look_in)  # those who know it would have looked by now
    if ignored >= conf().DEPLOY_SECONDS and not _known_elsewhere(view):
        draft = Draft(view)
        draft.park(f"The code that runs this saga does not fit the run: {reason}", group=MISMATCH)
        insist(lambda: transitions.write(draft))
    else:
        insist(lambda: transitions.look_again([(view, min(look_in, conf().SWEEP_SECONDS))]))


def _known_elsewhere(view: RunView) -> bool:
    others = insist(lambda: workers.living(but=identity()))
    return others.know(view.saga, view.version, view.fingerprint)


_warned: set[str] = set()


def _warn(pinned: str, reason: str) -> None:
    """Say once what this code does not know, not for each of its runs."""
    if pinned not in _warned and len(_warned) < _MOST_WARNED:
        _warned.add(pinned)
        logger.warning(
            "This worker leaves runs of %s to workers that know them: %s", pinned, reason
        )


_MOST_WARNED = 1_000


def worker(saga: Definition, view: RunView, message: Message, current: Step) -> Worker:
    """What the planner must know of this worker: it carries on in its queue, while time is left."""

    def carries(step: Step, direction: Direction) -> bool:
        if draining():
            return False
        ends = time.monotonic() - message.began + time_limit(step, direction)
        same_queue = step.queue == current.queue
        return same_queue and not saga.hop and ends <= conf().CARRY_SECONDS

    holds = insist(lambda: condition(saga, view))
    return Worker(carries, holds, conf().POISON_ATTEMPTS, message.queue)


class Repeats:
    """How often something had to be done again: its first answers may only have been lost."""

    def __init__(self) -> None:
        self.count = 0
        self.began = time.monotonic()


def insist(action: Callable[[], T], repeats: Repeats | None = None) -> T:
    """Do something in the database, and again on a new connection while it cannot serve.

    Safe for writes: each names the revision it was planned on, so one whose answer was lost
    changes nothing when repeated. Gives up after one lease: then a sweep takes over.

    Raises:
        django.db.OperationalError: the database stayed away.
    """
    pause, until = _FIRST_PAUSE, time.monotonic() + conf().LEASE_SECONDS
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError, InternalError, ProgrammingError) as error:
            late = connection.in_atomic_block or time.monotonic() + pause > until
            if late or not _passes(error, first=pause == _FIRST_PAUSE):
                raise
            limits.release()  # the step has answered; ending the process would lose that
            if not db.is_conflict(error):
                logger.warning("Database: %s; trying again.", type(error).__name__)
                connection.close()
            time.sleep(pause)
            pause = min(2 * pause, 2.0)
            if repeats is not None:
                repeats.count += 1


_FIRST_PAUSE = 0.05


def _passes(error: Exception, *, first: bool) -> bool:
    """Whether it may go by itself: a server that is away, full, read-only, or was too busy.

    What a session may not do, a new one may: its role is not always the engine's.
    """
    if isinstance(error, ProgrammingError):
        return first and isinstance(error.__cause__, InsufficientPrivilege)
    return not isinstance(error, InternalError) or isinstance(
        error.__cause__, ReadOnlySqlTransaction
    )


# --- helpers -------------------------------------------------------------------------------


def _first_claim(message: Message) -> Draft | None:
    """Take the first step of a run that still is as it was started; None: look at the run."""
    saga = registry.find(message.saga)
    if saga is None or message.epoch != 1 or message.step not in saga.steps:
        return None
    repeats = Repeats()
    draft = insist(lambda: transitions.take_first(saga, message.run_id, message.step), repeats)
    if draft is None and repeats.count:
        expected = StepView(None, message.step, Direction.FORWARD, 0, attempt=1)
        return _claimed_after_all(message.run_id, expected, repeats.began)
    return draft


def _written(draft: Draft) -> Draft | None:
    """Write a draft and give it; None: the run has moved since, or what it claims is held."""
    repeats = Repeats()
    if insist(lambda: transitions.write(draft), repeats):
        return draft
    if not repeats.count or draft.claimed is None:
        return None
    return _as_committed(draft, repeats.began)


def _as_committed(draft: Draft, claimed_at: float | None) -> Draft | None:
    """A draft that was written though its answer was lost; None: others have what it claims."""
    if draft.claimed is None:
        return draft
    found = _claimed_after_all(draft.view.id, draft.claimed, claimed_at)
    if found is not None:  # with what else it moved, to be sent
        found.changes = {key: Change(found.view.steps[key]) for key in draft.changes}
    return found


def _claimed_after_all(run_id: UUID, expected: StepView, claimed_at: float | None) -> Draft | None:
    """A claim of ours of which only the answer was lost: nobody else has that attempt."""
    view = insist(lambda: record.read(run_id))
    row = view.step(expected.name, expected.direction)
    mine = (StepStatus.IN_FLIGHT, expected.attempt, identity(), os.getpid())
    if row is None or (row.status, row.attempt, row.worker, row.pid) != mine:
        return None
    row.claimed_at = claimed_at
    insist(lambda: record.complete(view))
    return Draft(view, claimed=row)


def _next_of(message: Message, saga: Definition, view: RunView) -> Step | None:
    """The message's step, or if that is settled the first of its links that is not.

    A step on another queue than the message's own is left to the chain, which hops there. A step
    that the run had before it moved to another version is nobody's any more.
    """
    if message.step not in saga.steps:
        return None
    names = [message.step, *message.links.names()]
    for name in names:
        row = view.step(name, message.direction)
        if row is None or name not in saga.steps:
            continue
        if row.status not in FINISHED_STEPS:
            step, first = saga.steps[name], saga.steps[message.step]
            return step if step.queue == first.queue else None
    return None


@db.transacted
def _recorded_locked(
    message: Message,
    saga: Definition,
    run_id: UUID,
    row: StepView,
    fence: _Fence,
    outcome: Outcome,
) -> Draft | None:
    """Record under the run's lock: somebody moved it since it was read, or a signal matters."""
    if _awaits_signal(outcome):
        mailbox.lock(outcome.signal, outcome.correlation)
    view = record.read_locked(run_id)
    current = view.step(row.name, row.direction)
    if current is None or not _mine(view, current, fence, outcome):
        _note_late(saga, view, row, fence, outcome)
        return None
    outcome, waited = _come_already(view, current, outcome), current.signal
    by = worker(saga, view, message, saga.steps[row.name])
    draft = plan.settle(saga, view, current, outcome, by)
    if not transitions.write(draft):
        draft = _settled_without_a_claim(message, saga, run_id, row, outcome)
    _spend(draft, row, waited)
    return draft


def _settled_without_a_claim(
    message: Message, saga: Definition, run_id: UUID, row: StepView, outcome: Outcome
) -> Draft:
    """Record under the run's lock, when a hold has come on the next step just now."""
    view = record.read(run_id)
    by = replace(worker(saga, view, message, saga.steps[row.name]), carries=nothing)
    draft = plan.settle(saga, view, view.steps[row.direction, row.name], outcome, by)
    written = transitions.write(draft)
    assert written, "nobody else moves a run that is locked, and nothing is claimed"
    return draft


def _stored(row: StepView) -> int:
    assert row.id is not None, "a step in flight is stored"
    return row.id


def _awaits_signal(outcome: Outcome | None) -> TypeGuard[Wait]:
    return isinstance(outcome, Wait) and bool(outcome.signal)


def _at_hand(row: StepView) -> AtHand | None:
    """The signal that a claimed step waited for, if it has come."""
    if not row.signal:
        return None
    return insist(lambda: mailbox.at_hand(_stored(row)))


def _come_already(view: RunView, current: StepView, outcome: Outcome) -> Outcome:
    """An outcome; if it waits for a signal that has come before, it waits no longer."""
    if not isinstance(outcome, Wait):
        return outcome
    step_id = _stored(current)
    if current.signal:
        mailbox.spend(step_id)
    if not outcome.signal:
        return outcome
    came = mailbox.hand(view.saga, view.id, step_id, outcome.signal, outcome.correlation)
    return outcome if came is None else replace(outcome, seconds=0.0)


def _spend(draft: Draft, row: StepView, waited: str) -> None:
    """A step that is settled is done with the signal that it waited for."""
    current = draft.view.steps[row.direction, row.name]
    if waited and current.status in SETTLED_STEPS:
        mailbox.spend(_stored(current))


@dataclass(frozen=True, slots=True)
class _Fence:
    """Which attempt answers, as it was when it was claimed."""

    epoch: int
    attempt: int
    acted: bool  # it called the action or the compensation, not the verify


def _mine(view: RunView, current: StepView, fence: _Fence, outcome: Outcome) -> bool:
    """Whether an attempt may answer: it has the step, or knows what is asked since it was lost."""
    if (view.epoch, current.attempt) != (fence.epoch, fence.attempt):
        return False
    given_up = current.status is StepStatus.UNKNOWN and isinstance(outcome, Done)
    return current.status is StepStatus.IN_FLIGHT or given_up


def _note_late(
    saga: Definition, view: RunView, row: StepView, fence: _Fence, outcome: Outcome
) -> None:
    current = view.step(row.name, row.direction)
    if current is not None and current.attempt == fence.attempt:
        done = isinstance(outcome, Done) and current.status is not StepStatus.SUCCEEDED
        if not (done or (current.losses and not isinstance(outcome, NotAsked))):
            return  # this attempt's own record, whose answer was lost
    draft = plan.late(saga, view, row, fence.attempt, outcome, acted=fence.acted)
    transitions.write(draft)


class _RolledBack(Exception):
    def __init__(self, outcome: Outcome | None) -> None:
        self.outcome = outcome


def _atomically(
    message: Message, saga: Definition, view: RunView, row: StepView, signal: AtHand | None
) -> Draft | None:
    """Perform and record in one transaction: the step's ORM writes commit with its outcome.

    A transaction that met a conflict did nothing and says nothing about the step: it is repeated
    here while the attempt has time, and costs no try.
    """
    ends_at = (row.claimed_at or time.monotonic()) + time_limit(saga.steps[row.name], row.direction)
    pause = 0.01
    while True:
        draft = None
        try:
            with isolated(), transaction.atomic():
                draft = _in_transaction(message, saga, view, row, signal)
        except _RolledBack as undone:
            outcome = undone.outcome
        except Exception as error:
            if draft is not None and _committed(view.id, row):
                why = masked_error(error)
                logger.warning("Run %s: after the commit of %s.", view.id, row.name, exc_info=why)
                claimed_at = draft.claimed.claimed_at if draft.claimed else None
                return _as_committed(draft, claimed_at)
            wait = pause * random.uniform(0.5, 1.5)
            again = time.monotonic() + wait < ends_at and not connection.in_atomic_block
            if again and db.is_conflict(error):
                time.sleep(wait)
                pause = min(2 * pause, 1.0)
                continue
            outcome = RetryLater(f"{type(error).__name__} at commit")
        else:
            return draft
        return None if outcome is None else recorded(message, saga, view, row, outcome)


def _in_transaction(
    message: Message, saga: Definition, view: RunView, row: StepView, signal: AtHand | None
) -> Draft:
    """Perform and record an atomic step.

    Raises:
        _RolledBack: nothing of it may stand; it has the outcome that is to be recorded instead.
    """
    depth = len(connection.savepoint_ids)
    outcome = perform(saga, view, row, signal)
    if transaction_ended():
        reason = "its code ended the transaction that it runs in, with COMMIT or ROLLBACK"
        raise _RolledBack(Unknown(reason))
    if isinstance(outcome, Unknown):  # rolled back: surely nothing happened
        outcome = RetryLater(outcome.reason, outcome.after)
    if isinstance(outcome, Mismatch):
        outcome = replace(outcome, acted=False)
    if not isinstance(outcome, Done | Wait):
        raise _RolledBack(outcome)
    if len(connection.savepoint_ids) != depth:
        reason = "its code entered transaction.atomic() and did not leave it"
        raise _RolledBack(RetryLater(reason))
    reached("K3", row.name, row.direction)
    take_back_settings()
    fence = _Fence(view.epoch, row.attempt, acted=False)  # what comes too late is rolled back
    draft = _recorded_locked(message, saga, view.id, row, fence, outcome)
    if draft is None:
        raise _RolledBack(None)
    return draft


def _committed(run_id: UUID, row: StepView) -> bool:
    """Whether an attempt's outcome is in the record: an error after the commit undoes nothing."""
    view = insist(lambda: record.read(run_id))
    now = view.step(row.name, row.direction)
    return now is not None and now.attempt == row.attempt and now.status != StepStatus.IN_FLIGHT


def _go_on(message: Message, saga: Definition, draft: Draft) -> Draft | None:
    """Phase 5, continue: here with the step that was claimed, elsewhere with what is ready."""
    if draft.claimed is None:
        _hand_on(message, saga, draft)
        return None
    send(saga, draft.view, draft.to_send)
    reached("K1", draft.claimed.name, draft.claimed.direction)
    return draft


def _hand_on(message: Message, saga: Definition, draft: Draft) -> None:
    """Let the chain hop to the next step, and send what it does not carry."""
    rows = unheld(saga, draft.view, draft.to_send)
    hop = next((row for row in rows if row.direction is message.direction), None)
    fits = hop is not None and draft.view.epoch == message.epoch and not breaker.is_open
    if hop is not None and fits and message.links.keep_from(hop.name):
        rows = [row for row in rows if row is not hop]
    else:
        message.links.clear()
    send(saga, draft.view, rows)
