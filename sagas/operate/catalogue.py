"""Every verb by its name, and the one way through which every door carries one out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from sagas.conf import conf
from sagas.errors import ApprovalNeeded, PayloadInvalid, VerbRefused
from sagas.operate.approval import APART, ask
from sagas.operate.assign import Assign
from sagas.operate.cancel import Cancel
from sagas.operate.compensate import Compensate
from sagas.operate.mark import Mark
from sagas.operate.migrate import Migrate
from sagas.operate.pause import Pause, Resume
from sagas.operate.resolve import Resolve
from sagas.operate.restart import Restart
from sagas.operate.retry import CHANGE_INPUT, Retry
from sagas.operate.skip import Skip
from sagas.operate.verb import Operator, Verb, act
from sagas.run.documents import NotADocument, encode
from sagas.states import RunStatus

#: In the order in which an operator is offered them.
VERBS: Mapping[str, type[Verb]] = {
    verb.name: verb
    for verb in (
        *(Retry, Mark, Skip, Restart, Compensate),
        *(Cancel, Pause, Resume, Migrate, Resolve, Assign),
    )
}


#: What a rule of ``SAGAS["FOUR_EYES"]`` may name.
RULES = (*VERBS, CHANGE_INPUT, *APART)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a verb.

    Attributes:
        status: the run's, now; None if nothing was done yet.
        approval: the request that a second person must consent to; None if it was carried out.
    """

    status: RunStatus | None
    approval: int | None = None


def verb_of(name: str, arguments: Mapping[str, Any]) -> Verb:
    """A verb from its name and what it was told, as plain data.

    Raises:
        VerbRefused: there is no such verb, or the arguments do not fit it.
        PayloadInvalid: they cannot be stored.
    """
    kind = VERBS.get(name)
    if kind is None:
        near = get_close_matches(name, VERBS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise VerbRefused(f"There is no verb {name!r}.{hint} Verbs are: {', '.join(VERBS)}.")
    _demand_storable(name, arguments)
    try:
        return kind.model_validate(dict(arguments))
    except ValidationError as error:
        listed = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise VerbRefused(f"To {name} was told wrongly: {listed}.") from None


def _demand_storable(name: str, arguments: Mapping[str, Any]) -> None:
    """Whole, as the audit, requests and batches keep them: also what a model would pass over."""
    try:
        encode(dict(arguments), _MOST * conf().MAX_DOCUMENT_BYTES)
    except NotADocument as error:
        problem = {"field": error.field.removeprefix("payload."), "message": str(error)}
        raise PayloadInvalid(f"to {name}", [problem]) from None


_MOST = 2  # a payload, and what its model passes over; its own limit is checked by the verb


def carry_out(
    run_id: UUID,
    verb: Verb,
    *,
    by: Operator,
    reason: str,
    seen: str | None = None,
    batch: UUID | None = None,
) -> Answer:
    """Do it, or ask for a second person's consent where the saga demands that.

    Raises as ``act``, but for ``ApprovalNeeded``.
    """
    try:
        status = act(run_id, verb, by=by, reason=reason, seen=seen, batch=batch)
    except ApprovalNeeded:
        asked = ask(run_id, verb, by=by, reason=reason, seen=seen)
        return Answer(None, asked.pk)
    return Answer(status)
