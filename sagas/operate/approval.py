"""Four eyes: one person asks for a verb, a second one consents, and only then it is carried out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from sagas import record
from sagas.errors import PayloadInvalid, SagaError, UnknownRun, UnknownSaga, VerbRefused
from sagas.models import Approval, ApprovalStatus
from sagas.operate import audit
from sagas.operate.access import Right, require
from sagas.operate.asker import asker
from sagas.operate.verb import Operator, Verb, act, because, demand_unmoved, fits
from sagas.run.documents import clean

_LONGEST = 1000


def ask(
    run_id: UUID, verb: Verb, *, by: Operator, reason: str, seen: str | None = None
) -> Approval:
    """Ask a second person to consent to a verb, which must fit the run as it is now.

    Raises:
        django.core.exceptions.PermissionDenied: one may not do it oneself.
        VerbRefused: it does not fit, has no reason, or was asked for already.
    """
    require(by, Right.CHANGE)
    why = because(verb.name, reason)
    with transaction.atomic():
        view = record.read_locked(run_id)
        require(by, Right.CHANGE, view.saga)
        demand_unmoved(view, seen)
        fits(verb, view)
        _demand_unasked(run_id, verb)
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


def approve(approval_id: int, *, by: Operator, note: str = "") -> Approval:
    """Consent to what another person asked for, which is then carried out.

    Returns:
        the request: approved; or failed, with the reason in its note, if the run has moved since
        it was asked for, or the one who asked may not do it any more.

    Raises:
        django.core.exceptions.PermissionDenied: one may not consent to it.
        VerbRefused: one asked for it oneself, or it was decided already.
    """
    from sagas.operate.catalogue import verb_of

    with transaction.atomic():
        asked = _open(approval_id)
        require(by, Right.APPROVE, asked.saga)
        if asked.asked_by == by.get_username():
            raise VerbRefused("You asked for this yourself; another person must consent.")
        try:
            with transaction.atomic():
                verb = verb_of(asked.verb, asked.arguments)
                who = asker(asked.asked_by)
                how: dict[str, Any] = {"seen": asked.imprint, "approver": by}
                act(asked.run, verb, by=who, reason=asked.reason, **how)
        except (VerbRefused, UnknownSaga, UnknownRun, PayloadInvalid, PermissionDenied) as error:
            _note(f"approve to {asked.verb}", asked, by, note, failed=str(error))
            return _decided(asked, ApprovalStatus.FAILED, by, str(error))
        return _decided(asked, ApprovalStatus.APPROVED, by, note)


def decline(approval_id: int, *, by: Operator, note: str) -> Approval:
    """Refuse what another person asked for. Raises as ``approve``, and if no reason is given."""
    with transaction.atomic():
        asked = _open(approval_id)
        require(by, Right.APPROVE, asked.saga)
        if asked.asked_by == by.get_username():
            raise VerbRefused("You asked for this yourself; withdraw it instead.")
        if not note.strip():
            raise VerbRefused("To decline needs a reason: say why, for the one who asked.")
        _note(f"decline to {asked.verb}", asked, by, note)
        return _decided(asked, ApprovalStatus.DECLINED, by, note)


def withdraw(approval_id: int, *, by: Operator) -> Approval:
    """Take back what one asked for oneself.

    Raises:
        VerbRefused: somebody else asked for it, or it was decided already.
    """
    with transaction.atomic():
        asked = _open(approval_id)
        if asked.asked_by != by.get_username():
            raise VerbRefused(f"{asked.asked_by} asked for this; decline it instead.")
        _note(f"withdraw to {asked.verb}", asked, by, "")
        return _decided(asked, ApprovalStatus.WITHDRAWN, by, "")


def pending(run_id: UUID | None = None) -> QuerySet[Approval]:
    """What waits for a second person, the oldest first."""
    waiting = Approval.objects.filter(status=ApprovalStatus.OPEN).order_by("id")
    return waiting if run_id is None else waiting.filter(run=run_id)


def _demand_unasked(run_id: UUID, verb: Verb) -> None:
    before = pending(run_id).filter(verb=verb.name).first()
    if before is not None:
        raise VerbRefused(
            f"{before.asked_by} has asked already to {verb.name} this run "
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
        actor=by.get_username(),
        verb=verb,
        run=asked.run,
        saga=asked.saga,
        step=str(asked.arguments.get("step", "")),
        reason=clean(reason, _LONGEST),
        details={"request": asked.pk, **{k: clean(v, _LONGEST) for k, v in more.items()}},
    )
