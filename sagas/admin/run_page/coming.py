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
from sagas.define.title import title
from sagas.models import Approval, Hold, Step
from sagas.operate.expected import Expected, Next
from sagas.operate.reason import tries
from sagas.operate.unserved import LATE
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
    return format_html("A worker looks at it{}.", _when(facts, facts.run.wake_at) or " soon")


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


def _unserved(facts: Facts, one: Expected) -> SafeString:
    late = (facts.now - one.at).total_seconds() if one.at else 0.0
    return format_html(
        "<strong>Not taken</strong>: {} {} has been due for <strong>{}</strong>.",
        shown(one.because, 500),
        shown(title(one.step, one.direction), 100) if one.step else "The run",
        age(late),
    )


def _expected(facts: Facts, one: Expected) -> SafeString:
    name, back = shown(one.step, 80), one.direction == Direction.BACKWARD
    titled = shown(title(one.step, one.direction), 100)
    when, undone = _when(facts, one.at), "undone" if back else "done"
    match one.what:
        case Next.HOLD:
            return format_html("{} goes on once nothing holds it any more.", titled)
        case Next.NOBODY:
            return _unserved(facts, one)
        case Next.ANSWER:
            return _under_way(facts, one)
        case Next.TRY:
            return format_html("{} is taken by a worker, to be {}{}.", name, undone, when)
        case Next.RETRY:
            which = "Undoing " if back else ""
            return format_html("{}{} is tried again{}, {}.", which, name, when, tries(one))
        case Next.FIND_OUT:
            return format_html("It is found out whether {} happened{}.", titled, when)
        case Next.SIGNAL:
            return _signal(facts, one)
        case Next.TIME:
            return format_html("{} goes on{}.", titled, when)
        case Next.PARTNER:
            return _not_asked(facts, one, when)
        case Next.PERSON:
            return SafeString("Nothing, until a person decides.")


def _under_way(facts: Facts, one: Expected) -> SafeString:
    step = _row(facts, one)
    doing = "undoing" if one.direction == Direction.BACKWARD else "doing"
    return format_html(
        "Worker {} is {} {}, attempt {}; its time is up{}.",
        shown(step.worker, 120),
        doing,
        shown(one.step, 80),
        step.attempt,
        _at(facts, step.limit_at) or " when it stops beating",
    )


def _signal(facts: Facts, one: Expected) -> SafeString:
    return format_html(
        "{} waits for the signal {} for {}{}.",
        shown(one.step, 80),
        shown(one.signal, 80),
        shown(one.correlation, 200),
        format_html(", until {}", _clocked(facts, one.at)) if one.at else "",
    )


def _not_asked(facts: Facts, one: Expected, when: SafeString | str) -> SafeString:
    return format_html(
        "{} waits for {} ({}); it goes on{}.",
        shown(title(one.step, one.direction), 100),
        shown(f"the partner {one.partner}", 100) if one.partner else "its partner",
        shown(one.because, 500),
        when,
    )


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


def _when(facts: Facts, at: datetime | None) -> SafeString | str:
    """When something is due, and that it should have been taken long ago if so."""
    late = (facts.now - at).total_seconds() if at else 0.0
    if late < LATE.total_seconds() or facts.holds:
        return _at(facts, at)
    return format_html(
        ": it has been due for <strong>{}</strong>, and no worker has taken it", age(late)
    )


def _at(facts: Facts, at: datetime | None) -> SafeString | str:
    return format_html(" at {}", _clocked(facts, at)) if at else ""


def _clocked(facts: Facts, at: datetime | None) -> SafeString:
    assert at is not None, "asked only of what has a time"
    return format_html("{} ({})", clock(at), until((at - facts.now).total_seconds()))


def _row(facts: Facts, one: Expected) -> Step:
    place = (one.direction, one.step)
    return next(step for step in facts.steps if (step.direction, step.name) == place)
