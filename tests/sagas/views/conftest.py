"""A saga that the API knows, and callers with and without permissions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

# Models cannot be imported yet where pytest is given this directory: it reads this file early.
if TYPE_CHECKING:
    from sagas.define.saga import Definition
    from tests.sagas.views.callers import Caller, MakeCaller


@pytest.fixture
def saga() -> Iterator[Definition]:
    from sagas.define import registry
    from tests.sagas.flows import flow, pivot, simple

    with registry.isolated():
        known = flow(["reserve", pivot(simple("charge")), "ship"])
        registry.register(known)
        yield known


@pytest.fixture
def caller_with(db: None) -> MakeCaller:
    from tests.sagas.views.callers import make_caller

    return make_caller


@pytest.fixture
def caller(caller_with: MakeCaller) -> Caller:
    from sagas.operate.access import Right

    return caller_with(*Right)


@pytest.fixture
def nobody(db: None) -> Caller:
    from tests.sagas.views.callers import Caller

    return Caller(None)
