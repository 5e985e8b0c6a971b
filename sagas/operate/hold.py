"""Hold and lift: stop a run, a saga, a queue or a partner, and let what waits go on.

A hold stops claims and nothing else. Steps in flight finish, their answers are recorded, signals
are kept; so a hold is safe at any moment, and lifting it goes on from just there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet

from sagas import db, record
from sagas.define import registry
from sagas.errors import ApprovalNeeded, UnknownRun, VerbRefused
from sagas.models import Approval, Hold, HoldKind, Run
from sagas.operate import holding
from sagas.operate.access import Holder, Right, require, scope
from sagas.operate.approval import ask_apart
from sagas.operate.held import visible_holds
from sagas.operate.pause import Pause, Resume
from sagas.operate.verb import Operator, Verb, because, needs_approval, ruled
from sagas.run.queues import routed_queues
from sagas.states import TERMINAL_RUNS
from sagas.wording import stands

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
        ApprovalNeeded: it needs a second person's consent.
    """
    return _placed(kind, target, by, reason)


def hold_or_ask(kind: HoldKind | str, target: str, *, by: Operator, reason: str) -> Hold | Approval:
    """Place a hold, or ask for a second person's consent where a rule demands that.

    Raises as ``hold``; ``ApprovalNeeded`` only for a single run, whose verb asks for it.
    """
    try:
        return hold(kind, target, by=by, reason=reason)
    except ApprovalNeeded:
        if (known := HoldKind(kind)) is HoldKind.RUN:
            raise
    if (first := _first(known, target)) is not None:
        raise _held_already(known, target, first)
    saga, told = _saga_of(known, target) or "", {"kind": known.value, "target": target}
    why = because("hold", reason)
    return ask_apart("hold", f"{known} {target}", told, saga=saga, by=by, reason=why)


def consented(
    arguments: Mapping[str, Any], *, by: Operator, reason: str, approver: Operator
) -> None:
    """Place a hold that was asked for. Raises as ``hold``."""
    _placed(arguments["kind"], arguments["target"], by, reason, approver)


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
        ApprovalNeeded: it needs a second person's consent.
    """
    rate = holding.pace(per_second)
    return holding.drain(_lifted(hold_id, by, reason), rate)


def lift_or_ask(
    hold_id: int, *, by: Operator, reason: str, per_second: float | None = None
) -> int | Approval:
    """Lift a hold, or ask for a second person's consent where a rule demands that.

    Raises as ``lift``; ``ApprovalNeeded`` only for a single run, whose verb asks for it.
    """
    try:
        return lift(hold_id, by=by, reason=reason, per_second=per_second)
    except ApprovalNeeded:
        held = Hold.objects.get(pk=hold_id)
        if held.kind == HoldKind.RUN:
            raise
    saga, told = _saga_of(HoldKind(held.kind), held.target) or "", {"hold": held.pk}
    given = {} if per_second is None else {"per_second": per_second}
    how: dict[str, Any] = {"saga": saga, "by": by, "reason": because("lift", reason)}
    return ask_apart("lift", f"hold {held.pk} on {held}", {**told, **given}, **how)


def lift_consented(
    arguments: Mapping[str, Any], *, by: Operator, reason: str, approver: Operator
) -> None:
    """Lift a hold as was asked for; what waits goes on after the commit. Raises as ``lift``."""
    rate = holding.pace(arguments.get("per_second"))
    held = _lifted(arguments["hold"], by, reason, approver)
    transaction.on_commit(partial(holding.drain, held, rate), robust=True)


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


def _placed(
    kind: str, target: str, by: Operator, reason: str, approver: Operator | None = None
) -> Hold:
    kind = _known_kind(kind)
    _permit(by, kind, target)
    _demand_alone(Pause(), kind, target)
    why = because("hold", reason)
    target = _known_target(kind, target)
    _demand_consent("hold", kind, target, approver)
    placed = holding.place(kind, target, by=by, why=why, approver=approver or "")
    if placed is None:
        raise _held_already(kind, target, _first(kind, target))
    return placed


def _first(kind: HoldKind, target: str) -> Hold | None:
    """A person's hold that is in force on just that."""
    return Hold.objects.filter(kind=kind, target=target, source="", lifted_at=None).first()


def _held_already(kind: HoldKind, target: str, first: Hold | None) -> VerbRefused:
    told = f" {first.placed_by} placed that hold: {first.reason}" if first else ""
    return VerbRefused(f"The {kind} {target!r} is held already.{told}")


def _demand_consent(rule: str, kind: HoldKind, target: str, approver: Operator | None) -> None:
    """What a hold reaches may be several sagas; the rule of one of them is enough."""
    if approver is not None or kind is HoldKind.RUN:  # that has the rules of its verb
        return
    reached = holding.steps(Hold(kind=kind, target=target))
    if ruled(rule, {target} if kind is HoldKind.SAGA else {saga for saga, *_ in reached}):
        raise ApprovalNeeded(
            f"To {rule} the {kind} {target!r} needs a second person's consent. Nothing was done: "
            "ask for it."
        )


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
        raise VerbRefused(f"Run {run_id} {stands(status)}: there is nothing to hold.")
    return str(run_id)


def _one_of(kind: HoldKind, name: str, known: Iterable[str]) -> str:
    if name in known:
        return name
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(sorted(known)) or "none"
    raise VerbRefused(f"No {kind} is named {name!r}.{hint} Known: {listed}.")


# --- lifting -------------------------------------------------------------------------------


@db.transacted
def _lifted(hold_id: int, by: Operator, reason: str, approver: Operator | None = None) -> Hold:
    found = Hold.objects.select_for_update().filter(pk=hold_id).first()
    if found is None:
        raise VerbRefused(f"There is no hold {hold_id}.")
    _permit(by, HoldKind(found.kind), found.target)
    _demand_alone(Resume(), HoldKind(found.kind), found.target)
    why = because("lift", reason)
    if found.lifted_at is not None:
        raise VerbRefused(f"{found.lifted_by} has lifted the hold on the {found} already.")
    _demand_consent("lift", HoldKind(found.kind), found.target, approver)
    holding.end(found, by=by, why=why, approver=approver or "")
    return found
