"""What an operator does to one run: one address for each verb of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field, create_model

from sagas import record
from sagas.define.preview import Left
from sagas.errors import UnknownSaga
from sagas.operate.access import Right, require
from sagas.operate.cancel import Cancel
from sagas.operate.catalogue import VERBS, Answer, carry_out, verb_of
from sagas.operate.consequences import consequences
from sagas.operate.look import look
from sagas.operate.verb import Verb, foresee, needs_approval
from sagas.states import RunStatus
from sagas.views.quota import spend
from sagas.views.runs import run_url

router = Router(tags=["Operators"])


class Because(Schema):
    """Why, and on what one has seen."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=1000, description="kept in the audit")
    seen: str | None = Field(
        None,
        max_length=16,
        description="the run's imprint as one saw it; refused with 409 if it has moved since",
    )


class Done(Schema):
    """What became of it, and how the run stands now."""

    id: UUID
    status: RunStatus
    approval: int | None = Field(
        description="the request that a second person must consent to before anything is done; "
        "null: it was done"
    )
    url: str


def _offer(kind: type[Verb]) -> None:
    of = "step" if "step" in kind.model_fields else "run"
    fields: dict[str, Any] = {n: (f.annotation, f) for n, f in kind.model_fields.items()}
    if not kind.reasoned:
        fields["reason"] = (str, Field("", max_length=1000, description="kept in the audit"))
    body = create_model(f"{kind.name.title()}Request", __base__=Because, **fields)

    def view(request: HttpRequest, response: HttpResponse, run_id: UUID, asked: Any) -> Any:
        told = asked.model_dump(exclude={"reason", "seen"}, exclude_unset=True)
        return _act(request, response, run_id, verb_of(kind.name, told), asked)

    view.__annotations__ |= {"asked": body, "return": Status[Done]}
    view.__doc__ = kind.summary
    view.__name__ = name = f"{kind.name}_{of}"
    path = f"/runs/{{uuid:run_id}}/{kind.name}"
    router.post(path, response={202: Done}, operation_id=name, url_name=kind.name)(view)


class PreviewRequest(Schema):
    """An action that one thinks of."""

    model_config = ConfigDict(extra="forbid")

    verb: str = Field(max_length=80, description="its name, as in the address of the action")
    arguments: dict[str, Any] = Field(
        {}, description="what its request takes, but for `reason` and `seen`"
    )


class Undone(Schema):
    """One compensation that is called."""

    step: str
    compensation: str = Field(description="the name of its function")
    says: str = Field(description="what that says of itself")
    doubtful: bool = Field(description="nobody knows whether there is anything to undo")


class Kept(Schema):
    """A step that is not undone, or that must be settled first, and why."""

    step: str
    why: str


class Foreseen(Schema):
    """How the run goes on after the action, as it stands now. Nothing was done."""

    imprint: str = Field(description="of the run as it stands; give it as `seen` with the action")
    status: RunStatus = Field(description="the run's, as the action leaves it")
    approval: bool = Field(description="whether a second person must consent to it")
    text: list[str] = Field(description="all of it in sentences")
    stopped: list[str] = Field(description="what stops it again at once")
    first: list[Kept] = Field(description="what must be settled before anything is undone")
    undone: list[list[Undone]] = Field(
        description="what is undone, in order; what stands together is undone side by side"
    )
    kept: list[Kept] = Field(description="what happened and stays")
    again: list[str] = Field(description="steps that happened and are done once more")
    added: list[str] = Field(description="steps that another version of the saga adds")
    removed: list[str] = Field(description="steps that another version has no more")


@router.post(
    "/runs/{uuid:run_id}/preview",
    response=Foreseen,
    url_name="preview",
    operation_id="preview_action",
)
def preview(request: HttpRequest, run_id: UUID, asked: PreviewRequest) -> Foreseen:
    """Say what an action would lead to, also `cancel`, without doing anything.

    What would be refused is refused here with the same words.
    """
    require(request.user, Right.CHANGE)
    view = record.read(run_id)
    require(request.user, Right.CHANGE, view.saga)
    verb = verb_of(asked.verb, asked.arguments).addressed(view)
    try:
        seen = foresee(verb, view)
    except UnknownSaga as error:
        raise HttpError(409, str(error)) from None
    undo = seen.undo
    return Foreseen(
        imprint=view.imprint,
        status=seen.status,
        approval=needs_approval(verb, view.saga),
        text=consequences(seen),
        stopped=list(seen.stopped),
        first=_kept(undo.first if undo is not None else ()),
        undone=[
            [Undone(**asdict(one)) for one in stage] for stage in (undo.stages if undo else ())
        ],
        kept=_kept(undo.kept if undo is not None else seen.stays),
        again=list(seen.again),
        added=list(seen.added),
        removed=list(seen.removed),
    )


def _kept(items: Iterable[Left]) -> list[Kept]:
    return [Kept(step=left.step, why=left.why) for left in items]


def _act(
    request: HttpRequest, response: HttpResponse, run_id: UUID, verb: Verb, asked: Because
) -> Status[Done]:
    require(request.user, Right.CHANGE)
    spend(request.user.pk)
    how: dict[str, Any] = {"reason": asked.reason, "seen": asked.seen}
    try:
        answer = carry_out(run_id, verb, by=request.user, **how)
    except UnknownSaga as error:  # the run is there, but the code for it is gone
        raise HttpError(409, str(error)) from None
    return _told(response, run_id, answer)


def _told(response: HttpResponse, run_id: UUID, answer: Answer) -> Status[Done]:
    url = response["Location"] = run_url(run_id)
    status = answer.status or RunStatus(look(run_id).run.status)
    return Status(202, Done(id=run_id, status=status, approval=answer.approval, url=url))


for _kind in VERBS.values():
    if _kind is not Cancel:  # which services ask for too: see runs
        _offer(_kind)
