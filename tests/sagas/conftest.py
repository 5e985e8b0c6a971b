"""What tests of the engine share: a post office in place of the broker, and a private registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Models cannot be imported yet where pytest is given this directory: it reads this file early.
if TYPE_CHECKING:
    from sagas.define.saga import Definition
    from sagas.testing.post import Post


@pytest.fixture(autouse=True)
def _private_registry(project_sagas_only: None) -> None:
    """A saga of another test would be a second one that waits for a signal of the same name."""


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    """Whatever Celery publishes lies here until the test delivers it."""
    from sagas.testing.post import Post

    with Post(tmp_path / "post").open() as post:
        yield post


@pytest.fixture
def known() -> Iterator[Callable[[Definition], Definition]]:
    """Makes sagas known by name until the test ends."""
    from sagas.define import registry

    def register(saga: Definition) -> Definition:
        registry.register(saga)
        return saga

    with registry.isolated():
        yield register
