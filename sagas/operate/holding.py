"""Writing holds: what a person's and an automatism's have in common. Asks for no permission."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from sagas import db, record, transitions
from sagas.conf import conf
from sagas.define import registry
from sagas.define.hold import reach
from sagas.errors import VerbRefused
from sagas.models import Hold, HoldKind, Run
from sagas.operate import audit
from sagas.run.dispatch import insist
from sagas.run.queues import default_queue

_BATCH = 1000


@db.transacted
def place(
    kind: HoldKind,
    target: str,
    *,
    by: audit.Actor | str,
    why: str,
    source: str = "",
    approver: audit.Actor | str = "",
    **more: Any,
) -> Hold | None:
    """Place a hold and say so in the audit. None: this source has one on it in force already."""
    given = {"kind": kind, "target": target, "source": source}
    try:
        with transaction.atomic():
            placed = Hold.objects.create(**given, reason=why, placed_by=audit.named(by), **more)
    except IntegrityError:  # the constraint sagas_hold_once
        return None
    placed.refresh_from_db()
    after: dict[str, Any] = {"held": True}
    if placed.ends_at is not None:
        after["until"] = placed.ends_at.isoformat(timespec="seconds")
    named = subject(placed)
    audit.append(actor=by, approver=approver, verb="hold", reason=why, after=after, **named)
    return placed


def end(held: Hold, *, by: audit.Actor | str, why: str, approver: audit.Actor | str = "") -> None:
    """Lift a hold that the caller's transaction has locked and found in force. Wakes nobody."""
    Hold.objects.filter(pk=held.pk).update(lifted_by=audit.named(by), lifted_at=Now())
    audit.append(
        actor=by,
        approver=approver,
        verb="lift",
        reason=why,
        before={"held": True, "by": held.placed_by, "because": held.reason},
        after={"held": False},
        **subject(held),
    )


def pace(per_second: float | None) -> float:
    """How many runs go on in a second.

    Raises:
        VerbRefused: it is none.
    """
    rate = conf().DRAIN_PER_SECOND if per_second is None else per_second
    if not rate > 0:
        raise VerbRefused(f"A hold is lifted at some runs a second, more than 0; not {rate:g}.")
    return rate


def drain(lifted: Hold, per_second: float) -> int:
    """Give each run that waited its moment, once the lifting has committed. Gives how many.

    Only then nobody is told any more that it is held.
    """
    runs = record.stopped(lifted.kind, lifted.target, steps(lifted), but=lifted.probe)
    woken = 0
    for first in range(0, len(runs), _BATCH):
        woken += _woken(runs[first : first + _BATCH], first, per_second)
    return woken


def _woken(runs: list[UUID], first: int, per_second: float) -> int:
    return insist(lambda: transitions.drain(runs, first, per_second))


def steps(held: Hold) -> list[tuple[str, int, str]]:
    """The steps that a hold on a queue or a partner reaches: saga, version and name."""
    if held.kind in (HoldKind.RUN, HoldKind.SAGA):
        return []
    return reach(held.kind, held.target, registry.all_sagas(), default_queue())


def subject(held: Hold) -> dict[str, Any]:
    """What an entry of the audit says it was done to."""
    if held.kind == HoldKind.RUN:
        saga = Run.objects.filter(pk=held.target).values_list("saga", flat=True).first()
        return {"run": UUID(held.target), "saga": saga or ""}
    saga = held.target if held.kind == HoldKind.SAGA else ""
    return {"subject": str(held), "saga": saga}


def partners() -> frozenset[str]:
    """The partners that steps name."""
    found = (step for saga in registry.all_sagas() for step in saga.steps.values())
    return frozenset(step.partner for step in found if step.partner is not None)
