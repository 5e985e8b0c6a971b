"""The words of the record: statuses, directions, and the one table of moves that are allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"  # accepted; no step has been claimed yet
    RUNNING = "running"  # going forward
    COMPENSATING = "compensating"  # going backward, undoing what was done
    NEEDS_ATTENTION = "needs_attention"  # stopped until a person decides
    SUCCEEDED = "succeeded"  # every step is done
    COMPENSATED = "compensated"  # everything that was done is undone
    RESOLVED = "resolved"  # a person closed it with a note


class StepStatus(StrEnum):
    """Where a step stands; a compensation is a step with a row of its own."""

    PENDING = "pending"  # its turn has not come
    READY = "ready"  # may be claimed once due
    IN_FLIGHT = "in_flight"  # claimed: a worker holds its lease
    WAITING = "waiting"  # for a signal or a time; no worker holds it
    UNKNOWN = "unknown"  # it may or may not have happened: an open question
    SUCCEEDED = "succeeded"  # done, result recorded
    FAILED = "failed"  # given up; its flag in_doubt says whether it may have happened
    SKIPPED = "skipped"  # its condition did not hold, or a person skipped it


class Direction(StrEnum):
    """Which way a step row works."""

    FORWARD = "forward"
    BACKWARD = "backward"


class Halt(StrEnum):
    """Why a run stops going forward and will turn back at the next step boundary."""

    NONE = ""
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"


_R, _S = RunStatus, StepStatus

RUN_MOVES: Mapping[RunStatus, frozenset[RunStatus]] = {
    _R.PENDING: frozenset({_R.RUNNING, _R.COMPENSATED, _R.NEEDS_ATTENTION}),
    _R.RUNNING: frozenset({_R.SUCCEEDED, _R.COMPENSATING, _R.NEEDS_ATTENTION}),
    _R.COMPENSATING: frozenset({_R.COMPENSATED, _R.NEEDS_ATTENTION}),
    _R.NEEDS_ATTENTION: frozenset({_R.RUNNING, _R.COMPENSATING, _R.RESOLVED}),
    _R.SUCCEEDED: frozenset(),
    _R.COMPENSATED: frozenset(),
    _R.RESOLVED: frozenset(),
}

STEP_MOVES: Mapping[StepStatus, frozenset[StepStatus]] = {
    _S.PENDING: frozenset({_S.READY, _S.IN_FLIGHT, _S.SKIPPED}),
    # to failed: whoever would have claimed it has raised, again and again; or the run turns back,
    # and an attempt before an operator's retry may have had its effect
    _S.READY: frozenset({_S.IN_FLIGHT, _S.SKIPPED, _S.PENDING, _S.FAILED}),
    _S.IN_FLIGHT: frozenset(
        # to itself: the lease lapsed and another worker took over
        {_S.IN_FLIGHT, _S.SUCCEEDED, _S.READY, _S.WAITING, _S.UNKNOWN, _S.FAILED}
    ),
    # to unknown or failed: an attempt before it waited may have had its effect
    _S.WAITING: frozenset({_S.SUCCEEDED, _S.IN_FLIGHT, _S.PENDING, _S.UNKNOWN, _S.FAILED}),
    _S.UNKNOWN: frozenset({_S.IN_FLIGHT, _S.SUCCEEDED, _S.READY, _S.FAILED}),
    _S.FAILED: frozenset({_S.READY, _S.SKIPPED}),
    _S.SUCCEEDED: frozenset(),
    _S.SKIPPED: frozenset(),
}

#: From these a person may rewind a step to pending while its run needs attention; nobody else may.
REWINDS = frozenset({_S.SUCCEEDED, _S.SKIPPED, _S.FAILED})

# --- sets of statuses: every set that code or SQL asks for has its name here, and only here -----

#: Nothing more happens to them.
TERMINAL_RUNS = frozenset(status for status, moves in RUN_MOVES.items() if not moves)
#: Over without an operator having closed them.
COMPLETED_RUNS = TERMINAL_RUNS - {_R.RESOLVED}
UNFINISHED_RUNS = frozenset(_R) - TERMINAL_RUNS
#: Runs that move by themselves, by the direction in which they go.
ACTIVE_RUNS: Mapping[Direction, frozenset[RunStatus]] = {
    Direction.FORWARD: frozenset({_R.PENDING, _R.RUNNING}),
    Direction.BACKWARD: frozenset({_R.COMPENSATING}),
}
#: The same, in both directions.
MOVING_RUNS = frozenset[RunStatus]().union(*ACTIVE_RUNS.values())
#: Runs that do not move by themselves.
RESTING_RUNS = frozenset(_R) - MOVING_RUNS
#: Runs of which no step may be claimed before they move.
UNCLAIMED_RUNS = frozenset({_R.PENDING, _R.NEEDS_ATTENTION})

#: Without an attempt, nothing has happened in them.
UNTRIED_STEPS = frozenset({_S.PENDING, _S.READY, _S.SKIPPED})
#: Done with: the run goes on behind them.
SETTLED_STEPS = frozenset({_S.SUCCEEDED, _S.SKIPPED})
#: Their result is known; a waiting step's is what it gives so far, also when it is claimed again.
GIVING_STEPS = SETTLED_STEPS | frozenset({_S.WAITING, _S.IN_FLIGHT})
#: What a step gave before counts no more: it gives it anew, or is to be done once more.
RENEWED_STEPS = frozenset({_S.PENDING, _S.SUCCEEDED})
#: No worker will take them any more.
FINISHED_STEPS = SETTLED_STEPS | {_S.FAILED}
#: Their turn has come: a worker takes them once they are due, or once their lease is over.
CLAIMABLE_STEPS = frozenset({_S.READY, _S.UNKNOWN, _S.WAITING, _S.IN_FLIGHT})
#: Those that no worker has.
SCHEDULED_STEPS = CLAIMABLE_STEPS - {_S.IN_FLIGHT}
#: Those of which nothing may have happened, unless an earlier attempt is in doubt.
IDLE_STEPS = frozenset({_S.READY, _S.WAITING})
#: It may be that they happen, or have happened.
OPEN_STEPS = frozenset({_S.UNKNOWN, _S.IN_FLIGHT})
#: What may stop a run; whether it does, ``define.blockers`` says.
BLOCKING_STEPS = frozenset({_S.FAILED, _S.UNKNOWN})
#: Where a run is, or where it has stopped.
CURRENT_STEPS = CLAIMABLE_STEPS | {_S.FAILED}


def sql_list(statuses: Iterable[RunStatus] | Iterable[StepStatus]) -> str:
    """Statuses as the inside of an SQL list: ``status IN (...)``."""
    return ", ".join(f"'{status}'" for status in sorted(statuses))
