"""Holds on partners that an automatism places and lifts, such as a circuit breaker.

For code of the project that sees how a partner is: no user reaches it, so it asks for no
permission. Every worker may say the same at the same time; what it says is done once. Each
automatism has a name of its own, its ``source``: it knows nothing of a person's holds, nor of
another's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from sagas import record, transitions
from sagas.define import registry
from sagas.errors import UnknownRun, UnknownSaga
from sagas.models import Hold, HoldKind, Run, Worker
from sagas.operate import audit, holding
from sagas.operate.verb import because
from sagas.run.queues import default_queue
from sagas.run.recover import nudge
from sagas.run.send import unheld
from sagas.states import ACTIVE_RUNS, StepStatus


@dataclass(frozen=True, slots=True)
class Lift:
    """How the last hold of a source on a partner ended.

    Attributes:
        by: who lifted it.
        forced: whether that was a person, and not the source itself.
    """

    hold: int
    by: str
    at: datetime
    forced: bool


def hold_partner(partner: str, *, source: str, reason: str) -> Hold | None:
    """Stop the steps that name a partner: from now on none is claimed, in either direction.

    Args:
        partner: as steps name it.
        source: which automatism says so, in small letters, digits and hyphens.
        reason: why, for people.

    Returns:
        the hold that was placed; None if this source holds the partner already, or no step
        names it.

    Raises:
        ValueError: the source is no such name.
        VerbRefused: there is no reason.
    """
    by, why = _actor(source), because("hold", reason)
    if partner not in holding.partners() or _in_force(partner, source).exists():
        return None
    return holding.place(HoldKind.PARTNER, partner, by=by, why=why, source=source)


def lift_partner(partner: str, *, source: str, reason: str, per_second: float | None = None) -> int:
    """Let go on what this source's hold on a partner stopped, the oldest first, not all at once.

    Args:
        reason: why, for people.
        per_second: how many runs go on in a second; default ``DRAIN_PER_SECOND``.

    Returns:
        how many runs were waiting and go on; none if the source holds no such partner, or
        somebody else has just lifted it.

    Raises:
        ValueError: the source is no name.
        VerbRefused: there is no reason, or the pace is none.
    """
    by, why, rate = _actor(source), because("lift", reason), holding.pace(per_second)
    if not _in_force(partner, source).exists():
        return 0
    with transaction.atomic():
        held = _in_force(partner, source).select_for_update().first()
        if held is None:
            return 0
        holding.end(held, by=by, why=why)
    return holding.drain(held, rate)


def let_one_through(partner: str, *, source: str) -> UUID | None:
    """Let one run go on although its partner is held: it finds out whether the partner is back.

    It is the run that has waited longest of those that would go on but for this hold, and whose
    queue some worker reads. While it is about to ask, or asking, every caller is given the same
    one; if it has ended, or something else stops it, or it waits for something else, the next one
    is chosen.

    Returns:
        the run; None if the source does not hold the partner, or no run waits for it alone.

    Raises:
        ValueError: the source is no name.
    """
    by = _actor(source)
    with transaction.atomic():
        held = _in_force(partner, source).select_for_update().first()
        if held is None:
            return None
        steps = list(_stopped_by_this_alone(held))
        if held.probe is not None and _is_about_it(held, steps):
            return held.probe
        chosen = record.longest_stopped(steps, but=held.probe) if steps else None
        if chosen is None:
            return None
        _let_through(held, chosen, by)
    transitions.drain([chosen], 0, 1.0)  # by a sweep, should the message be lost
    nudge(chosen)
    return chosen


def held_partners(source: str) -> frozenset[str]:
    """The partners that a source holds now."""
    mine = Hold.objects.filter(kind=HoldKind.PARTNER, source=source, lifted_at=None)
    return frozenset(mine.values_list("target", flat=True))


def last_lift(partner: str, *, source: str) -> Lift | None:
    """How the newest hold of a source on a partner was lifted; None if it is in force, or none was.

    A person who lifts such a hold wants the partner to be asked again.
    """
    newest = _of(partner, source).order_by("-id").first()
    if newest is None or newest.lifted_at is None:
        return None
    forced = newest.lifted_by != _actor(source)
    return Lift(newest.pk, newest.lifted_by, newest.lifted_at, forced)


# --- helpers -------------------------------------------------------------------------------


def _actor(source: str) -> str:
    """As the audit names it."""
    if not _NAME.fullmatch(source):
        raise ValueError(
            f"The source {source!r} is no name of at most 40 small letters, digits and hyphens."
        )
    return f"system:{source}"


_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


def _of(partner: str, source: str) -> QuerySet[Hold]:
    return Hold.objects.filter(kind=HoldKind.PARTNER, target=partner, source=source)


def _in_force(partner: str, source: str) -> QuerySet[Hold]:
    return _of(partner, source).filter(lifted_at=None)


def _stopped_by_this_alone(held: Hold) -> Iterator[tuple[str, int, str]]:
    """The steps of the partner that no other hold stops, in queues that are read.

    Holds on single runs are not asked here.
    """
    others = Hold.objects.filter(lifted_at=None).exclude(kind=HoldKind.RUN).exclude(pk=held.pk)
    names = frozenset(f"{kind}:{target}" for kind, target in others.values_list("kind", "target"))
    unread = _unread()
    for saga in registry.all_sagas():
        for step in saga.steps.values():
            queue = step.queue or default_queue()
            stops = {f"saga:{saga.name}", f"queue:{queue}", f"partner:{step.partner}"}
            free = names.isdisjoint(stops) and not unread(queue)
            if step.partner == held.target and free:
                yield saga.name, saga.version, step.name


def _unread() -> Callable[[str], bool]:
    """Whether no worker reads a queue; where one has not said what it reads, nobody can tell."""
    told = list(Worker.objects.filter(lease_until__gte=Now()).values_list("queues", flat=True))
    if not told or not all(told):
        return lambda queue: False
    read = frozenset(queue for queues in told for queue in queues)
    return lambda queue: queue not in read


def _is_about_it(held: Hold, steps: list[tuple[str, int, str]]) -> bool:
    """Whether the run that is let through asks the partner, or is about to.

    However long it takes until a worker has time for it: the next run would wait as long, and
    each would be passed over just before its turn.
    """
    assert held.probe is not None, "only asked of a hold that lets one through"
    try:
        view = record.read(held.probe)
        saga = registry.pinned(view.saga, view.version, view.fingerprint)
    except (UnknownRun, UnknownSaga):
        return False
    active = any(view.status in statuses for statuses in ACTIVE_RUNS.values())
    rows = [r for r in view.steps.values() if (view.saga, view.version, r.name) in steps]
    asks = any(row.status is StepStatus.IN_FLIGHT and not row.needs_worker for row in rows)
    return active and (asks or any(row.needs_worker for row in unheld(saga, view, rows)))


def _let_through(held: Hold, run_id: UUID, by: str) -> None:
    Hold.objects.filter(pk=held.pk).update(probe=run_id, probed_at=Now())
    saga = Run.objects.filter(pk=run_id).values_list("saga", flat=True).first()
    audit.append(
        actor=by,
        verb="let through",
        reason=held.reason,
        run=run_id,
        saga=saga or "",
        subject=str(held),
        before={"let through": str(held.probe) if held.probe else None},
        after={"let through": str(run_id)},
    )
