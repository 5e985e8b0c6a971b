"""Phase 6, recover: every worker sends again what the broker lost and what has become due."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db import InterfaceError, OperationalError

from sagas import record, transitions
from sagas.conf import conf
from sagas.define import plan
from sagas.define.hold import reach
from sagas.define.mask import masked_error
from sagas.define.plan import past_pivot
from sagas.define.registry import all_sagas
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.identity import identity
from sagas.run import heartbeat
from sagas.run.depth import depths
from sagas.run.dispatch import definition_of
from sagas.run.queues import default_queue
from sagas.run.send import send, unheld
from sagas.run.workers import ANYBODY, Workers, living, pin, queues_before
from sagas.states import ACTIVE_RUNS, SCHEDULED_STEPS, Direction, RunStatus, StepStatus

logger = logging.getLogger("sagas.recover")


class Sweep:
    """A worker's sweeps: they send what is due (retries, timers, lapsed leases, lost messages).

    Attributes:
        more: the last batch was full, so there may be more to send at once.
    """

    def __init__(self, queues: Iterable[str] = ()) -> None:
        """
        Args:
            queues: those that the worker reads.
        """
        self.more = False
        self._taken: Mapping[UUID, float] = {}  # what was put off, and has no next look yet
        self._unread = frozenset(queues)  # those that may have waited for this worker
        self._begin: datetime | None = None  # where the next one begins to look ...
        self._wholly: float | None = None  # ... and when one last looked from the start
        self._unknown: set[str] = set()  # what runs pin that this code does not know

    def __call__(self) -> int:
        """Sweep once. Gives for how many runs something was sent.

        The next look is written before anything is sent: a crash in between costs one more wait,
        never a storm. If the database fails in between, the next round takes the same runs first.
        """
        self.more = False
        if self._unread:
            self._wake_unread()
        late = self._taken = self._taken or self._woken()
        seen = self._seen(late)
        workers = living() if seen else ANYBODY
        deep = _deep(seen)
        transitions.look_again(
            (view, next_look(saga, view, workers, deep=not deep.isdisjoint(_queues(saga, view))))
            for saga, view in seen
        )
        self._taken = {}
        sent = 0
        for number, (saga, view) in enumerate(seen):
            if not (rows := _read_by(workers, saga, claimable(saga, view))):
                continue
            if not send(saga, view, rows):  # the broker is away: it would hold up each in turn
                _try_soon(seen[number:])
                return sent
            sent += 1
        self.more = len(late) == conf().SWEEP_BATCH
        return sent

    def look_after_unknown(self) -> None:
        """Look at runs that this code leaves to others and that nobody has looked at for long."""
        if self._unknown:
            batch, long = conf().SWEEP_BATCH, conf().DEPLOY_SECONDS
            forsaken = record.forsaken(sorted(self._unknown), long, batch)
            for view in _look(dict.fromkeys(forsaken))[1]:
                if view.status is RunStatus.NEEDS_ATTENTION:
                    _settle_lost(None, view)
                    transitions.look_again([(view, _answer_due(view))])

    def _woken(self) -> Mapping[UUID, float]:
        """Take a batch. Now and then from the start, for what a long transaction wrote late."""
        now = time.monotonic()
        if self._wholly is None or now - self._wholly > _WHOLLY_SECONDS:
            self._begin, self._wholly = None, now
        begin, self._begin = self._begin, None  # after an error nothing is certain
        woken = transitions.wake(conf().SWEEP_BATCH, begin, self._unknown)
        self._begin = woken.begin
        return woken.late

    def _seen(self, late: Mapping[UUID, float]) -> list[tuple[Definition, RunView]]:
        """The runs of a batch that this code knows. Others are left to those who know them."""
        seen, unknown = _look(late)
        self._unknown |= {pin(run.saga, run.version, run.fingerprint) for run in unknown}
        for saga, view in seen:
            _settle_lost(saga, view)
        return seen

    def _wake_unread(self) -> None:
        """Have sweeps look at what waits for a queue that nobody read before this worker."""
        heartbeat.ensure()
        for queue in self._unread - queues_before(identity()):
            steps = reach("queue", queue, all_sagas(), default_queue())
            waiting = record.put_off(steps, 2 * conf().RESEND_SECONDS)
            transitions.drain(waiting, 0, conf().DRAIN_PER_SECOND)
        self._unread = frozenset()


_WHOLLY_SECONDS = 600.0


def sweep() -> int:
    """Sweep once, with no memory of earlier sweeps. Gives for how many runs something was sent."""
    return Sweep()()


def nudge(run_id: UUID, *, failed: bool = False) -> bool:
    """Send what one run waits for, if a worker could claim it now.

    Args:
        failed: because a message of the run has failed. Then only what became due a moment ago is
            sent: the rest was sent before, and the sweep sends it again. Else a message that
            fails whenever it is delivered would be sent again at once, for ever.
    """
    least = -_FRESH_SECONDS if failed else -math.inf
    for saga, view in _look({run_id: None})[0]:
        rows = [row for row in claimable(saga, view) if (row.free_in or 0.0) > least]
        return bool(rows) and send(saga, view, rows)
    return False


_FRESH_SECONDS = 1.0


def next_look(
    saga: Definition, view: RunView, workers: Workers = ANYBODY, *, deep: bool = False
) -> float | None:
    """Seconds until a sweep must look at a run again if nobody moves it; None: never.

    Args:
        workers: those that live. What waits for a queue that none of them reads is looked at as
            late as what is held.
        deep: its message is probably not lost but waits in a long queue. Then each copy is given
            twice the time of the one before it: a backlog is not fed with copies of itself.
    """
    if view.over:
        return None
    if view.status is RunStatus.NEEDS_ATTENTION:
        return _answer_due(view)
    awaiting = [row for row in view.steps.values() if row.awaits]
    free = {row.position for row in _read_by(workers, saga, unheld(saga, view, awaiting))}
    looks = [(r.free_in, r.position not in free) for r in awaiting if r.free_in is not None]
    if view.deadline is not None and not past_pivot(saga, view):
        looks.append(((view.deadline - view.clock).total_seconds(), bool(awaiting) and not free))
    waits = (_look_in(look, held=held, deep=deep) for look, held in looks)
    return min(waits, default=None)


def claimable(saga: Definition, view: RunView) -> list[StepView]:
    """The rows that a worker could take now; the first that is open if the run is overdue.

    What a hold stops is not among them.
    """
    direction = (
        Direction.BACKWARD if view.status in ACTIVE_RUNS[Direction.BACKWARD] else Direction.FORWARD
    )
    if view.status not in ACTIVE_RUNS[direction]:
        return []
    open_rows = unheld(saga, view, view.rows(direction))
    rows = [row for row in open_rows if row.needs_worker]
    if not rows and view.overdue and direction is Direction.FORWARD:
        return [row for row in open_rows if row.status in SCHEDULED_STEPS][:1]
    return rows


def _settle_lost(saga: Definition | None, view: RunView) -> None:
    """Settle what died in a run that needs attention, so that operators can deal with it."""
    try:
        draft = plan.lost(saga, view, conf().POISON_ATTEMPTS)
    except Exception as error:  # as below: others must not wait for it
        why = masked_error(error)
        logger.error("Run %s: what it lost cannot be settled.", view.id, exc_info=why)
    else:
        if draft:
            transitions.write(draft)


def _answer_due(view: RunView) -> float | None:
    """Seconds until what a stopped run has in flight has answered or is lost; None: nothing is."""
    flying = (row for row in view.steps.values() if row.status is StepStatus.IN_FLIGHT)
    looks = [_look_in(row.free_in or 0.0, held=False, deep=False) for row in flying]
    return min(looks, default=None)


def _deep(seen: Iterable[tuple[Definition, RunView]]) -> set[str]:
    """The queues of what is claimable in which more waits than a sweep sends.

    Each by itself: a flood in one is no reason to look later at what waits in another.
    """
    queues = {queue for saga, view in seen for queue in _queues(saga, view)}
    lengths = depths(queues) if queues else None
    return {name for name, length in (lengths or {}).items() if length > conf().SWEEP_BATCH}


def _queues(saga: Definition, view: RunView) -> set[str]:
    """The queues that what is claimable of a run would be sent to."""
    default = default_queue()
    return {saga.steps[row.name].queue or default for row in claimable(saga, view)}


def _look(
    late: Mapping[UUID, float] | Mapping[UUID, None],
) -> tuple[list[tuple[Definition, RunView]], list[RunView]]:
    """Runs with the definitions that they pin; and those that this code leaves to others.

    Args:
        late: the runs; and how late each was, in seconds, if a sweep has taken it.
    """
    known: list[tuple[Definition, RunView]] = []
    unknown: list[RunView] = []
    for run_id, glance in record.glance(list(late)).items():
        try:
            view = glance()
            if (seconds := late[run_id]) is not None:
                view.wake_in = -seconds
            saga = definition_of(view)
        except (OperationalError, InterfaceError):  # no run is at fault: the database is away
            raise
        except Exception as error:  # one odd run must not keep the others of this sweep waiting
            logger.error("Run %s cannot be looked at.", run_id, exc_info=masked_error(error))
        else:
            if saga is None:
                unknown.append(view)
            else:
                known.append((saga, view))
    return known, unknown


def _read_by(workers: Workers, saga: Definition, rows: list[StepView]) -> list[StepView]:
    """Those steps that go to queues which somebody reads: elsewhere copies would pile up."""
    default = default_queue()
    return [row for row in rows if workers.read(saga.steps[row.name].queue or default)]


def _try_soon(woken: Iterable[tuple[Definition, RunView]]) -> None:
    """Look at runs again when the broker may be back, not when a lost message would be resent."""
    waiting = [view for saga, view in woken if claimable(saga, view)]
    for view in waiting:
        view.revision += 1  # by the look that was set before
    soon = min(conf().RESEND_SECONDS, _BROKER_SECONDS)
    transitions.look_again((view, soon * random.uniform(0.5, 1)) for view in waiting)


_BROKER_SECONDS = 5.0


def _look_in(due_in: float, *, held: bool, deep: bool) -> float:
    """Seconds until a sweep must look at what is due in that time.

    Runs that are held may be very many. Lifting the hold wakes them, so the look is for what that
    has missed: it comes late, and later each time.
    """
    if due_in > 0:
        return due_in
    least = conf().HELD_LOOK_SECONDS if held else conf().RESEND_SECONDS
    longer = -due_in if held or deep else 0.0
    return min(max(least, longer), 10 * least) * random.uniform(1, 2)
