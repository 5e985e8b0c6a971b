"""Batches: one verb for many runs, tried out first, then confirmed, followed and stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from sagas.define.redact import hidden
from sagas.models import Approval, Batch, BatchStatus, ItemStatus
from sagas.operate.access import Right, require
from sagas.operate.bulk import FASTEST, SLOWEST, confirm_or_ask, draft, stop, visible_batches
from sagas.operate.catalogue import VERBS
from sagas.operate.instruction import instruction
from sagas.operate.selection import Selection
from sagas.operate.tally import Reason as WhyNot
from sagas.operate.tally import StateNow, followed, summary, tally
from sagas.views.quota import spend

router = Router(tags=["Operators"])

#: As ``BatchStatus.word`` and ``ItemStatus.word`` call them.
BatchWord = Literal["draft", "running", "stopped", "finished"]
AnswerWord = Literal["ready", "unfit", "accepted", "asked", "refused", "failed"]
_UNREASONED = [kind.name for kind in VERBS.values() if not kind.reasoned]
_ANSWERS = {answer.word: answer for answer in ItemStatus}


class BatchRequest(Schema):
    """What to do to which runs, and why."""

    model_config = ConfigDict(extra="forbid")

    verb: str = Field(max_length=32)
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="as of the verb for one run; without `step`: the step that stopped the run",
    )
    reason: str = Field(
        "",
        max_length=1000,
        validate_default=True,
        description=f"kept in the audit; needed but for {', '.join(_UNREASONED)}",
    )
    filter: Selection
    rate: float | None = Field(
        None, ge=SLOWEST, le=FASTEST, description="runs a second at most; null: the setting's"
    )

    @field_validator("reason")
    @classmethod
    def _demand_reason(cls, reason: str, info: ValidationInfo) -> str:
        kind = VERBS.get(info.data.get("verb", ""))
        if kind is not None and kind.reasoned and not reason:
            raise ValueError(f"To {kind.name} needs a reason: say why.")
        return reason


class Reason(Schema):
    """Why some were not done, or will not be."""

    status: AnswerWord
    detail: str
    count: int
    examples: list[str] = Field(description="business keys of a few")


class BatchState(Schema):
    """A batch. Nothing is done before it is confirmed.

    That it is finished, and that a run accepted the verb, says nothing of how the run goes on.
    """

    id: UUID
    verb: str
    arguments: dict[str, Any] = Field(description="of a result its shape alone")
    reason: str
    query: str = Field(description="the filter, as in the address of the admin's list of runs")
    matched: int = Field(description="how many runs it matched, at least")
    rate: float
    status: BatchWord
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stopped_by: str
    counts: dict[AnswerWord, int] = Field(description="runs by what was answered")
    now: dict[StateNow, int] = Field(
        description="those that were accepted, by where they stand now; `failed_again` need "
        "attention for what happened after the batch acted on them"
    )
    summary: str = Field(description="the same in a line; empty while it is only tried out")
    approval: int | None = Field(
        description="the request that a second person must consent to, told when it is made"
    )
    reasons: list[Reason]
    url: str


class Item(Schema):
    """What was answered for one run, and where that stands now."""

    run: UUID
    key: str
    title: str = Field(description="by which people know the run; empty: its saga gives none")
    step: str
    status: AnswerWord
    now: StateNow
    detail: str = Field(description="why it was not accepted")
    at: datetime | None


class Items(Schema):
    """One page of them."""

    items: list[Item]
    next: int | None = Field(description="give it as `after` for the next page; null: the last")


class Page(Schema):
    """Which items."""

    status: AnswerWord | None = None
    now: StateNow | None = Field(None, description="accepted, and standing there now")
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
    """How far a batch has come, and where its runs stand now."""
    return _state(_seen(request, batch_id))


@router.get("/batches/{uuid:batch_id}/items", response=Items, operation_id="list_batch_items")
def list_batch_items(request: HttpRequest, batch_id: UUID, page: Annotated[Page, Query()]) -> Items:
    """What was answered for each run, and where it stands now, in pages."""
    items = followed(_seen(request, batch_id).items.filter(pk__gt=page.after).order_by("id"))
    if page.status is not None:
        items = items.filter(status=_ANSWERS[page.status])
    if page.now is not None:
        items = items.filter(status=ItemStatus.ACCEPTED, now=page.now)
    found = list(items[: page.limit + 1])
    shown = found[: page.limit]
    return Items(items=[_item(i) for i in shown], next=shown[-1].pk if found != shown else None)


@router.post(
    "/batches/{uuid:batch_id}/confirm", response={202: BatchState}, operation_id="confirm_batch"
)
def confirm_batch(request: HttpRequest, batch_id: UUID) -> Status[BatchState]:
    """Have a batch carried out that one has tried out oneself.

    With an `approval` nothing was done: a second person must consent to that request.
    """
    return _told(request, batch_id, confirm_or_ask)


@router.post("/batches/{uuid:batch_id}/stop", response={202: BatchState}, operation_id="stop_batch")
def stop_batch(request: HttpRequest, batch_id: UUID) -> Status[BatchState]:
    """Stop a batch: what it has not done yet is left."""
    return _told(request, batch_id, stop)


def _told(
    request: HttpRequest, batch_id: UUID, word: Callable[..., Batch | Approval]
) -> Status[BatchState]:
    require(request.user, Right.BATCH)
    spend(request.user.pk)
    batch = _seen(request, batch_id)
    done = word(batch_id, request.user)
    if isinstance(done, Approval):
        return Status(202, _state(batch, done.pk))
    return Status(202, _state(done))


def _seen(request: HttpRequest, batch_id: UUID) -> Batch:
    require(request.user, Right.READ)
    batch = visible_batches(request.user).filter(pk=batch_id).first()
    if batch is None:
        raise HttpError(404, f"There is no batch {batch_id}; a draft is removed after a day.")
    return batch


def _state(batch: Batch, approval: int | None = None) -> BatchState:
    told = tally(batch)
    return BatchState.model_validate(
        {
            **{name: getattr(batch, name) for name in _PLAIN},
            "status": BatchStatus(batch.status).word,
            "arguments": {n: hidden(v) if n == "result" else v for n, v in batch.arguments.items()},
            "counts": {answer.word: count for answer, count in told.counts.items()},
            "now": told.now,
            "summary": summary(batch, told),
            "reasons": [_reason(reason) for reason in told.reasons],
            "approval": approval,
            "url": _url(batch),
        }
    )


_PLAIN = BatchState.model_fields.keys() & {field.name for field in Batch._meta.fields}


def _reason(reason: WhyNot) -> dict[str, Any]:
    named = {name: getattr(reason, name) for name in ("detail", "count", "examples")}
    return {"status": reason.status.word, **named}


def _item(item: Any) -> Item:
    named = {name: getattr(item, name) for name in ("run", "key", "title", "step", "now", "at")}
    return Item.model_validate({**named, "status": item.answer.word, "detail": item.why})


def _url(batch: Batch) -> str:
    return reverse("sagas-api:batch", args=[batch.pk])
