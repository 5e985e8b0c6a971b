"""The rows of the list of runs, as its table shows them.

The table is our own template: Django's works out each cell by itself, which took most of the time
of the page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, CharField, F, OuterRef, QuerySet, Value, When
from django.db.models.functions import Concat, Now
from django.utils.safestring import SafeString

from sagas.admin.badge import badge
from sagas.admin.shown import cleaned, line
from sagas.admin.when import ago, took
from sagas.models import Run, Step
from sagas.operate.held import OPEN_STEPS, UNFINISHED
from sagas.states import Direction, RunStatus, StepStatus

_HOVER = 300


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
    saga: str
    state: SafeString
    steps: str
    error: Text
    owner: Text
    age: SafeString
    took: str


def standing(page: QuerySet[Any]) -> QuerySet[Any]:
    """A page of runs, each with the steps that it stands at.

    Only for those of the page: a database would work them out for all rows that it skips.
    """
    at = Step.objects.filter(run=OuterRef("pk")).order_by("position")
    label = Case(
        When(direction=Direction.BACKWARD, then=Concat(Value("undo "), F("name"))),
        default=F("name"),
        output_field=CharField(),
    )
    turn = at.filter(status__in=OPEN_STEPS).values_list(label)
    stopped = at.filter(status__in=[*OPEN_STEPS, StepStatus.FAILED]).values_list(label)
    steps = Case(
        When(status=RunStatus.NEEDS_ATTENTION, then=ArraySubquery(stopped)),
        When(UNFINISHED, then=ArraySubquery(turn)),
    )
    rows = Run.objects.filter(pk__in=page.values("pk")).defer("payload", "amended")
    return rows.annotate(clock=Now(), at_steps=steps).order_by("-id")


def rows(runs: Iterable[Any]) -> list[Row]:
    """Runs that ``standing`` gave, as they are shown."""
    return [_row(run) for run in runs]


def _row(run: Any) -> Row:
    over = run.finished_at is not None
    return Row(
        id=run.id,
        key=text(run.business_key),
        saga=line(run.saga),
        state=badge(run.status),
        steps=line(", ".join(run.at_steps or ())),
        error=text(run.error_group),
        owner=text(run.owner),
        age=ago(run.created_at, run.clock),
        took=took(run.finished_at - run.created_at) if over else "",
    )


def text(given: str, most: int = 80) -> Text:
    """What strangers wrote, fit for a cell of a table: at most so many characters of it."""
    short = line(given, most)
    return Text(short, "" if short == given else cleaned(given, _HOVER))
