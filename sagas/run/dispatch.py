"""The engine's pipeline for one message: claim, perform, record, continue.

A message may arrive never, late, twice or out of order. What it says counts for nothing; it makes
its worker look at the record, and the record decides.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import UUID

from django.db import InterfaceError, InternalError, OperationalError, connection, transaction
from psycopg.errors import ReadOnlySqlTransaction

from sagas import record, transitions
from sagas.conf import conf
from sagas.define import plan, registry
from sagas.define.draft import Change, Draft
from sagas.define.outcome import Done, Outcome, RetryLater, Unknown, Wait
from sagas.define.plan import Worker, time_limit
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.define.view import RunView, StepView
from sagas.errors import UnknownRun, UnknownSaga
from sagas.identity import identity
from sagas.run import heartbeat, limits, mailbox
from sagas.run.canvas import Links
from sagas.run.context import condition
from sagas.run.drain import draining
from sagas.run.points import reached
from sagas.run.queues import default_queue
from sagas.run.send import nothing, send, unheld
from sagas.run.step import perform
from sagas.states import Direction, StepStatus

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


def carry(message: Message) -> None:
    """Perform the message's step, and the steps after it while this worker may."""
    draft = claim(message)
    try:
        while draft is not None and draft.claimed is not None:
            message.links.drop_through(draft.claimed.name)
            draft = attempt(message, draft)
    finally:
        limits.release()
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
    if saga.steps[row.name].atomic and not plan.probing(saga.steps[row.name], row):
        settled = _atomically(message, saga, view, row)
    else:
        outcome = perform(saga, view, row)
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
    if not (isinstance(outcome, Wait) and outcome.signal):
        draft = plan.settle(saga, view, row, outcome, worker(saga, view, message, step))
        if (written := _written(draft)) is not None:
            return written
    return insist(lambda: _recorded_locked(message, saga, view.id, row, fence, outcome))


def definition_of(view: RunView) -> Definition | None:
    """The definition that the run pins, or None: this code has none, or one that does not fit.

    Then the run needs attention, unless it is so young that newer code may be on its way here.
    """
    with suppress(UnknownSaga):
        return registry.pinned(view.saga, view.version, view.fingerprint)
    young = view.lifetime < conf().DEPLOY_SECONDS
    if not young and not view.over and not view.attention:
        started = [row.name for row in view.rows(Direction.FORWARD)]
        reason = registry.mismatch(view.saga, view.version, view.fingerprint, started)
        draft = Draft(view)
        draft.park(f"The code that runs this saga does not fit the run: {reason}")
        insist(lambda: transitions.write(draft))
    return None


def worker(saga: Definition, view: RunView, message: Message, current: Step) -> Worker:
    """What the planner must know of this worker: it carries on in its queue, while time is left."""

    def carries(step: Step, direction: Direction) -> bool:
        if draining():
            return False
        ends = time.monotonic() - message.began + time_limit(step, direction)
        same_queue = step.queue == current.queue
        return same_queue and not saga.hop and ends <= conf().CARRY_SECONDS

    return Worker(carries, condition(saga, view), conf().POISON_ATTEMPTS, default_queue())


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
    pause, until = 0.05, time.monotonic() + conf().LEASE_SECONDS
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError, InternalError) as error:
            late = connection.in_atomic_block or time.monotonic() + pause > until
            if late or not _passes(error):
                raise
            logger.warning("Database: %s; trying again.", type(error).__name__)
            limits.release()  # the step has answered; ending the process would lose that
            connection.close()
            time.sleep(pause)
            pause = min(2 * pause, 2.0)
            if repeats is not None:
                repeats.count += 1


def _passes(error: Exception) -> bool:
    """Whether it may go by itself: a server that is away, full, read-only, or was too busy."""
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
        return _claimed_after_all(message.run_id, expected, repeats)
    return draft


def _written(draft: Draft) -> Draft | None:
    """Write a draft and give it; None: the run has moved since, or what it claims is held."""
    repeats = Repeats()
    if insist(lambda: transitions.write(draft), repeats):
        return draft
    if not repeats.count or draft.claimed is None:
        return None
    found = _claimed_after_all(draft.view.id, draft.claimed, repeats)
    if found is not None:  # with what else it moved, to be sent
        found.changes = {key: Change(found.view.steps[key]) for key in draft.changes}
    return found


def _claimed_after_all(run_id: UUID, expected: StepView, repeats: Repeats) -> Draft | None:
    """A claim of ours of which only the answer was lost: nobody else has that attempt."""
    view = insist(lambda: record.read(run_id))
    row = view.step(expected.name, expected.direction)
    mine = (StepStatus.IN_FLIGHT, expected.attempt, identity(), os.getpid())
    if row is None or (row.status, row.attempt, row.worker, row.pid) != mine:
        return None
    row.claimed_at = repeats.began
    return Draft(view, claimed=row)


def _next_of(message: Message, saga: Definition, view: RunView) -> Step | None:
    """The message's step, or if that is settled the first of its links that is not.

    A step on another queue than the message's own is left to the chain, which hops there.
    """
    names = [message.step, *message.links.names()]
    for name in names:
        row = view.step(name, message.direction)
        if row is None or name not in saga.steps:
            continue
        if row.status not in _BEHIND:
            step, first = saga.steps[name], saga.steps[message.step]
            return step if step.queue == first.queue else None
    return None


_BEHIND = frozenset({StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.FAILED})


def _recorded_locked(
    message: Message,
    saga: Definition,
    run_id: UUID,
    row: StepView,
    fence: _Fence,
    outcome: Outcome,
) -> Draft | None:
    """Record under the run's lock: somebody moved it since it was read, or a signal matters."""
    with transaction.atomic():
        if isinstance(outcome, Wait) and outcome.signal:
            mailbox.lock(outcome.signal, outcome.correlation)
        view = record.read_locked(run_id)
        current = view.step(row.name, row.direction)
        if current is None or not _mine(view, current, fence):
            _note_late(saga, view, row, fence, outcome)
            return None
        if isinstance(outcome, Wait) and outcome.signal:
            early = mailbox.take(outcome.signal, outcome.correlation, current.id)
            outcome = outcome if early is None else Done(early)
        by = worker(saga, view, message, saga.steps[row.name])
        draft = plan.settle(saga, view, current, outcome, by)
        if not transitions.write(draft):
            draft = _settled_without_a_claim(message, saga, run_id, row, outcome)
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


@dataclass(frozen=True, slots=True)
class _Fence:
    """Which attempt answers, as it was when it was claimed."""

    epoch: int
    attempt: int
    acted: bool  # it called the action or the compensation, not the verify


def _mine(view: RunView, current: StepView, fence: _Fence) -> bool:
    flying = current.status is StepStatus.IN_FLIGHT
    return flying and (view.epoch, current.attempt) == (fence.epoch, fence.attempt)


def _note_late(
    saga: Definition, view: RunView, row: StepView, fence: _Fence, outcome: Outcome
) -> None:
    current = view.step(row.name, row.direction)
    given_up = isinstance(outcome, Done) and current and current.status is not StepStatus.SUCCEEDED
    if current is not None and current.attempt == fence.attempt and not given_up:
        return  # this attempt's own record, whose answer was lost
    draft = plan.late(saga, view, row, fence.attempt, outcome, acted=fence.acted)
    transitions.write(draft)


class _RolledBack(Exception):
    def __init__(self, outcome: Outcome | None) -> None:
        self.outcome = outcome


def _atomically(message: Message, saga: Definition, view: RunView, row: StepView) -> Draft | None:
    """Perform and record in one transaction: the step's ORM writes commit with its outcome."""
    fence = _Fence(view.epoch, row.attempt, acted=False)  # what comes too late is rolled back
    try:
        with transaction.atomic():
            outcome = perform(saga, view, row)
            if not isinstance(outcome, Done):
                raise _RolledBack(outcome)
            reached("K3", row.name, row.direction)
            draft = _recorded_locked(message, saga, view.id, row, fence, outcome)
            if draft is None:
                raise _RolledBack(None)
            return draft
    except _RolledBack as undone:
        outcome_or_none = undone.outcome
    except Exception as error:  # refused by a deferred constraint, or the database went away
        outcome_or_none = RetryLater(f"{type(error).__name__} at commit")
    if outcome_or_none is None:
        return None
    if isinstance(outcome_or_none, Unknown):  # rolled back: surely nothing happened
        outcome_or_none = RetryLater(outcome_or_none.reason, outcome_or_none.after)
    return recorded(message, saga, view, row, outcome_or_none)


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
    if hop is not None and draft.view.epoch == message.epoch and message.links.keep_from(hop.name):
        rows = [row for row in rows if row is not hop]
    else:
        message.links.clear()
    send(saga, draft.view, rows)
