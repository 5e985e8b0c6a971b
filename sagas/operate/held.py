"""Which runs wait under the holds that are in force, and which holds a run waits under."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from django.db.models import (
    BooleanField,
    Case,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    UUIDField,
    Value,
    When,
)
from django.db.models.functions import Cast
from django.db.models.lookups import IsNull

from sagas.define import registry
from sagas.define.hold import of_step, reach
from sagas.define.saga import Definition
from sagas.models import Hold, HoldKind, Run, Step
from sagas.operate.access import Holder, Right, scope
from sagas.run.queues import default_queue
from sagas.states import TERMINAL_RUNS, StepStatus

#: Where a step stands whose turn it is.
OPEN_STEPS = frozenset(
    {StepStatus.READY, StepStatus.IN_FLIGHT, StepStatus.WAITING, StepStatus.UNKNOWN}
)
_TO_COME = OPEN_STEPS - {StepStatus.IN_FLIGHT}
_MOST = 200
#: Runs that are not over.
UNFINISHED = ~Q(status__in=sorted(status.value for status in TERMINAL_RUNS))


def held(rows: QuerySet[Run]) -> QuerySet[Run]:
    """Those runs that are not over and that a hold covers."""
    return rows.filter(UNFINISHED).filter(covered(Hold.objects.filter(lifted_at=None)))


def over(run: Run, steps: Iterable[Step], saga: Definition | None) -> list[Hold]:
    """The holds in force that cover a run or a step whose turn it is, at most 200.

    One that lets just this run through is among them. Without the definition of its saga only
    those on the run and on the saga are known.
    """
    its_own = Q(kind=HoldKind.RUN, target=str(run.pk)) | Q(kind=HoldKind.SAGA, target=run.saga)
    rows = Hold.objects.filter(its_own | Q(kind__in=_OF_STEPS), lifted_at=None)
    names = {f"run:{run.pk}", f"saga:{run.saga}"}
    for step in steps:
        if saga is not None and step.status in _TO_COME and step.name in saga.steps:
            names |= of_step(saga.steps[step.name], default_queue())
    return [row for row in rows.order_by("id")[:_MOST] if f"{row.kind}:{row.target}" in names]


def visible_holds(by: Holder) -> QuerySet[Hold]:
    """The holds that one may see: of one's own sagas, and of what these share with others."""
    names = scope(by, Right.READ)
    if names is None:
        return Hold.objects.all()
    sagas = sorted(names)
    shared, of_saga = Q(kind__in=_OF_STEPS), Q(kind=HoldKind.SAGA, target__in=sagas)
    return Hold.objects.filter(shared | of_saga | Q(on_one_of(Run.objects.filter(saga__in=sagas))))


def on_one_of(runs: QuerySet[Run]) -> Case:
    """The condition that a hold is on one of these runs.

    Only the target of such a hold is an id, and only a CASE keeps PostgreSQL from casting others.
    """
    run = runs.filter(pk=Cast(OuterRef("target"), UUIDField())).order_by()
    of_run = When(kind=HoldKind.RUN, target__regex="^[0-9a-f-]{36}$", then=Exists(run))
    return Case(of_run, default=Value(False), output_field=BooleanField())


def covered(holds: Iterable[Hold]) -> Q:
    """The condition that one of these holds covers a run, or a step whose turn it is."""
    holds = list(holds)
    runs = [hold.target for hold in holds if hold.kind == HoldKind.RUN]
    sagas = [hold.target for hold in holds if hold.kind == HoldKind.SAGA]
    found = Q(pk__in=list(run_ids(runs))) | Q(saga__in=sagas)
    for condition in _at_held_steps(holds):
        found |= condition
    return found


def at_step(condition: Q) -> IsNull:
    """The condition that a run has such a step, looked up run by run.

    The limit forbids PostgreSQL to read the table of steps whole, as it would for an EXISTS that
    is one of several alternatives; and a page of runs then ends the search.
    """
    steps = Step.objects.filter(condition, run=OuterRef("pk")).order_by()
    return IsNull(Subquery(steps.values("id")[:1]), False)


def run_ids(targets: Iterable[str]) -> Iterator[UUID]:
    """The ids of runs among the targets of holds."""
    for target in targets:
        try:
            yield UUID(target)
        except ValueError:
            continue  # it names no run, so it covers none


def _at_held_steps(holds: Iterable[Hold]) -> Iterator[Q]:
    """For each saga and hold: its runs at a step that the hold reaches; not the one let through."""
    for hold in holds:
        if hold.kind in _OF_STEPS:
            reached = reach(hold.kind, hold.target, registry.all_sagas(), default_queue())
            passed = Q() if hold.probe is None else ~Q(pk=hold.probe)
            for saga, steps in groupby(sorted(reached), key=itemgetter(0, 1)):
                turn = Q(status__in=OPEN_STEPS, name__in=[name for _, _, name in steps])
                yield Q(at_step(turn), passed, saga=saga[0], version=saga[1])


_OF_STEPS = frozenset({HoldKind.QUEUE, HoldKind.PARTNER})
