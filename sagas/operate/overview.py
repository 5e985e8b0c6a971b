"""The overview: what an operator must know first, in a bounded number of bounded statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Cast, Now

from sagas.models import Approval, Batch, BatchStatus, Hold, HoldKind, Run, Worker
from sagas.operate.access import Holder, Right, scope, visible
from sagas.operate.approval import pending
from sagas.operate.attention import since
from sagas.operate.bulk import visible_batches
from sagas.operate.expected import expected_of
from sagas.operate.figures import SagaFigures, figures
from sagas.operate.groups import ErrorGroup, error_groups
from sagas.operate.held import UNFINISHED, on_one_of, visible_holds
from sagas.operate.outage import Outage, outages
from sagas.operate.partners import partners
from sagas.operate.reason import state_reason
from sagas.operate.standing import LOOKED, Standing, standing
from sagas.operate.stuck import stuck
from sagas.operate.verb import Operator
from sagas.operate.waiting import Queue, queues
from sagas.signals import PartnerHealth
from sagas.states import RunStatus

SHOWN = 20  #: rows of each list, at most


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """A worker.

    Attributes:
        alive: whether its lease holds; a lost one's steps are taken over.
        flying: the steps that it has in flight.
    """

    name: str
    queues: Sequence[str]
    processes: int | None
    alive: bool
    flying: int


@dataclass(frozen=True, slots=True)
class Held:
    """A hold in force, and how many runs it keeps waiting, of those that were looked at."""

    hold: Hold
    waiting: int


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it.

    Attributes:
        now: the database's time.
        capped: more runs are unfinished than the sagas' figures count.
        looked: at how many active runs the queues, workers and partners were looked for.
        stopped: since when each of ``attention`` needs it, by its id.
        stuck: stuck runs among these, the oldest first; one more than are shown if there are more.
        reasons: why each of these stands where it does, in words, by its id.
    """

    now: datetime
    sagas: Sequence[SagaFigures]
    capped: bool
    looked: int
    errors: Sequence[ErrorGroup]
    attention: Sequence[Run]
    stopped: Mapping[UUID, datetime]
    stuck: Sequence[Run]
    reasons: Mapping[UUID, str]
    queues: Sequence[Queue]
    workers: Sequence[WorkerFigures]
    holds: Sequence[Held]
    approvals: Sequence[Approval]
    batches: Sequence[Batch]
    partners: Sequence[PartnerHealth]
    outages: Sequence[Outage]


def overview(user: Operator) -> Overview:
    """What one may see of it: runs of the sagas that one's right to read holds for."""
    names = scope(user, Right.READ)
    sagas, capped, now = figures(names)
    at = standing(names)
    holds = _holds(user)
    health = partners(at)
    out = outages(user, holds, health)
    late, needy = _stuck(user, holds), _attention(user)
    expected = expected_of(late, now)
    return Overview(
        now=now,
        sagas=sagas,
        capped=capped,
        looked=at.runs,
        errors=error_groups(names, most=_ERRORS),
        attention=needy,
        stopped=since(needy),
        stuck=late,
        reasons={run_id: state_reason(found, now) for run_id, found in expected.items()},
        queues=queues(at),
        workers=_workers(at),
        holds=_held(holds, sagas, at, out),
        approvals=list(visible(user, pending())[:SHOWN]),
        batches=list(visible_batches(user).filter(status=BatchStatus.RUNNING)[:SHOWN]),
        partners=health,
        outages=out,
    )


_HOLDS = 100
_ERRORS = 5


def _holds(user: Holder) -> list[Hold]:
    """In force; those on single runs last, of which a batch may have placed very many.

    Not those on runs that have ended all the same: they keep nothing waiting.
    """
    of_run = Q(on_one_of(Run.objects.filter(UNFINISHED)))
    order = Case(When(kind=HoldKind.RUN, then=Value(1)), default=Value(0))
    found = visible_holds(user).filter(~Q(kind=HoldKind.RUN) | of_run, lifted_at=None)
    return list(found.order_by(order, "-id")[:_HOLDS])


def _runs(user: Holder) -> QuerySet[Run]:
    return visible(user, Run.objects.defer("payload", "amended"))


def _attention(user: Holder) -> list[Run]:
    return list(_runs(user).filter(status=RunStatus.NEEDS_ATTENTION).order_by("id")[:SHOWN])


def _stuck(user: Holder, holds: Sequence[Hold]) -> list[Run]:
    """Among the runs that should be looked at soonest: whatever is stuck is overdue there."""
    active = visible(user, Run.objects.filter(wake_at__isnull=False))
    # Read first: joined with them, PostgreSQL would look at every run that is active.
    soonest = list(active.order_by("wake_at").values_list("pk", flat=True)[:LOOKED])
    paused = Hold.objects.filter(
        kind=HoldKind.RUN, lifted_at=None, target=Cast(OuterRef("pk"), CharField())
    )
    rows = _runs(user).filter(~Exists(paused), pk__in=soonest)
    return list(stuck(rows, holds).order_by("id")[: SHOWN + 1])


def _workers(at: Standing) -> list[WorkerFigures]:
    lives = When(lease_until__gte=Now(), then=Value(True))
    state = Case(lives, default=Value(False), output_field=BooleanField())
    rows = Worker.objects.annotate(lives=state).order_by("-lives", "name")[:_WORKERS]
    return [
        WorkerFigures(w.name, w.queues, w.processes, w.lives, at.flying.get(w.name, 0))
        for w in rows
    ]


_WORKERS = 100


def _held(
    holds: Sequence[Hold], sagas: Sequence[SagaFigures], at: Standing, out: Sequence[Outage]
) -> list[Held]:
    active = {saga.name: saga.active for saga in sagas}
    waiting = {outage.partner: outage.waiting for outage in out}
    return [Held(hold, _waiting(hold, active, at, waiting)) for hold in holds]


def _waiting(
    hold: Hold, active: Mapping[str, int], at: Standing, partners: Mapping[str, int]
) -> int:
    match HoldKind(hold.kind):
        case HoldKind.RUN:
            return 1
        case HoldKind.SAGA:
            return active.get(hold.target, 0)
        case HoldKind.PARTNER:
            return partners.get(hold.target, 0)
        case HoldKind.QUEUE:
            return at.due_of(HoldKind.QUEUE, hold.target)
