"""The head of the run's page: what it is, how it stands, and why a person is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from sagas.admin.badge import badge
from sagas.admin.run_page.facts import MANY, Facts
from sagas.admin.run_page.links import links
from sagas.admin.run_page.words import age, clock, length
from sagas.admin.shown import line, shown
from sagas.models import Step
from sagas.states import Direction, RunStatus, StepStatus

_FAILING, _LONGEST = 3, 800


def headline(facts: Facts) -> dict[str, Any]:
    """What the template of the headline shows."""
    run = facts.run
    return {
        "saga": f"{line(run.saga)} v{run.version}",
        "key": shown(run.business_key, 200),
        "id": run.id,
        "badge": badge(run.status),
        "owner": shown(run.owner, 150) if run.owner else "",
        "tags": [shown(tag, 40) for tag in run.tags],
        "times": list(_times(facts)),
        "attention": shown(run.attention, _LONGEST) if run.attention else "",
        "failing": [_failing(step) for step in list(_stopped(facts))[:_FAILING]],
        "alike": _alike(facts),
        "gone": shown(facts.gone) if facts.gone else "",
        "links": links(run),
    }


def _times(facts: Facts) -> Iterator[tuple[str, str]]:
    run = facts.run
    if run.finished_at is not None:
        yield "took", length((run.finished_at - run.created_at).total_seconds())
        yield "ended", clock(run.finished_at)
    else:
        yield "age", age((facts.now - run.created_at).total_seconds())
    yield "accepted", clock(run.created_at)


def _stopped(facts: Facts) -> Iterator[Step]:
    """The steps that keep the run from going on, and those that made it turn back."""
    if facts.run.status in (RunStatus.SUCCEEDED, RunStatus.COMPENSATED):
        return
    back = any(step.direction == Direction.BACKWARD for step in facts.steps)
    for step in reversed(facts.steps):  # what is undone is newer than what was done
        stopped = step.status == StepStatus.FAILED
        if not back or step.direction == Direction.BACKWARD:
            stopped = step.status in _STOPPED
        if step.error and stopped:
            yield step


_STOPPED = frozenset({StepStatus.FAILED, StepStatus.UNKNOWN, StepStatus.READY})


def _failing(step: Step) -> dict[str, Any]:
    undo = "the compensation of " if step.direction == Direction.BACKWARD else ""
    return {
        "name": format_html("{}{}", undo, shown(step.name, 80)),
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
