"""Signals: tell a waiting step what it waits for."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.http import HttpRequest
from ninja import Header, Query, Router, Schema, Status
from pydantic import Field

from sagas.operate.access import Right, require, scope
from sagas.operate.signal import send_signal
from sagas.operate.unclaimed import UnclaimedReason, unclaimed
from sagas.views.body import read_json
from sagas.views.quota import spend

router = Router(tags=["Signals"])

DeduplicationId = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[ -~]+$",
        description="The sender's id of this signal: a second one with it is ignored.",
    ),
]


SagaName = Annotated[
    str,
    Query(max_length=80, description="whose run it is for; needed if several sagas may wait"),
]


class UnclaimedSignal(Schema):
    """A signal that no step has taken."""

    id: int
    name: str
    saga: str = Field(description="whose run it is for; empty: of any saga")
    key: str
    received_at: datetime
    reason: UnclaimedReason
    run: UUID | None = Field(description="the run that it came for, if there is one")


class UnclaimedSignals(Schema):
    """The newest of them first."""

    signals: list[UnclaimedSignal]


class Delivery(Schema):
    """What became of a signal."""

    delivered: bool = Field(description="false: kept until a step waits for it, or a duplicate")


@router.get("/signals", response=UnclaimedSignals, url_name="signals", operation_id="list_signals")
def unclaimed_signals(
    request: HttpRequest, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> UnclaimedSignals:
    """The signals that no step has taken, with the reason, of the sagas that the user may see."""
    require(request.user, Right.READ)
    found = unclaimed(scope(request.user, Right.READ), most=limit)
    return UnclaimedSignals(signals=[UnclaimedSignal(**asdict(one)) for one in found])


@router.post(
    "/signals/{name}/{path:correlation}",
    response={202: Delivery},
    url_name="signal",
    operation_id="send_signal",
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {}}}}},
)
def signal(
    request: HttpRequest,
    name: str,
    correlation: str,
    key: DeduplicationId = None,
    saga: SagaName = "",
) -> Status[Delivery]:
    """Send a signal, with JSON or none as its payload, to the step that waits for it.

    The correlation says which run it is for: by default the run's business key. A payload that does
    not fit what the saga declares is refused with 400.
    """
    require(request.user, Right.CHANGE)
    spend(request.user.pk)
    _, payload = read_json(request, optional=True)
    delivered = send_signal(
        name, correlation, payload, saga=saga, deduplication_id=key, by=request.user
    )
    return Status(202, Delivery(delivered=delivered))
