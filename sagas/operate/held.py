"""Which runs wait under the holds that are in force, as a condition on the list of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from sagas.define import registry
from sagas.define.step import Step as StepDefinition
from sagas.models import Hold, HoldKind, Run, Step
from sagas.run.queues import default_queue
from sagas.states import TERMINAL_RUNS, StepStatus

#: Where a step stands whose turn it is.
OPEN_STEPS = frozenset(
    {StepStatus.READY, StepStatus.IN_FLIGHT, StepStatus.WAITING, StepStatus.UNKNOWN}
)
#: Runs that are not over.
UNFINISHED = ~Q(status__in=sorted(status.value for status in TERMINAL_RUNS))


def held(rows: QuerySet[Run]) -> QuerySet[Run]:
    """Those runs that are not over and that a hold covers."""
    return rows.filter(UNFINISHED).filter(covered(Hold.objects.filter(lifted_at=None)))


def covered(holds: Iterable[Hold]) -> Q:
    """The condition that one of these holds covers a run, or a step whose turn it is."""
    by_kind: dict[str, set[str]] = {kind: set() for kind in HoldKind}
    for hold in holds:
        by_kind[hold.kind].add(hold.target)
    found = Q(pk__in=list(_ids(by_kind[HoldKind.RUN]))) | Q(saga__in=by_kind[HoldKind.SAGA])
    for condition in _at_held_steps(by_kind):
        found |= condition
    return found


def _ids(targets: Iterable[str]) -> Iterator[UUID]:
    for target in targets:
        try:
            yield UUID(target)
        except ValueError:
            continue  # it names no run, so it covers none


def _at_held_steps(by_kind: dict[str, set[str]]) -> Iterator[Q]:
    queues, partners = by_kind[HoldKind.QUEUE], by_kind[HoldKind.PARTNER]
    if not queues and not partners:
        return
    otherwise = default_queue()
    yield from at_steps(lambda s: (s.queue or otherwise) in queues or s.partner in partners)


def at_steps(chosen: Callable[[StepDefinition], bool]) -> Iterator[Q]:
    """For each saga: its runs at a step that the code has declared so."""
    for saga in registry.all_sagas():
        names = [step.name for step in saga.steps.values() if chosen(step)]
        if names:
            turn = Step.objects.filter(run=OuterRef("pk"), status__in=OPEN_STEPS, name__in=names)
            yield Q(Exists(turn), saga=saga.name, version=saga.version)
