"""Four eyes: one person asks for a verb, a second one consents, and only then it is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from sagas import db, record
from sagas.errors import SagaError, VerbRefused
from sagas.models import Approval, ApprovalStatus
from sagas.operate import audit
from sagas.operate.access import Holder, Right, require, scope, within
from sagas.operate.asker import asker
from sagas.operate.moved import demand_unmoved
from sagas.operate.verb import Operator, Verb, act, because, fits
from sagas.run.documents import clean

APART = ("hold", "lift", "batch")
"""What can be asked for beside verbs on one run; rules of ``FOUR_EYES`` name it so too."""

_LONGEST = 1000


@db.transacted
def ask(
    run_id: UUID, verb: Verb, *, by: Operator, reason: str, seen: str | None = None
) -> Approval:
    """Ask a second person to consent to a verb, which must fit the run as it is now.

    Raises:
        django.core.exceptions.PermissionDenied: one may not do it oneself.
        VerbRefused: it does not fit, has no reason, or was asked for already.
    """
    require(by, Right.CHANGE)
    why = because(verb.name, reason, needed=verb.reasoned)
    view = record.read_locked(run_id)
    require(by, Right.CHANGE, view.saga)
    demand_unmoved(view, seen)
    verb = verb.addressed(view)
    fits(verb, view)
    _demand_unasked(verb.name, run=run_id)
    asked = Approval.objects.create(
        run=run_id,
        saga=view.saga,
        verb=verb.name,
        arguments=verb.model_dump(mode="json", exclude_defaults=True),
        reason=why,
        imprint=view.imprint,
        asked_by=by.get_username(),
    )
    _note(f"ask to {verb.name}", asked, by, why)
    return asked


@db.transacted
def ask_apart(
    what: str,
    subject: str,
    arguments: Mapping[str, Any],
    *,
    saga: str,
    by: Operator,
    reason: str,
) -> Approval:
    """Ask a second person to consent to something that is about no single run.

    The caller has found that it fits and that the one who asks may do it.

    Args:
        what: one of ``APART``.
        subject: what it is about, in words; no two open requests are about the same.
        arguments: what the module that does it must be told.
        saga: the one that it is about; empty: several.

    Raises:
        VerbRefused: it was asked for already.
    """
    _demand_unasked(what, run=None, subject=subject)
    asked = Approval.objects.create(
        verb=what,
        subject=subject,
        saga=saga,
        arguments=dict(arguments),
        reason=reason,
        asked_by=by.get_username(),
    )
    _note(f"ask to {what}", asked, by, reason)
    return asked


@db.transacted
def approve(approval_id: int, *, by: Operator, note: str = "") -> Approval:
    """Consent to what another person asked for, which is then carried out.

    Returns:
        the request: approved; or failed, with the reason in its note, if the run has moved since
        it was asked for, or the one who asked may not do it any more.

    Raises:
        django.core.exceptions.PermissionDenied: one may not consent to it.
        VerbRefused: one asked for it oneself, or it was decided already.
    """
    asked = _open(approval_id)
    _demand_consenter(by, asked)
    if asked.asked_by == by.get_username():
        raise VerbRefused("You asked for this yourself; another person must consent.")
    try:
        with transaction.atomic():
            _carry_out(asked, by)
    except (SagaError, PermissionDenied) as error:
        _note(f"approve to {asked.verb}", asked, by, note, failed=str(error))
        return _decided(asked, ApprovalStatus.FAILED, by, str(error))
    return _decided(asked, ApprovalStatus.APPROVED, by, note)


@db.transacted
def decline(approval_id: int, *, by: Operator, note: str) -> Approval:
    """Refuse what another person asked for. Raises as ``approve``, and if no reason is given."""
    asked = _open(approval_id)
    _demand_consenter(by, asked)
    if asked.asked_by == by.get_username():
        raise VerbRefused("You asked for this yourself; withdraw it instead.")
    if not note.strip():
        raise VerbRefused("To decline needs a reason: say why, for the one who asked.")
    _note(f"decline to {asked.verb}", asked, by, note)
    return _decided(asked, ApprovalStatus.DECLINED, by, note)


@db.transacted
def withdraw(approval_id: int, *, by: Operator) -> Approval:
    """Take back what one asked for oneself.

    Raises:
        VerbRefused: somebody else asked for it, or it was decided already.
    """
    asked = _open(approval_id)
    if asked.asked_by != by.get_username():
        raise VerbRefused(f"{asked.asked_by} asked for this; decline it instead.")
    _note(f"withdraw to {asked.verb}", asked, by, "")
    return _decided(asked, ApprovalStatus.WITHDRAWN, by, "")


def told_of(asked: Approval) -> str:
    """What the one who asked is told, at every door."""
    return (
        f"Nothing was done yet: a second person must consent. You have asked for it "
        f"(request {asked.pk})."
    )


def pending(run_id: UUID | None = None) -> QuerySet[Approval]:
    """What waits for a second person, the oldest first."""
    waiting = Approval.objects.filter(status=ApprovalStatus.OPEN).order_by("id")
    return waiting if run_id is None else waiting.filter(run=run_id)


def _carry_out(asked: Approval, approver: Operator) -> None:
    """Do what was asked for, in the name of the one who did, with the rights they have by now."""
    from sagas.operate import bulk, hold  # these ask here
    from sagas.operate.catalogue import verb_of

    apart = {"hold": hold.consented, "lift": hold.lift_consented, "batch": bulk.consented}
    who = asker(asked.asked_by)
    how: dict[str, Any] = {"by": who, "reason": asked.reason, "approver": approver}
    if asked.run is None:
        apart[asked.verb](asked.arguments, **how)
    else:
        verb = verb_of(asked.verb, asked.arguments)
        act(asked.run, verb, seen=asked.imprint, **how)


def _demand_consenter(by: Operator, asked: Approval) -> None:
    """What is about several sagas needs a right that holds for all of them.

    And a token was issued by somebody at a command line, who could then be both persons.
    """
    require(by, Right.APPROVE, asked.saga or None)
    if not may_decide(by, asked):
        raise PermissionDenied(
            f"This is about several sagas, and your permission {Right.APPROVE.value!r} holds for "
            "some; somebody whose group has a scope for all of them must decide."
        )
    if what := audit.through(by):
        raise PermissionDenied(
            f"A second person decides, and nobody knows who acts through {what}. Log in to decide."
        )


def may_decide(by: Holder, asked: Approval) -> bool:
    """Whether somebody is offered to consent to a request, or to decline it."""
    if not asked.saga:
        return scope(by, Right.APPROVE) is None
    return by.has_perm(Right.APPROVE) and within(by, Right.APPROVE, asked.saga)


def _demand_unasked(verb: str, **about: Any) -> None:
    before = pending().filter(verb=verb, **about).first()
    if before is not None:
        what = before.subject or "this run"
        raise VerbRefused(
            f"{before.asked_by} has asked already to {verb} {what} "
            f"(request {before.pk}): {before.reason}"
        )


def _open(approval_id: int) -> Approval:
    """The request, locked."""
    asked = Approval.objects.select_for_update().filter(pk=approval_id).first()
    if asked is None:
        raise SagaError(f"There is no request {approval_id}.")
    if asked.status != ApprovalStatus.OPEN:
        by = f" by {asked.decided_by}" if asked.decided_by else ""
        raise VerbRefused(f"Request {approval_id} was {asked.status}{by} already.")
    return asked


def _decided(asked: Approval, status: ApprovalStatus, by: Operator, note: str) -> Approval:
    asked.status = status
    asked.decided_by = by.get_username()
    asked.note = clean(note, _LONGEST)
    Approval.objects.filter(pk=asked.pk).update(
        status=status, decided_by=asked.decided_by, decided_at=Now(), note=asked.note
    )
    return asked


def _note(verb: str, asked: Approval, by: Operator, reason: str, **more: str) -> None:
    audit.append(
        actor=by,
        verb=verb,
        run=asked.run,
        subject=asked.subject,
        saga=asked.saga,
        step=str(asked.arguments.get("step", "")),
        reason=clean(reason, _LONGEST),
        details={"request": asked.pk, **{k: clean(v, _LONGEST) for k, v in more.items()}},
    )
