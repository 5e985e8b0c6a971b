"""A run told in plain text: what happened, when, and what happens next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sagas.management.text import WIDTH, cut, duration, printable, wrapped
from sagas.models import Event, Run
from sagas.operate import held
from sagas.operate.expected import Expected, Next, declared
from sagas.operate.look import Sight, look
from sagas.operate.reason import sentence, state_reason
from sagas.operate.undone import UNDONE, undone_because
from sagas.states import Direction, StepStatus
from sagas.wording import clock, stands, words

_ARROWS = {Direction.FORWARD.value: "→", Direction.BACKWARD.value: "←", "": " "}


def timeline(run_id: UUID) -> str:
    """A run's events in order, with the time since its start, in at most 100 columns.

    Raises:
        UnknownRun: there is no such run.
    """
    sight = look(run_id)
    events = list(Event.objects.filter(run_id=run_id))
    happened = _happened(sight.run, events)
    return "\n".join([*_title(sight), "", *happened, "", *_holds(sight), *_next(sight)])


def as_data(run_id: UUID) -> dict[str, Any]:
    """The same as plain data.

    Raises:
        UnknownRun: there is no such run.
    """
    sight = look(run_id)
    fields = ("at", "step", "direction", "old", "new", "attempt", "epoch", "worker", "data")
    return {
        **{name: getattr(sight.run, name) for name in _RUN_FIELDS},
        "undone": undone_because(sight.run, sight.steps),
        "state_reason": state_reason(sight.expected, sight.now),
        "events": list(Event.objects.filter(run_id=run_id).values(*fields)),
        "next": [_plain(expected) for expected in sight.expected],
    }


_RUN_FIELDS = (
    *("id", "saga", "version", "business_key", "title", "status", "halt", "attention"),
    *("origin_kind", "origin_id", "root", "depth"),
    *("created_at", "started_at", "finished_at", "deadline_at"),
)


def _plain(expected: Expected) -> dict[str, Any]:
    """Without the hold, which is a row: what tells of it stands beside it."""
    return {name: getattr(expected, name) for name in expected.__slots__ if name != "hold"}


# --- what happened -------------------------------------------------------------------------


def _title(sight: Sight) -> Iterator[str]:
    run = sight.run
    yield cut(printable(f"{run.saga} version {run.version}, key {run.business_key}"), WIDTH)
    if run.title:
        yield from wrapped(printable(run.title), WIDTH)
    ended = ""
    if run.finished_at is not None:
        ended = f" in {duration((run.finished_at - run.created_at).total_seconds())}"
    yield f"run {run.id}, {words(run.status)}{ended}, accepted {clock(run.created_at)}"
    if why := undone_because(run, sight.steps):
        yield from wrapped(printable(f"undone because: {why}"), WIDTH)
    if run.origin_kind:
        chain = f", run {run.depth + 1} of the chain that began with {run.root}" * bool(run.root)
        yield from wrapped(printable(f"started by {run.origin_kind} {run.origin_id}{chain}"), WIDTH)


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
    said = _step_words(event) if event.step else _run_words(event)
    left = ", ".join(f"{key}: {value}" for key, value in event.data.items() if key not in _SAID)
    return printable(f"{said} ({left})" if left else said)


def _asked(event: Event) -> str:
    """What an operator asked for."""
    data = event.data
    verdict = {True: " as happened", False: " as not happened"}.get(data.get("happened"), "")
    which = f" {data['of']}" if "of" in data else ""
    return f"{data.get('by')} asked to {event.new}{which}{verdict}{_because(data['why'])}"


_SAID = frozenset(
    {
        "because",
        "digest",
        "halting",
        "ignored",
        "input",
        "late_answer",
        "not_applied",
        "not_asked",
        "now",
        "put_off",
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
    said = words(event.new) if event.old else "accepted"
    return said + _because(data.get("reason") or data.get("because"))


def _step_words(event: Event) -> str:
    data = event.data
    if "late_answer" in data:
        ignored = "its effect may be one too many" if data.get("stray") else "ignored"
        return f"answered too late, {ignored}: {data['late_answer']}"
    if data.get("now"):
        return "due now"
    if "put_off" in data:
        return f"could not be planned{_because(data.get('reason'))}"
    if event.new == StepStatus.IN_FLIGHT:
        lost = ", the worker before was lost" if data.get("took_over") else ""
        return _doing(event.direction, data) + lost
    if data.get("not_applied"):
        return "it did not happen, ready again"
    if "not_asked" in data:
        return _not_asked(event)
    said = "will be tried again" if _put_off(event) else _stands(event)
    return said + _because(data.get("reason"))


def _stands(event: Event) -> str:
    """How the step stands then: what a compensation that worked did is undone."""
    undone = event.direction == Direction.BACKWARD and event.new == StepStatus.SUCCEEDED
    return UNDONE if undone else words(event.new)


def _doing(direction: str, data: Mapping[str, Any]) -> str:
    if data.get("verify"):
        return "asking whether it happened"
    return "being undone" if direction == Direction.BACKWARD else "being done"


def _not_asked(event: Event) -> str:
    """That a step waits for its partner; one that may have happened stays an open question."""
    who = f"the partner {event.data['not_asked']}" if event.data["not_asked"] else "its partner"
    doubt = "still unknown, " if event.new == StepStatus.UNKNOWN else ""
    return f"{doubt}waits for {who}{_because(event.data.get('reason'))}"


def _put_off(event: Event) -> bool:
    return event.new == StepStatus.READY and "reason" in event.data


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


# --- what happens next ---------------------------------------------------------------------


def _holds(sight: Sight) -> Iterator[str]:
    """What keeps a run from going on, and what lets it through."""
    run = sight.run
    if run.finished_at is not None:
        return
    for hold in held.over(sight.around.holds, run, sight.steps, declared(run)):
        word = "Let through" if hold.probe == run.pk else "Held"
        placed = f"by {hold.placer} since {clock(hold.placed_at)}"
        placed += f" until {clock(hold.ends_at)}" if hold.ends_at else ""
        told = printable(f"{word}: {hold.kind} {hold.target}, {placed}: {hold.reason}")
        yield from wrapped(told, WIDTH)


def _next(sight: Sight) -> Iterator[str]:
    expected = sight.expected
    if not expected:
        yield f"Nothing more happens: the run {stands(sight.run.status)}."
    for one in expected:
        if one.step or one.what is not Next.HOLD:  # that of the whole run has just been told
            word = "Not taken" if one.what is Next.NOBODY else "Next"
            told = f"{word}: {sentence(one, sight.now)}"
            yield from wrapped(printable(f"{told}{_why(sight.run, one)}"), WIDTH)


def _why(run: Run, one: Expected) -> str:
    return f" It stopped because: {run.attention}" if one.what is Next.PERSON else ""
