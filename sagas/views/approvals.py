"""Requests that wait for a second person: listed, consented to, declined, withdrawn."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema
from ninja.errors import HttpError
from pydantic import ConfigDict, Field

from sagas import models
from sagas.models import ApprovalStatus
from sagas.operate.access import Right, require, visible
from sagas.operate.approval import approve, decline, pending, withdraw
from sagas.views.quota import spend

router = Router(tags=["Operators"])
_MOST = 500


class Note(Schema):
    """What the one who decides has to say."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field("", max_length=1000, description="required to decline")


class ApprovalState(Schema):
    """A request for a second person's consent."""

    id: int
    run: UUID | None = Field(description="null: it is about no single run, but its subject")
    subject: str = Field(description="a hold, or a batch; empty: the run")
    saga: str = Field(description="empty: several")
    verb: str
    reason: str
    status: ApprovalStatus
    asked_by: str
    asked_at: datetime
    decided_by: str
    note: str = Field(description="of the one who decided; or why it was not done after all")


@router.get("/approvals", response=list[ApprovalState], operation_id="list_approvals")
def list_approvals(request: HttpRequest) -> list[ApprovalState]:
    """What waits for a second person, the oldest first; 500 at most."""
    require(request.user, Right.READ)
    return [_state(asked) for asked in visible(request.user, pending())[:_MOST]]


@router.post("/approvals/{int:approval_id}/approve", response=ApprovalState, operation_id="approve")
def approve_request(request: HttpRequest, approval_id: int, said: Note) -> ApprovalState:
    """Consent: it is carried out now. Its status is `failed` if it did not fit any more."""
    return _decided(request, approval_id, approve, note=said.note)


@router.post("/approvals/{int:approval_id}/decline", response=ApprovalState, operation_id="decline")
def decline_request(request: HttpRequest, approval_id: int, said: Note) -> ApprovalState:
    """Refuse it; the note says why."""
    return _decided(request, approval_id, decline, note=said.note)


@router.post(
    "/approvals/{int:approval_id}/withdraw", response=ApprovalState, operation_id="withdraw"
)
def withdraw_request(request: HttpRequest, approval_id: int) -> ApprovalState:
    """Take back what one asked for oneself."""
    return _decided(request, approval_id, withdraw)


def _decided(request: HttpRequest, approval_id: int, decide: Any, **how: str) -> ApprovalState:
    require(request.user, Right.READ)
    spend(request.user.pk)
    if not models.Approval.objects.filter(pk=approval_id).exists():
        raise HttpError(404, f"There is no request {approval_id}.")
    asked: models.Approval = decide(approval_id, by=request.user, **how)
    return _state(asked)


def _state(asked: models.Approval) -> ApprovalState:
    return ApprovalState(
        id=asked.pk,
        run=asked.run,
        subject=asked.subject,
        saga=asked.saga,
        verb=asked.verb,
        reason=asked.reason,
        status=ApprovalStatus(asked.status),
        asked_by=asked.asked_by,
        asked_at=asked.asked_at,
        decided_by=asked.decided_by,
        note=asked.note,
    )
