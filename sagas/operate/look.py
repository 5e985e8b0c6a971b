"""Look: a run as a person wants to see it, and what will happen to it next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sagas import models
from sagas.errors import UnknownRun
from sagas.states import TERMINAL_RUNS, Direction, RunStatus, StepStatus


class Next(StrEnum):
    """What a run is waiting for."""

    ANSWER = "answer"  # a worker is at it
    TRY = "try"  # a worker will take it, not before `at`
    RETRY = "retry"  # the same, after a try that failed
    FIND_OUT = "find out"  # it may have happened: it is verified, or repeated with the same key
    SIGNAL = "signal"  # a signal must come; `at` is when its time is up
    TIME = "time"  # it goes on at `at`
    PARTNER = "partner"  # its partner was not asked, for `because`; it may be at `at`
    PERSON = "person"  # a person must decide


@dataclass(frozen=True, slots=True)
class Expected:
    """One thing that a run waits for. ``step`` is empty where it is the run itself."""

    what: Next
    step: str = ""
    direction: str = ""
    at: datetime | None = None
    signal: str = ""
    correlation: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """A run with its steps in both directions, as they stood at one moment."""

    run: models.Run
    steps: Sequence[models.Step]

    @property
    def expected(self) -> list[Expected]:
        """What happens next; several things inside parallel branches, nothing once it is over."""
        if self.run.status in TERMINAL_RUNS:
            return []
        if self.run.status == RunStatus.NEEDS_ATTENTION:
            return [Expected(Next.PERSON)]
        return list(_expected(self))


def look(run_id: UUID) -> Sight:
    """Read a run with its steps in one statement; payload and results stay in the database.

    Raises:
        UnknownRun: there is no such run.
    """
    rows = models.Step.objects.filter(run_id=run_id).select_related("run")
    small = rows.defer("result", "run__payload", "run__amended")
    steps = list(small.order_by("-direction", "position"))
    if not steps:
        raise UnknownRun(f"No run has the id {run_id}.")
    return Sight(steps[0].run, steps)


def _expected(sight: Sight) -> Iterator[Expected]:
    back = sight.run.status == RunStatus.COMPENSATING
    direction = Direction.BACKWARD if back else Direction.FORWARD
    for step in sight.steps:
        if step.direction == direction and (what := _next_of(step)) is not None:
            because = step.error if what is Next.PARTNER else ""
            yield Expected(what, step.name, direction, *_until(step), because)


def _next_of(step: models.Step) -> Next | None:
    match StepStatus(step.status):
        case StepStatus.IN_FLIGHT:
            return Next.ANSWER
        case StepStatus.READY:
            return Next.RETRY if step.tries else Next.TRY
        case StepStatus.UNKNOWN:
            return Next.FIND_OUT
        case StepStatus.WAITING:
            if step.signal:
                return Next.SIGNAL
            return Next.PARTNER if step.error else Next.TIME  # a wait of its own has no error
    return None


def _until(step: models.Step) -> tuple[datetime | None, str, str]:
    return step.due_at, step.signal, step.correlation
