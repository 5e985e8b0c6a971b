"""Which runs are stuck: something should have moved them by now, and nothing did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from sagas.conf import conf
from sagas.models import Hold, Run
from sagas.operate.held import at_step, covered
from sagas.states import ACTIVE_RUNS, StepStatus

#: Runs that go on by themselves.
ACTIVE = sorted(status.value for statuses in ACTIVE_RUNS.values() for status in statuses)
_DUE = [StepStatus.READY, StepStatus.WAITING, StepStatus.UNKNOWN]


def stuck(rows: QuerySet[Run], holds: Sequence[Hold] | None = None) -> QuerySet[Run]:
    """Those runs that are active, not held, and overdue by more than ``SAGAS["STUCK_SECONDS"]``.

    Overdue is a run whose next look has passed, for no worker sweeps; or one at a step that no
    worker takes though it is due, or answers though its time is up.

    Args:
        holds: those in force, if they were read already.
    """
    late = Now() - timedelta(seconds=conf().STUCK_SECONDS)
    overdue = Q(status__in=_DUE, due_at__lt=late)
    unanswered = Q(status=StepStatus.IN_FLIGHT, limit_at__lt=late)
    active = rows.filter(status__in=ACTIVE, wake_at__lt=Now() + _longest_look())
    found = active.filter(Q(wake_at__lt=late) | Q(at_step(overdue | unanswered)))
    if holds is None:
        holds = list(Hold.objects.filter(lifted_at=None))
    return found.exclude(covered(holds)) if holds else found


def _longest_look() -> timedelta:
    """A run with something due is looked at again within this time: see ``run.recover``.

    So runs that merely wait for a later time are passed over by the index on that look.
    """
    return timedelta(seconds=max(20 * conf().RESEND_SECONDS, 2 * conf().HELD_LOOK_SECONDS))
