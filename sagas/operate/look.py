"""Look: a run as a person wants to see it, and what will happen to it next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from sagas import models
from sagas.errors import UnknownRun
from sagas.operate.expected import Around, Expected, around, declared, expected


@dataclass(frozen=True)
class Sight:
    """A run with its steps in both directions, as they stood at one moment: ``now``."""

    run: models.Run
    steps: Sequence[models.Step]
    now: datetime

    @cached_property
    def around(self) -> Around:
        """What else tells what it waits for; read when it is asked for, once."""
        return around([self.run], {self.run.pk: self.steps}, self.now)

    @property
    def expected(self) -> list[Expected]:
        """What happens next; several things inside parallel branches, nothing once it is over."""
        return expected(self.run, self.steps, self.around, declared(self.run))


def look(run_id: UUID) -> Sight:
    """Read a run with its steps in one statement; payload and results stay in the database.

    Raises:
        UnknownRun: there is no such run.
    """
    rows = models.Step.objects.filter(run_id=run_id).defer("result").annotate(now=Now())
    steps = with_run(rows, f"No run has the id {run_id}.")
    return Sight(steps[0].run, steps, steps[0].now)  # type: ignore[attr-defined]  # annotated


def with_run(rows: QuerySet[models.Step], absent: str) -> Sequence[models.Step]:
    """The steps of one run in the order of the saga, each with the run without its payload.

    Raises:
        UnknownRun: there are none, with that text.
    """
    lean = rows.select_related("run").defer("run__payload", "run__amended")
    steps = list(lean.order_by("-direction", "position"))
    if not steps:
        raise UnknownRun(absent)
    return steps
