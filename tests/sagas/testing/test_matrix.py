"""The crash matrix finds nothing in the engine, and finds what a broken engine does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import connection

from sagas import transitions
from sagas.api import parallel, pivot
from sagas.define import registry
from sagas.define.draft import Draft
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.testing import crash_matrix
from tests.sagas.flows import Payload, flow, simple, verified

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    with registry.isolated():
        yield


def test_no_crash_breaks_a_saga_with_branches_and_a_pivot() -> None:
    saga = flow(
        [
            "a",
            parallel([verified("b1"), simple("b2")], simple("c")),
            pivot(simple("d")),
            parallel(simple("e"), simple("f")),
        ]
    )
    registry.register(saga)
    report = crash_matrix(saga, Payload())
    print(report)
    assert not report.violations, str(report)
    assert len(report.cases) > 20


@pytest.fixture
def saga() -> Definition:
    made = flow(["a", verified("b"), pivot(simple("c")), "d"])
    registry.register(made)
    return made


def _without_the_claims_guard() -> AbstractContextManager[Any]:
    """A duplicate of a message takes what another attempt holds or has done."""
    return patch.object(StepView, "needs_worker", property(lambda _self: True))


def _without_the_idempotency_key() -> AbstractContextManager[Any]:
    return patch.object(RunView, "key_of", lambda _self, _step: str(uuid4()))


@contextmanager
def _without_the_transactional_start() -> Iterator[None]:
    """The run is written on a connection of its own, whatever becomes of the caller's."""

    def insert(draft: Draft, deadline: float | None) -> bool:
        with ThreadPoolExecutor(1) as other:
            return other.submit(_insert_and_close, draft, deadline).result()

    with patch.object(transitions, "insert", insert):
        yield


def _insert_and_close(draft: Draft, deadline: float | None) -> bool:
    try:
        return _INSERT(draft, deadline)
    finally:
        connection.close()


_INSERT = transitions.insert


@pytest.mark.parametrize(
    ("broken", "invariant"),
    [
        (_without_the_claims_guard, "I"),
        (_without_the_idempotency_key, "I3"),
        (_without_the_transactional_start, "I2"),
    ],
)
def test_a_broken_engine_turns_the_matrix_red(
    saga: Definition, broken: Callable[[], AbstractContextManager[Any]], invariant: str
) -> None:
    with broken():
        report = crash_matrix(saga, Payload())
    print(report)
    assert any(f": {invariant}" in violation for violation in report.violations), str(report)
