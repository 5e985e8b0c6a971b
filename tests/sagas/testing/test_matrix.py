"""The crash matrix finds nothing in the engine, and finds what a broken engine does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from sagas.api import parallel, pivot, wait_for
from sagas.define import registry
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


def test_a_run_that_waits_goes_on_once_the_signal_is_given_and_else_never_rests() -> None:
    saga = flow([wait_for("paid", timeout=timedelta(days=3)), "after"])
    registry.register(saga)
    report = crash_matrix(saga, Payload(), signals={"paid": {"amount": 1}})
    assert not report.violations, str(report)
    assert any(case.step == "after" for case in report.cases)
    assert crash_matrix(saga, Payload()).violations
