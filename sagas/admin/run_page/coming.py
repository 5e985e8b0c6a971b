"""What happens next to a run, and when, in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.admin.run_page.facts import Facts
from sagas.admin.run_page.words import age, until
from sagas.admin.shown import shown
from sagas.admin.when import address
from sagas.define import plan
from sagas.models import Approval, Hold, Step
from sagas.operate.expected import Expected, Next
from sagas.operate.reason import sentence
from sagas.states import ACTIVE_RUNS, Direction, Halt
from sagas.wording import clock, stands

_MOST = 20
_HALTS = {Halt.FAILED: "a step gave up", Halt.CANCELLED: "it was cancelled"}


def coming(facts: Facts) -> list[SafeString]:
    """Sentences: what people have asked for, what keeps the run, and what it does then."""
    return [*map(_asked, facts.asked), *_by_itself(facts)]


def _by_itself(facts: Facts) -> list[SafeString]:
    told = [*map(_held, facts.holds), *map(_passed, facts.passes)]
    # What holds the run as a whole has just been told.
    expected = [one for one in facts.expected if one.step or one.what is not Next.HOLD]
    if not expected and not told:
        return [_quiet(facts)]
    told += [_expected(facts, one) for one in expected[:_MOST]]
    if len(expected) > _MOST:
        told.append(format_html("And {} more steps side by side.", len(expected) - _MOST))
    return [*told, *_turning(facts)]


def _quiet(facts: Facts) -> SafeString:
    if facts.over:
        return format_html("Nothing more happens: the run {}.", stands(facts.run.status))
    return format_html("A worker looks at it{}.", _at(facts, facts.run.wake_at) or " soon")


def _asked(asked: Approval) -> SafeString:
    return format_html(
        '<strong>Asked for</strong>: <a href="{}">{}</a>, by {} since {}: {}. '
        "A second person must consent.",
        address("sagas_approval_change", asked.pk),
        shown(f"{asked.verb} {asked.arguments.get('step', '')}".strip(), 80),
        shown(asked.asked_by, 150),
        clock(asked.asked_at),
        shown(asked.reason, 500),
    )


def _held(hold: Hold) -> SafeString:
    return format_html(
        '<strong>Held</strong>: <a href="{}">{} {}</a>, by {} since {}{}: {}',
        address("sagas_hold_change", hold.pk),
        hold.kind,
        shown(hold.target, 200),
        shown(hold.placer, 150),
        clock(hold.placed_at),
        f" until {clock(hold.ends_at)}" if hold.ends_at else "",
        shown(hold.reason, 500),
    )


def _passed(hold: Hold) -> SafeString:
    return format_html(
        '<strong>Let through</strong>: the <a href="{}">hold on {} {}</a>, by {}, does not stop '
        "this run{}: it finds out whether the partner is back.",
        address("sagas_hold_change", hold.pk),
        hold.kind,
        shown(hold.target, 200),
        shown(hold.placer, 150),
        f" since {clock(hold.probed_at)}" if hold.probed_at else "",
    )


def _expected(facts: Facts, one: Expected) -> SafeString:
    told = shown(sentence(one, facts.now, lambda at: _clocked(facts, at)), 600)
    if one.what is Next.NOBODY:
        return format_html("<strong>Not taken</strong>: {}", told)
    if one.what is not Next.ANSWER:
        return told
    limit = _at(facts, _row(facts, one).limit_at) or " when the worker stops beating"
    return format_html("{} Its time is up{}.", told, limit)


def _turning(facts: Facts) -> Iterator[SafeString]:
    """That it will turn back, now or at a deadline."""
    run = facts.run
    if run.status not in ACTIVE_RUNS[Direction.FORWARD]:
        return
    if run.halt:
        why = _HALTS.get(Halt(run.halt), "its deadline has passed")
        yield format_html("It turns back as soon as nothing is in flight, because {}.", why)
    elif run.deadline_at and not (facts.saga and plan.past_pivot(facts.saga, facts.view)):
        yield format_html(
            "It turns back unless it is done by {}.", _clocked(facts, run.deadline_at)
        )


def _at(facts: Facts, at: datetime | None) -> str:
    return f" at {_clocked(facts, at)}" if at else ""


def _clocked(facts: Facts, at: datetime) -> str:
    """A time, and how far off it is or how long ago it was."""
    left = (at - facts.now).total_seconds()
    return f"{clock(at)} ({until(left) if left > 0 else f'{age(-left)} ago'})"


def _row(facts: Facts, one: Expected) -> Step:
    place = (one.direction, one.step)
    return next(step for step in facts.steps if (step.direction, step.name) == place)
