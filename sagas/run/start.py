"""Phase 1, start: a run is accepted in the caller's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from pydantic import BaseModel

from sagas import db, transitions
from sagas.conf import conf
from sagas.define import plan, registry
from sagas.define.arguments import OPTIONAL_SPAN, shown
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.errors import BacklogFull, KeyConflict, PayloadInvalid, SagaError, StartRefused
from sagas.models import uuid7
from sagas.run.context import condition
from sagas.run.documents import clean, encode, without_loss
from sagas.run.origin import current, link
from sagas.run.send import nothing, send_on_commit
from sagas.run.title import run_title

_EXISTING = """
SELECT id, payload = %(payload)s::jsonb FROM sagas_run
WHERE saga = %(saga)s AND business_key = %(key)s"""

# Of the newest that wait: an index by saga and state would draw the claims' plans to it, each of
# which would then read all that waits.
_WAITING = """
SELECT count(*) FROM (SELECT saga FROM sagas_run WHERE status = 'pending'
  ORDER BY id DESC LIMIT %(among)s) AS newest WHERE saga = %(saga)s"""
_AMONG = 10  # times as many as may wait

_KNOWN = "SELECT 1 FROM sagas_run WHERE saga = %(saga)s AND business_key = %(key)s"


@dataclass(frozen=True, slots=True)
class Started:
    """The receipt of a start.

    Attributes:
        id: the run's id.
        created: False if the key was known, and this is the run that it started before.
    """

    id: UUID
    saga: str
    key: str
    created: bool


def start(
    saga: Definition | str,
    payload: BaseModel | dict[str, Any],
    *,
    key: str,
    deadline: timedelta | None = None,
    tags: Sequence[str] = (),
) -> Started:
    """Start a run in the caller's transaction: both commit, or neither does.

    Args:
        saga: the saga or its name.
        payload: the saga's pydantic model, or data that fits it.
        key: the business key. The same key with the same payload gives the same run again.
        deadline: how long the run may take before it turns back, instead of the saga's own.
        tags: at most 20 words to find the run by, such as ``campaign:autumn``; not of a run that
            the key has started before.

    Raises:
        UnknownSaga: there is no saga of that name.
        PayloadInvalid: the payload does not fit.
        KeyConflict: the key was used with another payload.
        StartRefused: runs that start runs have become too many.
        BacklogFull: as many runs of the saga wait for their first step as may.
        SagaError: the key, a tag or the deadline is empty, too long or unfit.
    """
    definition = registry.get(saga) if isinstance(saga, str) else saga
    if not isinstance(definition, Definition):
        raise SagaError(f"start() needs a saga or its name, not {shown(saga)}.")
    if finding := OPTIONAL_SPAN.problem("deadline", deadline):
        raise SagaError(f"Saga {definition.name!r}: {finding.message} {finding.hint}")
    _demand_key(definition, key)
    valid = definition.validated(payload)
    view = _view(definition, valid, key)
    draft = plan.begin(definition, view, plan.Worker(nothing, condition(definition, view)))
    limit = deadline if deadline is not None else definition.deadline
    seconds = limit.total_seconds() if limit is not None else None
    try:
        origin = _origin(view)
        _find_room(definition)
    except StartRefused:
        if _is_new(view):
            raise
        return _existing(view)
    words, name = _tags(definition, tags), run_title(definition, valid)
    if not transitions.insert(draft, seconds, words, name, origin):
        return _existing(view)
    send_on_commit(definition, view, draft.to_send)
    return Started(view.id, view.saga, key, created=True)


async def astart(
    saga: Definition | str,
    payload: BaseModel | dict[str, Any],
    *,
    key: str,
    deadline: timedelta | None = None,
    tags: Sequence[str] = (),
) -> Started:
    """Start a run from async code; takes and raises as ``start``.

    It is a transaction of its own, and has committed when it returns: Django has no transactions
    in async code. To start a run together with rows of your own, put both into a function with
    ``transaction.atomic()`` that calls ``start``, and await that by ``sync_to_async``.
    """
    begin = sync_to_async(start, thread_sensitive=True)  # the thread with the request's connection
    return await begin(saga, payload, key=key, deadline=deadline, tags=tags)


def _demand_key(saga: Definition, key: str) -> None:
    if not isinstance(key, str) or not key or clean(key, 200) != key:
        given = f"has {len(key)}" if isinstance(key, str) else f"is {shown(key)}"
        raise SagaError(
            f"Saga {saga.name!r}: a key needs 1 to 200 characters, none of them NUL or half a "
            f"surrogate pair; this one {given}. "
            "Derive it from the business object, as in key=f'order:{order.pk}'."
        )


def _view(saga: Definition, payload: BaseModel, key: str) -> RunView:
    document = _document(saga, payload)
    view = RunView(uuid7(), saga.name, saga.version, saga.fingerprint, key, document)
    if any(step.when for step in saga.steps.values()):  # a condition may look at the clock
        view.now = db.execute("SELECT clock_timestamp()")[0][0]
    return view


def _tags(saga: Definition, tags: Sequence[str]) -> list[str]:
    several = isinstance(tags, list | tuple | set | frozenset) and len(tags) <= 20
    if not several or not all(isinstance(t, str) and t and clean(t, 40) == t for t in tags):
        raise SagaError(
            f"Saga {saga.name!r}: tags are a list of at most 20 words of 1 to 40 characters each, "
            "without NUL and half surrogate pairs."
        )
    return sorted(set(tags))


def _document(saga: Definition, payload: BaseModel) -> str:
    """The payload as JSON, of which it is sure that the workers can read it."""
    try:
        plain = without_loss(partial(saga.plain, payload))
        document = encode(plain, conf().MAX_DOCUMENT_BYTES)
    except ValueError as error:
        raise PayloadInvalid(
            f"saga {saga.name!r}", [{"field": getattr(error, "field", ""), "message": str(error)}]
        ) from None
    saga.restored(document)
    return document


def _origin(view: RunView) -> dict[str, Any] | None:
    """The columns that tell what starts the run."""
    if (origin := current()) is None:
        return None
    place = link(view.saga)
    which = clean(origin.id, 200)
    return {
        "origin_kind": origin.kind.value,
        "origin_id": which,
        "root": place.root,
        "depth": place.depth,
    }


def _find_room(saga: Definition) -> None:
    if saga.backlog is None:
        return
    waiting = db.execute(_WAITING, {"saga": saga.name, "among": _AMONG * saga.backlog})
    if waiting[0][0] >= saga.backlog:
        raise BacklogFull(
            f"Saga {saga.name!r}: {saga.backlog} of its runs wait for their first step already, "
            f"and no more are taken. Try again in {BacklogFull.retry_after} seconds."
        )


def _is_new(view: RunView) -> bool:
    return not db.execute(_KNOWN, {"saga": view.saga, "key": view.business_key})


def _existing(view: RunView) -> Started:
    found = db.execute(
        _EXISTING, {"payload": view.payload, "saga": view.saga, "key": view.business_key}
    )
    run_id, same = found[0]
    if not same:
        raise KeyConflict(
            f"Saga {view.saga!r}: the key {view.business_key!r} started a run with another "
            "payload. Use a new key for new data, or repeat the first payload exactly."
        )
    return Started(run_id, view.saga, view.business_key, created=False)
