"""Batches: one verb for many runs, tried out first, then confirmed, followed and stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field

from sagas.define.redact import hidden
from sagas.models import Batch, BatchItem, BatchStatus, ItemStatus
from sagas.operate.access import Right, require
from sagas.operate.bulk import FASTEST, SLOWEST, confirm, draft, stop, visible_batches
from sagas.operate.instruction import instruction
from sagas.operate.selection import Selection
from sagas.operate.tally import tally
from sagas.views.quota import spend

router = Router(tags=["Operators"])


class BatchRequest(Schema):
    """What to do to which runs, and why."""

    model_config = ConfigDict(extra="forbid")

    verb: str = Field(max_length=32)
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="as of the verb for one run; without `step`: the step that stopped the run",
    )
    reason: str = Field(min_length=1, max_length=1000, description="kept in the audit")
    filter: Selection
    rate: float | None = Field(
        None, ge=SLOWEST, le=FASTEST, description="runs a second at most; null: the setting's"
    )


class Reason(Schema):
    """Why some were not done, or will not be."""

    status: ItemStatus
    detail: str
    count: int
    examples: list[str] = Field(description="business keys of a few")


class BatchState(Schema):
    """A batch. Nothing is done before it is confirmed."""

    id: UUID
    verb: str
    arguments: dict[str, Any] = Field(description="of a result its shape alone")
    reason: str
    query: str = Field(description="the filter, as in the address of the admin's list of runs")
    matched: int = Field(description="how many runs it matched, at least")
    rate: float
    status: BatchStatus
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stopped_by: str
    counts: dict[ItemStatus, int]
    reasons: list[Reason]
    url: str


class Item(Schema):
    """What became of one run."""

    run: UUID
    key: str
    step: str
    status: ItemStatus
    detail: str
    at: datetime | None


class Items(Schema):
    """One page of them."""

    items: list[Item]
    next: int | None = Field(description="give it as `after` for the next page; null: the last")


class Page(Schema):
    """Which items."""

    status: ItemStatus | None = None
    after: int = Field(0, ge=0)
    limit: int = Field(100, ge=1, le=1000)


@router.post("/batches", response={201: BatchState}, operation_id="draft_batch")
def draft_batch(
    request: HttpRequest, response: HttpResponse, asked: BatchRequest
) -> Status[BatchState]:
    """Try a verb on every run that matches, without doing anything; confirm it to have it done."""
    require(request.user, Right.BATCH)
    spend(request.user.pk)
    made = draft(
        asked.filter.runs(request.user),
        instruction(asked.verb, asked.arguments),
        by=request.user,
        reason=asked.reason,
        query=asked.filter.query,
        rate=asked.rate,
    )
    response["Location"] = _url(made)
    return Status(201, _state(made))


@router.get(
    "/batches/{uuid:batch_id}", response=BatchState, url_name="batch", operation_id="read_batch"
)
def read_batch(request: HttpRequest, batch_id: UUID) -> BatchState:
    """How far a batch has come."""
    return _state(_seen(request, batch_id))


@router.get("/batches/{uuid:batch_id}/items", response=Items, operation_id="list_batch_items")
def list_batch_items(request: HttpRequest, batch_id: UUID, page: Annotated[Page, Query()]) -> Items:
    """What became of each run, in pages."""
    items = _seen(request, batch_id).items.filter(pk__gt=page.after).order_by("id")
    if page.status is not None:
        items = items.filter(status=page.status)
    found = list(items[: page.limit + 1])
    shown = found[: page.limit]
    return Items(items=[_item(i) for i in shown], next=shown[-1].pk if found != shown else None)


@router.post(
    "/batches/{uuid:batch_id}/confirm", response={202: BatchState}, operation_id="confirm_batch"
)
def confirm_batch(request: HttpRequest, batch_id: UUID) -> Status[BatchState]:
    """Have a batch carried out that one has tried out oneself."""
    return _told(request, batch_id, confirm)


@router.post("/batches/{uuid:batch_id}/stop", response={202: BatchState}, operation_id="stop_batch")
def stop_batch(request: HttpRequest, batch_id: UUID) -> Status[BatchState]:
    """Stop a batch: what it has not done yet is left."""
    return _told(request, batch_id, stop)


def _told(request: HttpRequest, batch_id: UUID, word: Callable[..., Batch]) -> Status[BatchState]:
    require(request.user, Right.BATCH)
    spend(request.user.pk)
    _seen(request, batch_id)
    return Status(202, _state(word(batch_id, request.user)))


def _seen(request: HttpRequest, batch_id: UUID) -> Batch:
    require(request.user, Right.READ)
    batch = visible_batches(request.user).filter(pk=batch_id).first()
    if batch is None:
        raise HttpError(404, f"There is no batch {batch_id}; a draft is removed after a day.")
    return batch


def _state(batch: Batch) -> BatchState:
    told = tally(batch)
    names = set(BatchState.model_fields) - {"arguments", "counts", "reasons", "url"}
    return BatchState(
        **{name: getattr(batch, name) for name in names},
        arguments={n: hidden(v) if n == "result" else v for n, v in batch.arguments.items()},
        counts=dict(told.counts),
        reasons=[Reason(**{n: getattr(r, n) for n in Reason.model_fields}) for r in told.reasons],
        url=_url(batch),
    )


def _item(item: BatchItem) -> Item:
    return Item(**{name: getattr(item, name) for name in Item.model_fields})


def _url(batch: Batch) -> str:
    return reverse("sagas-api:batch", args=[batch.pk])
