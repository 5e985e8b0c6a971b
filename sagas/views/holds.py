"""Holds: stop a saga, a queue, a partner or a run, and let it go on."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field

from sagas import models
from sagas.models import HoldKind
from sagas.operate.access import Right, require
from sagas.operate.bulk import SLOWEST
from sagas.operate.hold import hold_or_ask, in_force, lift_or_ask
from sagas.views.quota import spend

router = Router(tags=["Operators"])
_MOST = 1_000


class HoldRequest(Schema):
    """What to stop, and why."""

    model_config = ConfigDict(extra="forbid")

    kind: HoldKind
    target: str = Field(min_length=1, max_length=200, description="a run's id, or a name")
    reason: str = Field(min_length=1, max_length=1000)


class LiftRequest(Schema):
    """Why, and how fast what waits goes on."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=1000)
    per_second: float | None = Field(None, ge=SLOWEST, le=10_000, description="null: the setting's")


class HoldState(Schema):
    """A hold that is in force."""

    id: int
    kind: HoldKind
    target: str
    source: str = Field(description="the automatism that placed it; empty: a person")
    reason: str
    placed_by: str
    placed_at: datetime
    ends_at: datetime | None = Field(description="when it is lifted by itself; null: by somebody")


class Lifted(Schema):
    """A hold that was lifted."""

    id: int
    woken: int = Field(description="runs that go on, staggered")
    approval: int | None = Field(
        None, description="the request that a second person must consent to; null: it was lifted"
    )


class Asked(Schema):
    """A hold that is not placed before a second person consents."""

    approval: int = Field(description="the request that a second person must consent to")


@router.get("/holds", response=list[HoldState], operation_id="list_holds")
def list_holds(request: HttpRequest) -> list[HoldState]:
    """What is held now, by whom and why, of the sagas that one may see; 1,000 at most."""
    require(request.user, Right.READ)
    return [_state(placed) for placed in in_force(request.user)[:_MOST]]


@router.post("/holds", response={201: HoldState, 202: Asked}, operation_id="place_hold")
def place_hold(request: HttpRequest, asked: HoldRequest) -> Status[HoldState] | Status[Asked]:
    """Stop what is named: what is in flight finishes, nothing new begins.

    202: a second person must consent first.
    """
    require(request.user, Right.READ)
    spend(request.user.pk)
    placed = hold_or_ask(asked.kind, asked.target, by=request.user, reason=asked.reason)
    if isinstance(placed, models.Approval):
        return Status(202, Asked(approval=placed.pk))
    placed.refresh_from_db(fields=["placed_at"])
    return Status(201, _state(placed))


@router.post("/holds/{int:hold_id}/lift", response={202: Lifted}, operation_id="lift_hold")
def lift_hold(request: HttpRequest, hold_id: int, asked: LiftRequest) -> Status[Lifted]:
    """Lift a hold; what waits goes on, staggered."""
    require(request.user, Right.READ)
    spend(request.user.pk)
    if not models.Hold.objects.filter(pk=hold_id).exists():
        raise HttpError(404, f"There is no hold {hold_id}.")
    how = {"reason": asked.reason, "per_second": asked.per_second}
    woken = lift_or_ask(hold_id, by=request.user, **how)  # type: ignore[arg-type]  # as the schema says
    if isinstance(woken, models.Approval):
        return Status(202, Lifted(id=hold_id, woken=0, approval=woken.pk))
    return Status(202, Lifted(id=hold_id, woken=woken, approval=None))


def _state(placed: models.Hold) -> HoldState:
    return HoldState(
        id=placed.pk,
        kind=HoldKind(placed.kind),
        target=placed.target,
        source=placed.source,
        reason=placed.reason,
        placed_by=placed.placed_by,
        placed_at=placed.placed_at,
        ends_at=placed.ends_at,
    )
