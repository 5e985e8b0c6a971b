"""The crash matrix finds nothing in the engine, and finds what a broken engine does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagas.api import parallel, pivot
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
