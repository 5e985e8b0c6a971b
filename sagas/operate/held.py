"""Which runs wait under the holds that are in force, and which holds a run waits under."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
from sagas.define.step import Step as Declared
from sagas.models import Hold, HoldKind, Run, Step
from sagas.operate.access import Holder, Right, scope
from sagas.run.queues import default_queue
from sagas.states import (
    CLAIMABLE_STEPS,
    CURRENT_STEPS,
    SCHEDULED_STEPS,
    TERMINAL_RUNS,
    RunStatus,
    StepStatus,
)

_MOST = 200
#: Runs that are not over.
UNFINISHED = ~Q(status__in=sorted(status.value for status in TERMINAL_RUNS))


def held(rows: QuerySet[Run]) -> QuerySet[Run]:
    """Those runs that are not over and that a hold covers."""
    return rows.filter(UNFINISHED).filter(covered(Hold.objects.filter(lifted_at=None)))


def in_force_on(runs: Iterable[Run]) -> list[Hold]:
    """The holds in force that may cover one of these runs or one of their steps, in one statement.

    Of those on queues, partners and sagas at most 200.
    """
    ids = [str(run.pk) for run in runs]
    shared = ~Q(kind=HoldKind.RUN)
    rows = Hold.objects.filter(shared | Q(kind=HoldKind.RUN, target__in=ids), lifted_at=None)
    return list(rows.order_by("id")[: _MOST + len(ids)])


def over(
    holds: Iterable[Hold], run: Run, steps: Iterable[Step], saga: Definition | None
) -> list[Hold]:
    """Those of some holds that cover a run or a step whose turn it is.

    One that lets just this run through is among them. Without the definition of its saga only
    those on the run and on the saga are known.
    """
    names = _names(run, None)
    for step in steps:
        if saga is not None and step.status in SCHEDULED_STEPS and step.name in saga.steps:
            names |= _names(run, saga.steps[step.name])
    return [hold for hold in holds if f"{hold.kind}:{hold.target}" in names]


def stopping(holds: Iterable[Hold], run: Run, step: Declared | None) -> Iterator[Hold]:
    """Those of some holds that stop a step of a run; without its definition those on the run."""
    names = _names(run, step)
    for hold in holds:
        if f"{hold.kind}:{hold.target}" in names and hold.probe != run.pk:
            yield hold


def _names(run: Run, step: Declared | None) -> frozenset[str]:
    """Every hold that would stop a run or, if one is given, a step of it."""
    own = frozenset({f"run:{run.pk}", f"saga:{run.saga}"})
    return own if step is None else own | of_step(step, default_queue())


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


def standing_where(rows: QuerySet[Run], at: Callable[[Iterable[StepStatus]], Q]) -> QuerySet[Run]:
    """Those runs that are not over and stand at a certain step, or were stopped by one.

    Args:
        at: the condition that a run has such a step in one of these states.
    """
    attention = Q(status=RunStatus.NEEDS_ATTENTION)
    stopped, turn = at(CURRENT_STEPS), at(CLAIMABLE_STEPS)
    return rows.filter(UNFINISHED).filter((attention & stopped) | (~attention & turn))


def at_steps_of(kind: HoldKind, target: str, statuses: Iterable[StepStatus]) -> Q:
    """The condition that a run has a step of a queue or a partner in one of these states."""
    reached = sorted(reach(kind, target, registry.all_sagas(), default_queue()))
    found = Q(pk__in=[])
    for (saga, version), steps in groupby(reached, key=itemgetter(0, 1)):
        there = Q(status__in=statuses, name__in=[name for _, _, name in steps])
        found |= Q(at_step(there), saga=saga, version=version)
    return found


def run_ids(targets: Iterable[str]) -> Iterator[UUID]:
    """The ids of runs among the targets of holds."""
    for target in targets:
        try:
            yield UUID(target)
        except ValueError:
            continue  # it names no run, so it covers none


def _at_held_steps(holds: Iterable[Hold]) -> Iterator[Q]:
    """That a run is at a step that one of these holds reaches, and is not the one let through."""
    for hold in holds:
        if hold.kind in _OF_STEPS:
            turn = at_steps_of(HoldKind(hold.kind), hold.target, CLAIMABLE_STEPS)
            yield turn if hold.probe is None else turn & ~Q(pk=hold.probe)


_OF_STEPS = frozenset({HoldKind.QUEUE, HoldKind.PARTNER})
