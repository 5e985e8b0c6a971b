"""Which runs are stuck: something should have moved them by now, and nothing did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from sagas.conf import conf
from sagas.models import Hold, HoldKind, Run
from sagas.operate.held import at_step, covered
from sagas.states import ACTIVE_RUNS, MOVING_RUNS, SCHEDULED_STEPS, Direction, Halt, StepStatus


def stuck(rows: QuerySet[Run], holds: Sequence[Hold] | None = None) -> QuerySet[Run]:
    """Those runs that are active, not held, and overdue by more than ``SAGAS["STUCK_SECONDS"]``.

    Overdue is a run whose next look has passed, for no worker sweeps; or one at a step that no
    worker takes though it is due, or answers though its time is up. What a hold has let go since
    then is not: its turn comes.

    Args:
        holds: those in force, if they were read already.
    """
    late = Now() - timedelta(seconds=conf().STUCK_SECONDS)
    overdue = Q(at_step(Q(status__in=SCHEDULED_STEPS, due_at__lt=late))) & ~_turning(late)
    unanswered = at_step(Q(status=StepStatus.IN_FLIGHT, limit_at__lt=late))
    active = rows.filter(status__in=MOVING_RUNS, wake_at__lt=Now() + _longest_look())
    found = active.filter(Q(wake_at__lt=late) | overdue | Q(unanswered))
    if holds is None:
        holds = list(Hold.objects.filter(lifted_at=None))
    held = [*holds, *_lifted_since(late)]
    return found.exclude(covered(held)) if held else found


def _turning(late: Combinable) -> Q:
    """That a run turns back as soon as what is in flight has answered: it takes nothing else."""
    flying = at_step(Q(status=StepStatus.IN_FLIGHT, limit_at__gte=late))
    return ~Q(halt=Halt.NONE) & Q(flying, status__in=ACTIVE_RUNS[Direction.FORWARD])


def _lifted_since(late: Combinable) -> list[Hold]:
    """The holds on more than a run that were lifted since then, of the newest holds."""
    newest = Hold.objects.order_by("-id").values("pk")[:_NEWEST]
    return list(Hold.objects.exclude(kind=HoldKind.RUN).filter(pk__in=newest, lifted_at__gt=late))


_NEWEST = 1_000  # no index tells when holds were lifted


def _longest_look() -> timedelta:
    """A run with something due is looked at again within this time: see ``run.recover``.

    So runs that merely wait for a later time are passed over by the index on that look.
    """
    return timedelta(seconds=max(20 * conf().RESEND_SECONDS, 2 * conf().HELD_LOOK_SECONDS))
