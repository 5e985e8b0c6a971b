"""What an operator does to one run: one address for each verb of the catalogue."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field, create_model

from sagas.errors import UnknownSaga
from sagas.operate.access import Right, require
from sagas.operate.cancel import Cancel
from sagas.operate.catalogue import VERBS, Answer, carry_out, verb_of
from sagas.operate.look import look
from sagas.operate.verb import Verb
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
