"""The title of a run: what its saga makes of the payload, for people. No start fails over it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NoReturn

from django.db import connections
from django.utils.functional import Promise
from pydantic import BaseModel

from sagas.conf import conf
from sagas.define.arguments import shown
from sagas.define.redact import masked
from sagas.define.saga import Definition
from sagas.errors import SagaError, StepTimeout
from sagas.run.documents import clean

LONGEST = 100  #: characters

logger = logging.getLogger("sagas.title")


def run_title(saga: Definition, payload: BaseModel) -> str:
    """The title of a run that is started with this payload; empty where it has none.

    What is wrong with a title is logged, without its words: they may be personal.
    """
    try:
        return made(saga, payload)
    except StepTimeout:  # of the step that starts the run
        raise
    except Exception as error:
        logger.warning(
            "Saga %r: title= failed (%s), so a run has none. Try it with sagas.testing.given().",
            saga.name,
            type(error).__name__,
        )
        return ""


def made(saga: Definition, payload: BaseModel) -> str:
    """As ``run_title``, for tests of a saga: what is wrong is raised.

    Raises:
        SagaError: the function gives no text, or asks a database.
        Exception: whatever it raises.
    """
    if saga.title is None:
        return ""
    with ExitStack() as stack:
        for connection in connections.all(initialized_only=True):
            stack.enter_context(connection.execute_wrapper(_refused))
        text: Any = saga.title(masked(payload, conf().REDACT))
    if not isinstance(text, str | Promise):
        raise SagaError(f"Saga {saga.name!r}: title= gave {shown(text)}. Return a text.")
    line = clean(" ".join(str(text).split()), LONGEST + 1)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _refused(execute: Callable[..., Any], *given: Any) -> NoReturn:
    """A query that fails would take the caller's transaction with it."""
    raise SagaError("title= asks a database. What it needs belongs in the payload.")
