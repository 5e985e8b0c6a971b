"""The rows of the list of runs, as its table shows them.

The table is our own template: Django's works out each cell by itself, which took most of the time
of the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, CharField, F, OuterRef, QuerySet, Value, When
from django.db.models.functions import Concat, Now
from django.utils.safestring import SafeString, mark_safe

from sagas.admin.badge import badge, kept
from sagas.admin.shown import cleaned, line
from sagas.admin.when import ago, took
from sagas.define.title import title
from sagas.models import Run, Step
from sagas.operate.expected import Expected, Next, expected_of, foremost
from sagas.operate.held import UNFINISHED
from sagas.operate.reason import state_reason
from sagas.states import CLAIMABLE_STEPS, CURRENT_STEPS, MOVING_RUNS, Direction, RunStatus

_HOVER = 300
WHY = 120  #: characters of why a run stands where it does: its time is at the end


@dataclass(frozen=True, slots=True)
class Text:
    """What strangers wrote, in one line, and under the pointer what was cut from it."""

    line: str
    whole: str


@dataclass(frozen=True, slots=True)
class Row:
    """One run."""

    id: UUID
    key: Text
    title: Text  #: by which people know it; empty: its saga gives none
    saga: str
    state: SafeString
    steps: str
    why: Text
    owner: Text
    age: SafeString
    took: str
    stopped: SafeString  #: how long ago it came to need attention; empty: it does not


def standing(page: QuerySet[Any]) -> QuerySet[Any]:
    """A page of runs, each with the steps that it stands at.

    Only for those of the page: a database would work them out for all rows that it skips.
    """
    at = Step.objects.filter(run=OuterRef("pk")).order_by("position")
    label = Case(
        When(
            direction=Direction.BACKWARD,
            then=Concat(Value(title("", Direction.BACKWARD)), F("name")),
        ),
        default=F("name"),
        output_field=CharField(),
    )
    turn = at.filter(status__in=CLAIMABLE_STEPS).values_list(label)
    stopped = at.filter(status__in=CURRENT_STEPS).values_list(label)
    steps = Case(
        When(status=RunStatus.NEEDS_ATTENTION, then=ArraySubquery(stopped)),
        When(UNFINISHED, then=ArraySubquery(turn)),
    )
    rows = Run.objects.filter(pk__in=page.values("pk")).defer("payload", "amended")
    return rows.annotate(clock=Now(), at_steps=steps).order_by("-id")


def rows(runs: Iterable[Any]) -> list[Row]:
    """Runs that ``standing`` gave, as they are shown."""
    listed = list(runs)
    found = expected_of(listed, listed[0].clock) if listed else {}
    return [_row(run, found[run.pk]) for run in listed]


def _row(run: Any, found: Sequence[Expected]) -> Row:
    over = run.finished_at is not None
    active = run.status in MOVING_RUNS
    return Row(
        id=run.id,
        key=text(run.business_key),
        title=text(run.title),
        saga=line(run.saga),
        state=kept(badge(run.status), found),
        steps=line(", ".join(run.at_steps or ())),
        why=text(state_reason(found, run.clock) if active else run.error_group, WHY),
        owner=text(run.owner),
        age=ago(run.created_at, run.clock),
        took=took(run.finished_at - run.created_at) if over else "",
        stopped=_stopped(found, run.clock),
    )


def _stopped(found: Sequence[Expected], now: datetime) -> SafeString:
    """How long ago a run came to need attention."""
    first = foremost(found)
    if first is None or first.what is not Next.PERSON or first.since is None:
        return mark_safe("")
    return ago(first.since, now)


def text(given: str, most: int = 80) -> Text:
    """What strangers wrote, fit for a cell of a table: at most so many characters of it."""
    short = line(given, most)
    return Text(short, "" if short == given else cleaned(given, _HOVER))
