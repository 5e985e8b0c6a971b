from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

# Models cannot be imported yet where pytest is given this directory: it reads this file early.
if TYPE_CHECKING:
    from tests.sagas.stage import Actor


@pytest.fixture
def actor() -> Actor:
    from tests.sagas.stage import Actor

    return Actor()
