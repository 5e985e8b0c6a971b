"""Outages: which partners are not called now, since when, and how many runs wait for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db.models import QuerySet

from sagas.errors import UnknownPartner
from sagas.models import Hold, HoldKind, Run
from sagas.operate.access import Holder, visible
from sagas.operate.held import UNFINISHED, at_steps_of, standing_where
from sagas.operate.holding import partners
from sagas.signals import Health, PartnerHealth
from sagas.states import MOVING_RUNS

#: Of so many partners the runs are counted, each up to so many, among the newest unfinished ones.
_COUNTED, MANY, _AMONG = 10, 1_000, 10_000


@dataclass(frozen=True, slots=True)
class Outage:
    """A partner that is not called now, for it is down or held.

    Attributes:
        since: since when; None: who says that it is down does not say it.
        until: when the hold on it ends by itself; None: it does not.
        probe_at: when one call finds out whether it is back; None: nobody says so.
        through: the run that is let through, to find it out.
        why: in words.
        by: who holds it, in words; empty: nobody does.
        waiting: the runs that go on by themselves and stand at its steps, at most ``MANY``.
        stopped: those that it has stopped and that need attention, of these ``MANY`` too.
    """

    partner: str
    since: datetime | None = None
    until: datetime | None = None
    probe_at: datetime | None = None
    through: UUID | None = None
    why: str = ""
    by: str = ""
    waiting: int = 0
    stopped: int = 0


def outages(by: Holder, holds: Iterable[Hold], health: Iterable[PartnerHealth]) -> list[Outage]:
    """Every outage, those that keep most runs waiting first; in a statement for each of the first.

    Args:
        by: counted are the runs that this person may see.
        holds: those in force; of a partner that is held twice, the first one is told.
        health: what is known of the partners.
    """
    found = {each.name: _down(each) for each in health if each.state is Health.DOWN}
    placed = [hold for hold in holds if hold.kind == HoldKind.PARTNER]
    for hold in sorted(placed, key=lambda hold: hold.placed_at, reverse=True):
        found[hold.target] = _held(found.get(hold.target, Outage(hold.target)), hold)
    known = partners()
    told = [
        _counted(by, one) if one.partner in known and number < _COUNTED else one
        for number, one in enumerate(found.values())
    ]
    return sorted(told, key=lambda one: (-one.waiting - one.stopped, one.partner))


def standing_at(rows: QuerySet[Run], partner: str) -> QuerySet[Run]:
    """Those runs that are not over and stand at a step of a partner, or were stopped by one."""
    return standing_where(rows, partial(at_steps_of, HoldKind.PARTNER, partner))


def named(partner: str) -> str:
    """The name of a partner, if a step names it.

    Raises:
        UnknownPartner: none does.
    """
    if partner not in partners():
        raise UnknownPartner(f"No step names a partner {partner!r}.")
    return partner


def _down(partner: PartnerHealth) -> Outage:
    return Outage(partner.name, since=partner.since, probe_at=partner.probe_at, why=partner.detail)


def _held(outage: Outage, hold: Hold) -> Outage:
    return replace(
        outage,
        since=min(outage.since or hold.placed_at, hold.placed_at),
        until=hold.ends_at,
        through=hold.probe,
        why=hold.reason,
        by=hold.placer,
    )


def _counted(by: Holder, outage: Outage) -> Outage:
    rows = visible(by, Run.objects.filter(UNFINISHED))
    newest = rows.order_by("-id").values("pk")[:_AMONG]
    there = standing_at(Run.objects.filter(pk__in=newest), outage.partner).order_by()
    found = list(there.values_list("status", flat=True)[:MANY])
    waiting = sum(status in MOVING_RUNS for status in found)
    return replace(outage, waiting=waiting, stopped=len(found) - waiting)
