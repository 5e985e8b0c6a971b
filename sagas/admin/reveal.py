"""Documents of the record as a person may see them: all of it, or redacted by field."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_type_hints

from django.http import HttpRequest

from sagas.conf import conf
from sagas.define import registry
from sagas.define.redact import hidden, redact
from sagas.define.saga import Definition
from sagas.errors import UnknownSaga
from sagas.models import Run, Step
from sagas.operate.access import Right, within
from sagas.states import Direction


def reveals(request: HttpRequest, saga: str) -> bool:
    """Whether whoever asks sees redacted fields of this saga's runs."""
    user = request.user
    return user.has_perm(Right.REVEAL) and within(user, Right.REVEAL, saga)


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


def loose(document: Any, *, reveal: bool) -> Any:
    """What has no schema, such as a signal's payload: redacted by the names of its fields."""
    return document if reveal else redact(document, conf().REDACT)


def definition(run: Run) -> Definition | None:
    """The run's own definition or, where that version is gone, the saga's newest."""
    for version in (run.version, None):
        try:
            return registry.get(run.saga, version)
        except UnknownSaga:
            continue
    return None


@lru_cache(maxsize=1024)
def _returned(action: Callable[..., Any]) -> Any:
    try:
        return get_type_hints(action, include_extras=True).get("return", Any)
    except NameError:  # a name that only type checkers see
        return Any
