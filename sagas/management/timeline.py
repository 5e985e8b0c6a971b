"""A run told in plain text: what happened, when, and what happens next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sagas.define import registry
from sagas.errors import UnknownSaga
from sagas.management.text import WIDTH, cut, duration, printable, wrapped
from sagas.models import Event, Run
from sagas.operate import held
from sagas.operate.look import Expected, Next, Sight, look
from sagas.states import Direction, StepStatus

_ARROWS = {Direction.FORWARD.value: "→", Direction.BACKWARD.value: "←", "": " "}


def timeline(run_id: UUID) -> str:
    """A run's events in order, with the time since its start, in at most 100 columns.

    Raises:
        UnknownRun: there is no such run.
    """
    sight = look(run_id)
    events = list(Event.objects.filter(run_id=run_id))
    happened = _happened(sight.run, events)
    return "\n".join([*_title(sight.run), "", *happened, "", *_holds(sight), *_next(sight)])


def as_data(run_id: UUID) -> dict[str, Any]:
    """The same as plain data.

    Raises:
        UnknownRun: there is no such run.
    """
    sight = look(run_id)
    fields = ("at", "step", "direction", "old", "new", "attempt", "epoch", "worker", "data")
    return {
        **{name: getattr(sight.run, name) for name in _RUN_FIELDS},
        "events": list(Event.objects.filter(run_id=run_id).values(*fields)),
        "next": [_plain(expected) for expected in sight.expected],
    }


_RUN_FIELDS = (
    *("id", "saga", "version", "business_key", "status", "halt", "attention"),
    *("created_at", "started_at", "finished_at", "deadline_at"),
)


def _plain(expected: Expected) -> dict[str, Any]:
    return {name: getattr(expected, name) for name in expected.__slots__}


# --- what happened -------------------------------------------------------------------------


def _title(run: Run) -> Iterator[str]:
    yield cut(printable(f"{run.saga} version {run.version}, key {run.business_key}"), WIDTH)
    ended = ""
    if run.finished_at is not None:
        ended = f" in {duration((run.finished_at - run.created_at).total_seconds())}"
    yield f"run {run.id}, {_words(run.status)}{ended}, accepted {_clock(run.created_at)}"


def _happened(run: Run, events: Sequence[Event]) -> Iterator[str]:
    column = min(max((len(event.step) for event in events), default=3), 32)
    for event in events:
        number = f"#{event.attempt}" if event.attempt else ""
        who = cut(event.step, column) if event.step else "run"
        head = f"{_offset(event.at - run.created_at):>12} {_ARROWS[event.direction]} "
        head += f"{who:<{column}} {number:>4}  "
        first, *rest = wrapped(_told(event), WIDTH - len(head))
        yield (head + first).rstrip()
        yield from (" " * len(head) + line for line in rest)


def _offset(since: timedelta) -> str:
    if since < timedelta(minutes=1):
        return f"+{since.total_seconds():.3f} s"
    return f"+{timedelta(seconds=int(since.total_seconds()))}"


def _told(event: Event) -> str:
    if "why" in event.data:
        return printable(_asked(event))
    words = _step_words(event) if event.step else _run_words(event)
    left = ", ".join(f"{key}: {value}" for key, value in event.data.items() if key not in _SAID)
    return printable(f"{words} ({left})" if left else words)


def _asked(event: Event) -> str:
    """What an operator asked for."""
    data = event.data
    verdict = {True: " as happened", False: " as not happened"}.get(data.get("happened"), "")
    which = f" {data['of']}" if "of" in data else ""
    return f"{data.get('by')} asked to {event.new}{which}{verdict}: {data['why']}"


_SAID = frozenset(
    {
        "because",
        "halting",
        "ignored",
        "late_answer",
        "not_applied",
        "not_asked",
        "now",
        "reason",
        "stray",
        "took_over",
        "verify",
    }
)


def _run_words(event: Event) -> str:
    data = event.data
    if data.get("halting"):
        return f"will turn back: {event.new}"
    if "ignored" in data:
        return f"{event.old} ignored: {data['ignored']}"
    words = _words(event.new) if event.old else "accepted"
    return words + _because(data.get("reason") or data.get("because"))


def _step_words(event: Event) -> str:
    data = event.data
    if "late_answer" in data:
        ignored = "its effect may be one too many" if data.get("stray") else "ignored"
        return f"answered too late, {ignored}: {data['late_answer']}"
    if data.get("now"):
        return "due now"
    if event.new == StepStatus.IN_FLIGHT:
        lost = ", the worker before was lost" if data.get("took_over") else ""
        return _doing(event.direction, data) + lost
    if data.get("not_applied"):
        return "it did not happen, ready again"
    if "not_asked" in data:
        return _not_asked(event)
    words = "will be tried again" if _put_off(event) else _words(event.new)
    return words + _because(data.get("reason"))


def _doing(direction: str, data: Mapping[str, Any]) -> str:
    if data.get("verify"):
        return "asking whether it happened"
    return "being undone" if direction == Direction.BACKWARD else "being done"


def _not_asked(event: Event) -> str:
    """That a step waits for its partner; one that may have happened stays an open question."""
    who = f"the partner {event.data['not_asked']}" if event.data["not_asked"] else "its partner"
    doubt = "still unknown, " if event.new == StepStatus.UNKNOWN else ""
    return f"{doubt}waits for {who}, which was not asked{_because(event.data.get('reason'))}"


def _put_off(event: Event) -> bool:
    return event.new == StepStatus.READY and "reason" in event.data


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _words(status: str) -> str:
    return status.replace("_", " ")


# --- what happens next ---------------------------------------------------------------------


def _holds(sight: Sight) -> Iterator[str]:
    """What keeps a run from going on, and what lets it through."""
    run = sight.run
    if run.finished_at is not None:
        return
    saga = None
    with suppress(UnknownSaga):
        saga = registry.get(run.saga, run.version)
    for hold in held.over(run, sight.steps, saga):
        word = "Let through" if hold.probe == run.pk else "Held"
        placed = f"by {hold.placer} since {_clock(hold.placed_at)}"
        told = printable(f"{word}: {hold.kind} {hold.target}, {placed}: {hold.reason}")
        yield from wrapped(told, WIDTH)


def _next(sight: Sight) -> Iterator[str]:
    expected = sight.expected
    if not expected:
        yield f"Nothing more happens: the run is {_words(sight.run.status)}."
    for one in expected:
        yield from wrapped(f"Next: {printable(_awaited(sight.run, one))}.", WIDTH)


def _awaited(run: Run, expected: Expected) -> str:
    name, undo = expected.step, expected.direction == Direction.BACKWARD
    at = f" at {_clock(expected.at)}" if expected.at else ""
    match expected.what:
        case Next.ANSWER:
            return f"a worker is {'undoing' if undo else 'doing'} {name}"
        case Next.TRY:
            return f"{name} is taken by a worker, to be {'undone' if undo else 'done'}"
        case Next.RETRY:
            return f"{name} is tried again{at}"
        case Next.FIND_OUT:
            return f"it is found out whether {name} happened{at}"
        case Next.SIGNAL:
            signal = f"the signal {expected.signal!r} for {expected.correlation!r}"
            return f"{name} waits for {signal}{at.replace(' at ', ' until ', 1)}"
        case Next.TIME:
            return f"{name} goes on{at}"
        case Next.PARTNER:
            return f"{name} goes on{at}; its partner was not asked: {expected.because}"
        case Next.PERSON:
            return f"a person must decide, because: {run.attention.rstrip('.')}"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
