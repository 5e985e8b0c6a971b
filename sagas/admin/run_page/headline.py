"""The head of the run's page: what it is, how it stands, and why a person is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from sagas.admin.badge import badge, kept
from sagas.admin.history import run_link
from sagas.admin.run_page.facts import MANY, Facts
from sagas.admin.run_page.links import links
from sagas.admin.run_page.words import age, length
from sagas.admin.shown import line, shown
from sagas.define.blockers import blockers
from sagas.define.title import title
from sagas.define.view import direction_of
from sagas.models import Step
from sagas.operate.reason import state_reason
from sagas.operate.undone import undone_because
from sagas.run.origin import OriginKind
from sagas.states import COMPLETED_RUNS, MOVING_RUNS, SCHEDULED_STEPS, Halt, RunStatus, StepStatus
from sagas.wording import clock

_FAILING, _LONGEST = 3, 800


def headline(facts: Facts) -> dict[str, Any]:
    """What the template of the headline shows."""
    run = facts.run
    return {
        "saga": f"{line(run.saga)} v{run.version}",
        "title": shown(run.title, 100) if run.title else "",
        "key": shown(run.business_key, 200),
        "id": run.id,
        "badge": kept(badge(run.status), facts.expected),
        "why": shown(why, _LONGEST) if (why := _why(facts)) else "",
        "owner": shown(run.owner, 150) if run.owner else "",
        "tags": [shown(tag, 40) for tag in run.tags],
        "times": list(_times(facts)),
        "attention": shown(run.attention, _LONGEST) if run.attention else "",
        "undone": shown(undone, _LONGEST) if (undone := _undone(facts)) else "",
        "failing": [_failing(step) for step in list(_stopped(facts))[:_FAILING]],
        "alike": _alike(facts),
        "gone": shown(facts.gone) if facts.gone else "",
        "links": links(run),
    }


def _why(facts: Facts) -> str:
    """Why it stands where it does, while it goes on by itself."""
    return state_reason(facts.expected, facts.now) if facts.run.status in MOVING_RUNS else ""


def _times(facts: Facts) -> Iterator[tuple[str, str]]:
    run = facts.run
    if run.finished_at is not None:
        yield "took", length((run.finished_at - run.created_at).total_seconds())
        yield "ended", clock(run.finished_at)
    else:
        if (stopped := facts.stopped.get(run.pk)) is not None:
            yield "needs attention for", age((facts.now - stopped).total_seconds())
            yield "since", clock(stopped)
        yield "age", age((facts.now - run.created_at).total_seconds())
    yield "accepted", clock(run.created_at)
    if run.origin_kind == OriginKind.RUN:
        yield "started by", run_link(run.origin_id, f"run {run.origin_id}")
    elif run.origin_kind:
        yield "started by", line(f"{run.origin_kind} {run.origin_id}")
    if run.root is not None:
        yield (
            "chain",
            run_link(run.root, f"run {run.depth + 1} of the chain that began with {run.root}"),
        )


def _undone(facts: Facts) -> str:
    """Why it was undone, unless the steps say so that failed."""
    run = facts.run
    told = run.halt == Halt.FAILED and run.status != RunStatus.COMPENSATED
    return "" if told else undone_because(run, facts.steps)


def _stopped(facts: Facts) -> Iterator[Step]:
    """The steps that block the run, and then those that made it turn back or did not work yet."""
    if facts.run.status in COMPLETED_RUNS:
        return
    blocking = {one.step.id for one in blockers(facts.saga, facts.view) if one.step is not None}
    yield from (step for step in facts.steps if step.pk in blocking)
    way = direction_of(facts.view)
    for step in reversed(facts.steps):  # what is undone is newer than what was done
        again = step.direction == way and step.status in _AGAIN
        if step.pk not in blocking and step.error and (step.status == StepStatus.FAILED or again):
            yield step


_AGAIN = SCHEDULED_STEPS - {StepStatus.WAITING}  # which has not failed


def _failing(step: Step) -> dict[str, Any]:
    return {
        "name": shown(title(step.name, step.direction), 100),
        "badge": badge(step.status),
        "attempt": step.attempt,
        "error": shown(step.error, _LONGEST),
        "anchor": f"step-{step.pk}",
    }


def _alike(facts: Facts) -> SafeString | str:
    if not facts.alike:
        return ""
    query = {"error_group": facts.run.error_group, "status": RunStatus.NEEDS_ATTENTION.value}
    url = f"{reverse('admin:sagas_run_changelist')}?{urlencode(query)}"
    count = f"{facts.alike:,}" + (" or more" if facts.alike >= MANY else "")
    runs = "run" if facts.alike == 1 else "runs"
    return format_html('<a href="{}">{} more {} failed so</a>', url, count, runs)
