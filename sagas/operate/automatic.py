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
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from sagas import db, record, transitions
from sagas.define import registry
from sagas.errors import UnknownRun, UnknownSaga
from sagas.models import Hold, HoldKind, Run
from sagas.operate import audit, holding
from sagas.operate.verb import because
from sagas.run.queues import default_queue
from sagas.run.recover import nudge
from sagas.run.send import unheld
from sagas.run.workers import living
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


def hold_partner(
    partner: str,
    *,
    source: str,
    reason: str,
    seconds: float | None = None,
    per_second: float | None = None,
    since: datetime | None = None,
) -> Hold | None:
    """Stop the steps that name a partner: from now on none is claimed, in either direction.

    Args:
        partner: as steps name it.
        source: which automatism says so, in small letters, digits and hyphens.
        reason: why, for people.
        seconds: how long, at most ``LONGEST_HOLD``: then some worker lifts it, as ``lift_partner``
            does. None: until somebody lifts it.
        per_second: how many runs go on in a second then; default ``DRAIN_PER_SECOND``.
        since: when that was asked which says so now. A hold that was lifted since then, as by a
            person who knows better, is not placed again.

    Returns:
        the hold that was placed; None if this source holds the partner already, however long, or
        its hold was lifted since, or no step names it.

    Raises:
        ValueError: the source is no such name.
        VerbRefused: there is no reason, or the pace is none.
    """
    by, why = _actor(source), because("hold", reason)
    if partner not in holding.partners() or _in_force(partner, source).exists():
        return None
    ends: dict[str, object] = {}
    if seconds is not None:
        lasts = timedelta(seconds=min(max(seconds, 0.0), LONGEST_HOLD))
        ends = {"ends_at": Now() + lasts, "per_second": per_second and holding.pace(per_second)}
    placing = partial(holding.place, HoldKind.PARTNER, partner, by=by, why=why, source=source)
    try:
        return _placed_unless_lifted(partial(placing, **ends), _of(partner, source), since)
    except _LiftedSince:
        return None


LONGEST_HOLD = 31 * 86_400.0
"""Seconds, of a hold that ends by itself: the longest quota that we know of is a month's."""


def lift_ended() -> int:
    """Lift the holds whose time is over: what they stopped goes on at the pace that they name.

    Every worker does this every few seconds; of several at the same time one lifts it.

    Returns:
        how many runs were waiting and go on.
    """
    ended = Hold.objects.filter(lifted_at=None, ends_at__lte=Now())
    return sum(_drained(placed) for placed in ended)


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
    held = _lifted(_in_force(partner, source), by, why)
    return 0 if held is None else holding.drain(held, rate)


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
    chosen, new = _chosen(partner, source, by)
    if chosen is not None and new:
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


class _LiftedSince(Exception):
    """Takes back a hold that was just placed."""


@db.transacted
def _placed_unless_lifted(
    placing: Callable[[], Hold | None], rows: QuerySet[Hold], since: datetime | None
) -> Hold | None:
    """Place a hold. Looked at afterwards, no lifting that it came after can be missed.

    Raises:
        _LiftedSince: one of these rows was.
    """
    placed = placing()
    if placed is not None and since is not None and rows.filter(lifted_at__gt=since).exists():
        raise _LiftedSince
    return placed


def _drained(ended: Hold) -> int:
    rows = Hold.objects.filter(pk=ended.pk, lifted_at=None)
    held = _lifted(rows, _actor(ended.source), "its time is over")
    return 0 if held is None else holding.drain(held, holding.pace(held.per_second))


@db.transacted
def _lifted(rows: QuerySet[Hold], by: str, why: str) -> Hold | None:
    """Lift the one hold among these rows; None: somebody else has just done so."""
    held = rows.select_for_update().first()
    if held is not None:
        holding.end(held, by=by, why=why)
    return held


@db.transacted
def _chosen(partner: str, source: str, by: str) -> tuple[UUID | None, bool]:
    """The run that is let through, and whether it was chosen just now."""
    held = _in_force(partner, source).select_for_update().first()
    if held is None:
        return None, False
    steps = list(_stopped_by_this_alone(held))
    if held.probe is not None and _is_about_it(held, steps):
        return held.probe, False
    chosen = record.longest_stopped(steps, but=held.probe) if steps else None
    if chosen is not None:
        _let_through(held, chosen, by)
    return chosen, True


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
    workers = living()
    for saga in registry.all_sagas():
        for step in saga.steps.values():
            queue = step.queue or default_queue()
            stops = {f"saga:{saga.name}", f"queue:{queue}", f"partner:{step.partner}"}
            free = names.isdisjoint(stops) and workers.read(queue)
            if step.partner == held.target and free:
                yield saga.name, saga.version, step.name


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
