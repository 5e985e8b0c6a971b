"""Signals: tell a waiting step what it waits for."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Header, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import Field

from sagas.errors import UnknownSaga
from sagas.operate.access import Right, require
from sagas.operate.signal import send_signal
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


class Delivery(Schema):
    """What became of a signal."""

    delivered: bool = Field(description="false: kept until a step waits for it, or a duplicate")


@router.post(
    "/signals/{name}/{path:correlation}",
    response={202: Delivery},
    url_name="signal",
    operation_id="send_signal",
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {}}}}},
)
def signal(
    request: HttpRequest, name: str, correlation: str, key: DeduplicationId = None
) -> Status[Delivery]:
    """Send a signal, with any JSON or none as its payload, to the step that waits for it.

    The correlation says which run it is for: by default the run's business key.
    """
    require(request.user, Right.CHANGE)
    spend(request.user.pk)
    _, payload = read_json(request, optional=True)
    try:
        delivered = send_signal(name, correlation, payload, deduplication_id=key, by=request.user)
    except UnknownSaga as error:  # a run waits, but the code for it is gone
        raise HttpError(409, str(error)) from None
    return Status(202, Delivery(delivered=delivered))
