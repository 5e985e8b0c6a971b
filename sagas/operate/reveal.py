"""Documents of the record as a person may see them: all of it, or redacted by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Union, get_type_hints
from uuid import UUID

from sagas import db
from sagas.conf import conf
from sagas.define import registry
from sagas.define.redact import hidden, redact, redact_names
from sagas.define.saga import Definition
from sagas.define.title import plain
from sagas.errors import UnknownSaga
from sagas.models import Original, Run, Step
from sagas.operate import audit
from sagas.operate.access import Holder, Right, within
from sagas.states import Direction


def reveals(user: Holder, saga: str) -> bool:
    """Whether a user sees redacted fields of this saga's runs."""
    return user.has_perm(Right.REVEAL) and within(user, Right.REVEAL, saga)


def revealing(user: Any, saga: str, *, run: UUID | None = None, subject: str = "") -> bool:
    """Whether a user is now shown redacted fields: the audit then says so before they are.

    Somebody who looks at the same again within ten minutes, as a page does that keeps itself
    current, is noted once.

    Args:
        run: whose documents these are; or ``subject``: what else they belong to.
    """
    if not reveals(user, saga):
        return False
    about = {"actor": user.get_username(), "run": run, "subject": subject}
    if not db.execute(_LATELY, {**about, "through": audit.through(user)}):
        audit.append(actor=user, verb="reveal", reason="", run=run, saga=saga, subject=subject)
    return True


# Among the newest entries alone, however long the audit is; a second entry does no harm.
_LATELY = """
SELECT 1 FROM (SELECT * FROM sagas_auditentry ORDER BY number DESC LIMIT 200) newest
WHERE verb = 'reveal' AND actor = %(actor)s AND run IS NOT DISTINCT FROM %(run)s::uuid
  AND subject = %(subject)s AND coalesce(details->>'through', '') = %(through)s
  AND at > clock_timestamp() - interval '10 minutes' LIMIT 1"""


def payload(run: Run, document: Any, *, reveal: bool) -> Any:
    """A payload of a run. All of it is hidden where the code that could name its fields is gone."""
    if reveal or document is None:
        return document
    saga = definition(run)
    return hidden(document) if saga is None else redact(document, conf().REDACT, saga.payload)


def result(run: Run, step: Step, document: Any, *, reveal: bool) -> Any:
    """A step's result. All of it is hidden where the code that could name its fields is gone."""
    if reveal or document is None:
        return document
    saga = definition(run)
    declared = saga.steps.get(step.name) if saga is not None else None
    if declared is None:
        return hidden(document)
    action = declared.action
    if step.direction == Direction.BACKWARD and declared.compensation is not None:
        action = declared.compensation.action
    return redact(document, conf().REDACT, _returned(action))


def told(given: Mapping[str, Any], saga_name: str, step: str, *, reveal: bool) -> dict[str, Any]:
    """What a verb was told, its documents redacted as on the page of the run.

    Args:
        saga_name: the saga whose runs it is about; of one that is gone, or empty for several,
            documents show their shape alone.
        step: the step that a result is in place of.
    """
    if reveal:
        return dict(given)
    shown: dict[str, Any] = redact_names(dict(given), conf().REDACT)
    kinds = _kinds(saga_name, step)
    for name in DOCUMENTS & given.keys():
        known = name in kinds
        document = given[name]
        shown[name] = redact(document, conf().REDACT, kinds[name]) if known else hidden(document)
    return shown


def loose(document: Any, *, reveal: bool) -> Any:
    """What the engine itself wrote, such as an event's data: redacted by its fields' names."""
    return document if reveal else redact_names(document, conf().REDACT)


def signal(name: str, saga_name: str, document: Any, *, reveal: bool) -> Any:
    """A signal's payload, by what the steps declare that wait for it.

    Args:
        saga_name: whose steps; empty: of any saga.
    """
    if reveal or document is None:
        return document
    waiting = registry.waiting_for(name)
    found = [waiting.get(saga_name, [])] if saga_name else list(waiting.values())
    kinds = tuple(step.signal_payload for steps in found for step in steps)
    return redact(document, conf().REDACT, Union[kinds] if kinds else Any)  # noqa: UP007  # some


@dataclass(frozen=True, slots=True)
class Said:
    """What an attempt's code said in full."""

    step: str
    direction: str
    attempt: int
    at: datetime
    text: str


def originals(run_id: UUID) -> list[Said]:
    """What attempts of a run said, of which the record shows no more than is masked.

    The newest 1,000, the oldest of them first. For those alone to whom redacted fields are shown.
    """
    names = ("step", "direction", "attempt", "at", "text")
    rows = Original.objects.filter(run_id=run_id).order_by("-id").values_list(*names)
    return [Said(*row) for row in rows[:_ORIGINALS]][::-1]


_ORIGINALS = 1_000


def definition(run: Run) -> Definition | None:
    """The run's own definition or, where that version is gone, the saga's newest."""
    return _known(run.saga, run.version) or _known(run.saga)


def _known(name: str, version: int | None = None) -> Definition | None:
    try:
        return registry.get(name, version)
    except UnknownSaga:
        return None


DOCUMENTS = frozenset({"payload", "result"})  # of what verbs are told


def _kinds(saga_name: str, name: str) -> dict[str, Any]:
    """The types of a verb's documents; without those that nobody knows."""
    saga = _known(saga_name)
    if saga is None:
        return {}
    step = saga.steps.get(plain(name))
    if step is None:
        return {"payload": saga.payload}
    undo = [step.compensation.action] if step.compensation is not None else []
    answers = tuple(_returned(action) for action in (step.action, *undo))
    return {"payload": saga.payload, "result": Union[answers]}  # noqa: UP007  # some types


@lru_cache(maxsize=1024)
def _returned(action: Callable[..., Any]) -> Any:
    try:
        return get_type_hints(action, include_extras=True).get("return", Any)
    except NameError:  # a name that only type checkers see
        return Any
