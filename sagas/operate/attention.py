"""Since when runs need attention. Their events tell it: no later change of a run touches these."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from sagas.models import Event, Run
from sagas.states import RunStatus

_NEEDS = RunStatus.NEEDS_ATTENTION
#: The condition that an event ``e`` is one of ``stops``.
STOP = f"e.step = '' AND e.new = '{_NEEDS}' AND e.old <> '{_NEEDS}'"


def stops(run: str = "pk") -> QuerySet[Event]:
    """The times that a row's run came to need attention, the newest first.

    What went wrong while it stood is none of them.

    Args:
        run: the row's field that holds the run's id.
    """
    moves = Event.objects.filter(run=OuterRef(run), step="", new=_NEEDS).exclude(old=_NEEDS)
    return moves.order_by("-id")


def since(runs: Iterable[Run]) -> dict[UUID, datetime]:
    """When each of some runs that need attention came to need it, by its id: in one statement.

    None is read for runs that do not.
    """
    stopped = [run.pk for run in runs if run.status == _NEEDS]
    if not stopped:
        return {}
    last = Subquery(stops().values("at")[:1])
    rows = Run.objects.filter(pk__in=stopped).order_by().values_list("pk", last)
    return {run_id: at for run_id, at in rows if at is not None}
