"""Hold and lift: stop a run, a saga, a queue or a partner, and let what waits go on.

A hold stops claims and nothing else. Steps in flight finish, their answers are recorded, signals
are kept; so a hold is safe at any moment, and lifting it goes on from just there.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet

from sagas import record
from sagas.define import registry
from sagas.errors import ApprovalNeeded, UnknownRun, VerbRefused
from sagas.models import Hold, HoldKind, Run
from sagas.operate import holding
from sagas.operate.access import Holder, Right, require, scope
from sagas.operate.held import visible_holds
from sagas.operate.pause import Pause, Resume
from sagas.operate.verb import Operator, Verb, because, needs_approval
from sagas.run.queues import routed_queues
from sagas.states import TERMINAL_RUNS

_MOST = 1000  # waiting runs that are counted ...
_AMONG = 10_000  # ... among so many that are not finished


def hold(kind: HoldKind | str, target: str, *, by: Operator, reason: str) -> Hold:
    """Stop what is named: from now on no step that it covers is claimed, in either direction.

    A claim whose statement had begun by then may still come through. A partner that the system
    holds too is held twice: each hold is lifted on its own.

    Args:
        kind: what the target is.
        target: a run's id, or the name of a saga, a queue or a partner.
        reason: why; it is required.

    Raises:
        django.core.exceptions.PermissionDenied: the operator may not place such a hold.
        UnknownRun, UnknownSaga: there is no such run or saga.
        VerbRefused: there is no such queue or partner, the run is over, the target is held
            already, or there is no reason.
        ApprovalNeeded: to pause the run needs a second person's consent.
    """
    kind = _known_kind(kind)
    _permit(by, kind, target)
    _demand_alone(Pause(), kind, target)
    why = because("hold", reason)
    target = _known_target(kind, target)
    placed = holding.place(kind, target, by=by.get_username(), why=why)
    if placed is None:
        first = Hold.objects.filter(kind=kind, target=target, source="", lifted_at=None).first()
        told = f" {first.placed_by} placed that hold: {first.reason}" if first else ""
        raise VerbRefused(f"The {kind} {target!r} is held already.{told}")
    return placed


def lift(hold_id: int, *, by: Operator, reason: str, per_second: float | None = None) -> int:
    """Let what a hold stopped go on, the oldest runs first and not all at once.

    If this ends half-way the hold is lifted, and sweeps find the other runs some minutes later.

    Args:
        reason: why; it is required.
        per_second: how many runs go on in a second; default ``DRAIN_PER_SECOND``.

    Returns:
        how many runs were waiting and go on.

    Raises:
        django.core.exceptions.PermissionDenied: the operator may not lift such a hold.
        VerbRefused: there is no such hold, it is lifted already, the pace is none, or there is
            no reason.
        ApprovalNeeded: to resume the run needs a second person's consent.
    """
    rate = holding.pace(per_second)
    with transaction.atomic():
        lifted = _lifted(hold_id, by, reason)
    return holding.drain(lifted, rate)


def in_force(by: Holder | None = None) -> QuerySet[Hold]:
    """The holds that stop something now, the newest first.

    Args:
        by: only those that this person may see; None: all.
    """
    seen = Hold.objects.all() if by is None else visible_holds(by)
    return seen.filter(lifted_at=None)


def waiting_under(held: Hold) -> int:
    """How many runs would go on but for this hold; not counted beyond 1,000.

    Where more than 10,000 runs are unfinished, it is how many of some 10,000 of them.
    """
    steps, bounds = holding.steps(held), {"most": _MOST, "among": _AMONG}
    return record.count_stopped(held.kind, held.target, steps, but=held.probe, **bounds)


# --- placing -------------------------------------------------------------------------------


def _known_kind(kind: str) -> HoldKind:
    if kind not in set(HoldKind):
        raise VerbRefused(f"A hold is on a {', a '.join(HoldKind)}; not on a {kind!r}.")
    return HoldKind(kind)


def _permit(by: Operator, kind: HoldKind, target: str) -> None:
    """Queues and partners are shared by sagas, so they need a right that holds for all of them."""
    right = Right.CHANGE if kind is HoldKind.RUN else Right.HOLD
    require(by, right, _saga_of(kind, target))
    if kind in (HoldKind.QUEUE, HoldKind.PARTNER) and scope(by, right) is not None:
        raise PermissionDenied(
            f"A {kind} serves many sagas, and your permission {right.value!r} holds for some; "
            "hold these, or ask an administrator to widen the scope of your group."
        )


def _demand_alone(verb: Verb, kind: HoldKind, target: str) -> None:
    """A hold on one run is what the verb does: no way around a second person's consent."""
    saga = _saga_of(kind, target) if kind is HoldKind.RUN else None
    if saga is not None and needs_approval(verb, saga):
        raise ApprovalNeeded(
            f"To {verb.name} a run of {saga!r} needs a second person's consent: {verb.name} it "
            "on its own page, or by that verb, which asks for it."
        )


def _saga_of(kind: HoldKind, target: str) -> str | None:
    if kind is HoldKind.RUN:
        run_id = _run_id(target)
        return Run.objects.filter(pk=run_id).values_list("saga", flat=True).first()
    return target if kind is HoldKind.SAGA else None


def _run_id(target: str) -> UUID:
    try:
        return UUID(str(target))
    except ValueError:
        raise UnknownRun(f"{target!r} is no id of a run.") from None


def _known_target(kind: HoldKind, target: str) -> str:
    """The target as a hold names it."""
    match kind:
        case HoldKind.RUN:
            return _unfinished(_run_id(target))
        case HoldKind.SAGA:
            return registry.get(target).name
        case HoldKind.QUEUE:
            return _one_of(kind, target, routed_queues())
        case HoldKind.PARTNER:
            return _one_of(kind, target, holding.partners())


def _unfinished(run_id: UUID) -> str:
    status = Run.objects.filter(pk=run_id).values_list("status", flat=True).first()
    if status is None:
        raise UnknownRun(f"No run has the id {run_id}.")
    if status in TERMINAL_RUNS:
        raise VerbRefused(f"Run {run_id} is {status}: there is nothing to hold.")
    return str(run_id)


def _one_of(kind: HoldKind, name: str, known: Iterable[str]) -> str:
    if name in known:
        return name
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(sorted(known)) or "none"
    raise VerbRefused(f"No {kind} is named {name!r}.{hint} Known: {listed}.")


# --- lifting -------------------------------------------------------------------------------


def _lifted(hold_id: int, by: Operator, reason: str) -> Hold:
    found = Hold.objects.select_for_update().filter(pk=hold_id).first()
    if found is None:
        raise VerbRefused(f"There is no hold {hold_id}.")
    _permit(by, HoldKind(found.kind), found.target)
    _demand_alone(Resume(), HoldKind(found.kind), found.target)
    why = because("lift", reason)
    if found.lifted_at is not None:
        raise VerbRefused(f"{found.lifted_by} has lifted the hold on the {found} already.")
    holding.end(found, by=by.get_username(), why=why)
    return found
