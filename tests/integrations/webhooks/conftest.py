"""All sources are set up, with one secret."""

from collections.abc import Iterator

import pytest

from tests.integrations.webhooks.senders import OLD, trusted


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with trusted(monkeypatch, OLD):
        yield
