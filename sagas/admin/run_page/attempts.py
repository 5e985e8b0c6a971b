"""Attempts, made of a run's events: when each was claimed, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sagas.models import Event
from sagas.states import StepStatus

Place = tuple[str, str]  # direction and step


class Came(StrEnum):
    """What came of an attempt."""

    OPEN = "under way"
    DONE = "done"
    RETRY = "to be tried again"
    NOT_APPLIED = "it had not happened"
    WAIT = "waits"
    NOT_ASKED = "it waits for its partner"
    UNKNOWN = "unknown"
    FAILED = "gave up"
    LOST = "lost"


_OUTCOMES = {
    StepStatus.SUCCEEDED.value: Came.DONE,
    StepStatus.READY.value: Came.RETRY,
    StepStatus.WAITING.value: Came.WAIT,
    StepStatus.UNKNOWN.value: Came.UNKNOWN,
    StepStatus.FAILED.value: Came.FAILED,
    StepStatus.IN_FLIGHT.value: Came.LOST,
}


@dataclass(slots=True)
class Attempt:
    """One attempt of a step in one direction.

    Attributes:
        ended: when it answered or was given up; None while it is under way.
        asks: it asked whether the step had happened.
        renewed: a person moved the step since, so that its key may be another one now.
    """

    step: str
    direction: str
    number: int
    worker: str
    began: datetime
    asks: bool
    ended: datetime | None = None
    came: Came = Came.OPEN
    reason: str = ""
    renewed: bool = False

    @property
    def place(self) -> Place:
        """Whose attempt it is."""
        return self.direction, self.step


def attempts(events: Iterable[Event]) -> list[Attempt]:
    """The attempts that a run's events tell of, in the order in which they began.

    Args:
        events: oldest first; where the oldest are missing, so are their attempts.
    """
    found: list[Attempt] = []
    for event in events:
        if event.step:
            _follow(found, event)
    return found


def _follow(found: list[Attempt], event: Event) -> None:
    place = (event.direction, event.step)
    if "late_answer" in event.data:
        _late(found, place, event)
        return
    last = next((a for a in reversed(found) if a.place == place), None)
    if last is not None and last.ended is None and event.old == StepStatus.IN_FLIGHT:
        _end(last, event)
    elif last is not None and event.data.get("late"):  # it had been given up as lost
        last.came = Came.DONE
    elif last is not None and event.new != StepStatus.IN_FLIGHT:
        _renew(found, place)
    if event.new == StepStatus.IN_FLIGHT:
        found.append(_begun(event))


def _begun(event: Event) -> Attempt:
    asks = bool(event.data.get("verify"))
    return Attempt(event.step, event.direction, event.attempt, event.worker, event.at, asks)


def _end(attempt: Attempt, event: Event) -> None:
    attempt.ended = event.at
    attempt.came = _OUTCOMES.get(event.new, Came.OPEN)
    if event.data.get("not_applied"):
        attempt.came = Came.NOT_APPLIED
    if "not_asked" in event.data:
        attempt.came = Came.NOT_ASKED
    attempt.reason = str(event.data.get("reason", ""))


def _late(found: list[Attempt], place: Place, event: Event) -> None:
    for attempt in found:
        if attempt.place == place and attempt.number == event.attempt:
            attempt.reason = f"{attempt.reason} answered too late: {event.data['late_answer']}"
            attempt.reason = attempt.reason.strip()


def _renew(found: list[Attempt], place: Place) -> None:
    for attempt in found:
        attempt.renewed = attempt.renewed or attempt.place == place
