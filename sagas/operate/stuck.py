"""Which runs are stuck: something should have moved them by now, and nothing did."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from sagas.conf import conf
from sagas.models import Hold, Run, Step
from sagas.operate.held import covered
from sagas.states import ACTIVE_RUNS, StepStatus

#: Runs that go on by themselves.
ACTIVE = sorted(status.value for statuses in ACTIVE_RUNS.values() for status in statuses)
_DUE = [StepStatus.READY, StepStatus.WAITING, StepStatus.UNKNOWN]


def stuck(rows: QuerySet[Run]) -> QuerySet[Run]:
    """Those runs that are active, not held, and overdue by more than ``SAGAS["STUCK_SECONDS"]``.

    Overdue is a run whose next look has passed, for no worker sweeps; or one at a step that no
    worker takes though it is due, or answers though its time is up.
    """
    late = Now() - timedelta(seconds=conf().STUCK_SECONDS)
    overdue = Q(status__in=_DUE, due_at__lt=late)
    unanswered = Q(status=StepStatus.IN_FLIGHT, limit_at__lt=late)
    waits = Step.objects.filter(overdue | unanswered, run=OuterRef("pk"))
    active = rows.filter(Q(wake_at__lt=late) | Exists(waits), status__in=ACTIVE)
    holds = list(Hold.objects.filter(lifted_at=None))
    return active.exclude(covered(holds)) if holds else active
