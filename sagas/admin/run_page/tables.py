"""The tables of the run's page: steps, attempts, events, and what people did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import reverse
from django.utils.safestring import SafeString

from sagas.admin.badge import badge
from sagas.admin.history import moment
from sagas.admin.run_page.aim import Place, aim
from sagas.admin.run_page.attempts import Attempt, Came
from sagas.admin.run_page.boxes import KINDS
from sagas.admin.run_page.facts import Facts
from sagas.admin.run_page.words import length, state_of
from sagas.admin.shown import LONGEST, as_line, shown
from sagas.define.redact import HIDDEN
from sagas.define.title import title
from sagas.models import AuditEntry, Event, Step
from sagas.operate import reveal
from sagas.operate.journal import asked_of
from sagas.states import Direction, StepStatus
from sagas.wording import clock

_PEOPLE = 200


def steps(facts: Facts) -> list[dict[str, Any]]:
    """A row for each step, and after them one for each compensation."""
    place = aim(facts.saga, facts.view)
    return [_step(facts, step, place) for step in facts.steps]


def _step(facts: Facts, step: Step, place: Place | None) -> dict[str, Any]:
    return {
        "aim": (step.direction, step.name) == place,
        "anchor": f"step-{step.pk}",
        "url": reverse("admin:sagas_step_change", args=[step.pk]),
        "name": shown(title(step.name, step.direction), 100),
        "undo": step.direction == Direction.BACKWARD,
        "kind": _kind(facts, step),
        "badge": badge(
            state_of(facts.view, facts.view.steps[Direction(step.direction), step.name])
        ),
        "doubt": step.in_doubt,
        "attempts": step.attempt,
        "tries": step.tries,
        "error": shown(step.error, 500) if step.error else "",
        "original": _newest_original(facts, step) if HIDDEN in step.error else "",
        "result": _result(facts, step),
        "size": f"{step.size:,}" if step.size else "",  # type: ignore[attr-defined]  # annotated
        "when": _when(step),
    }


def _newest_original(facts: Facts, step: Step) -> SafeString | str:
    of_step = [key for key in facts.originals if key[:2] == (step.name, step.direction)]
    return _original(facts, max(of_step)) if of_step else ""


def _original(facts: Facts, key: tuple[str, str, int]) -> SafeString | str:
    """What an attempt said in full, for those to whom redacted fields are shown."""
    text = facts.originals.get(key)
    return "" if text is None else shown(text, LONGEST)


def _kind(facts: Facts, step: Step) -> str:
    if step.direction == Direction.BACKWARD:
        return "compensation"
    declared = facts.saga.steps[step.name] if facts.saga is not None else None
    if declared is None:
        return ""
    marks = [("optional", declared.optional), ("conditional", declared.when is not None)]
    marks.append(("waits", declared.waits))
    return ", ".join([KINDS[declared.kind], *(mark for mark, true in marks if true)])


def _result(facts: Facts, step: Step) -> Any:
    small = step.small  # type: ignore[attr-defined]  # annotated
    if small is None:
        return ""
    document = reveal.result(facts.run, step, small, reveal=facts.reveal)
    return shown(as_line(document), LONGEST)


def _when(step: Step) -> str:
    if step.finished_at is not None:
        return f"ended {moment(step.finished_at)}"
    if step.status == StepStatus.IN_FLIGHT and step.limit_at is not None:
        return f"time is up {clock(step.limit_at)}"
    return f"due {clock(step.due_at)}" if step.due_at is not None else ""


# --- attempts ------------------------------------------------------------------------------


def attempts(facts: Facts, made: Sequence[Attempt]) -> list[dict[str, Any]]:
    """A row for each attempt, the newest first: also the calls of partners."""
    return [_attempt(facts, attempt) for attempt in reversed(made)]


def _attempt(facts: Facts, attempt: Attempt) -> dict[str, Any]:
    return {
        "step": shown(title(attempt.step, attempt.direction), 100),
        "undo": attempt.direction == Direction.BACKWARD,
        "asks": attempt.asks,
        "number": attempt.number,
        "began": moment(attempt.began),
        "took": length((attempt.ended - attempt.began).total_seconds()) if attempt.ended else "",
        "came": attempt.came.value,
        "css": f"came-{attempt.came.name.lower().replace('_', '-')}",
        "glyph": _GLYPHS[attempt.came],
        "reason": shown(attempt.reason, 500) if attempt.reason else "",
        "original": _original(facts, (attempt.step, attempt.direction, attempt.number)),
        "anchor": f"attempt-{attempt.direction}-{attempt.step}-{attempt.number}",
        "worker": shown(attempt.worker, 120),
        "key": _key(facts, attempt),
        "partner": _partner(facts, attempt),
    }


_GLYPHS = {
    Came.OPEN: "▶",
    Came.DONE: "✓",
    Came.RETRY: "↻",
    Came.NOT_APPLIED: "○",
    Came.WAIT: "◷",
    Came.NOT_ASKED: "‖",
    Came.UNKNOWN: "?",
    Came.FAILED: "✕",
    Came.LOST: "⚡",
}


def _key(facts: Facts, attempt: Attempt) -> str:
    """The key that the partner got; empty where a person's verb may have changed it since."""
    if attempt.direction not in _DIRECTIONS:
        return ""
    row = facts.view.step(attempt.step, Direction(attempt.direction))
    if row is None or (attempt.renewed and row.generation > 1):
        return ""
    return facts.view.key_of(row)


_DIRECTIONS = frozenset(direction.value for direction in Direction)


def _partner(facts: Facts, attempt: Attempt) -> str:
    declared = facts.saga.steps.get(attempt.step) if facts.saga is not None else None
    return (declared.partner or "") if declared is not None else ""


# --- events and people ---------------------------------------------------------------------


def events(facts: Facts, newest: Sequence[Event]) -> list[dict[str, Any]]:
    """A row for each event, the oldest first."""
    return [_event(facts, event) for event in newest]


def _event(facts: Facts, event: Event) -> dict[str, Any]:
    data = reveal.loose(event.data, reveal=facts.reveal) if event.data else None
    return {
        "at": moment(event.at),
        "step": shown(title(event.step, event.direction), 100) if event.step else "",
        "undo": event.direction == Direction.BACKWARD,
        "old": shown(event.old, 40),
        "new": shown(event.new, 40),
        "attempt": event.attempt or "",
        "epoch": event.epoch,
        "worker": shown(event.worker, 120),
        "data": shown(as_line(data), 1000) if data else "",
    }


def people(facts: Facts) -> list[dict[str, Any]]:
    """What people did to the run, the newest first, in one statement."""
    entries = AuditEntry.objects.filter(run=facts.run.id).order_by("-number")[:_PEOPLE]
    return [_entry(entry) for entry in entries]


def _entry(entry: AuditEntry) -> dict[str, Any]:
    names = dict.fromkeys([*entry.before, *entry.after])
    return {
        "number": entry.number,
        "at": clock(entry.at),
        "actor": shown(entry.actor, 150),
        "approver": shown(entry.approver, 150) if entry.approver else "",
        "verb": shown(entry.verb, 40),
        "step": shown(asked_of(entry), 100),
        "reason": shown(entry.reason, 1000),
        "changes": [
            (shown(name, 100), _value(entry.before, name), _value(entry.after, name))
            for name in names
        ],
    }


def _value(image: dict[str, Any], name: str) -> SafeString:
    return shown(image.get(name, "nothing"), 300)
