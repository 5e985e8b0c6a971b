from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from sagas.define import registry
from tests.sagas.admin.records import PAGES


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        yield


def test_an_id_that_is_none_leads_back_to_the_list(viewer: Client) -> None:
    assert viewer.get(f"{PAGES['run']}nothing/change/").status_code == 302
