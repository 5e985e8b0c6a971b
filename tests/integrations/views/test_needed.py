from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from integrations.sagas.outcomes import PARTNER_ERRORS
from integrations.seam import Seam
from sagas.api import RetryLater
from sagas.models import Run
from tests.integrations.sagas.leads import fake_crms
from tests.integrations.sagas.rig import fake_partners

pytestmark = pytest.mark.django_db

PAGES = {"/sign-up/": "accounts", "/offers/": "salesforce"}


def _not_set_up() -> object:
    raise ImproperlyConfigured("INTEGRATIONS_X: Field required")


@pytest.fixture(autouse=True)
def partners() -> Iterator[None]:
    """All partners are set up."""
    with fake_partners(), fake_crms():
        yield


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A page of which one partner is not set up after all."""
    path: str = request.param
    unset: Seam[object] = Seam(_not_set_up)
    monkeypatch.setattr(f"integrations.{PAGES[path]}.connector", unset.connector)
    return path


def test_a_page_whose_partner_is_not_set_up_says_so_and_starts_nothing(
    client: Client, page: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "integrations.shop"):
        answers = [client.get(page), client.post(page, {"name": "Ann", "email": "a@b.example"})]
    for answer in answers:
        assert answer.status_code == 503
        assert "not open yet" in answer.content.decode()
        assert "INTEGRATIONS_X" not in answer.content.decode()
    assert f"{page} is closed: INTEGRATIONS_X: Field required" in caplog.text
    assert not Run.objects.exists()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_whose_partners_are_set_up_is_open(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_orders_need_none_of_them(client: Client, page: str) -> None:
    assert client.get("/").status_code == 200


def test_a_step_whose_partner_is_not_set_up_was_not_done_and_may_be_later() -> None:
    assert PARTNER_ERRORS.meaning(ImproperlyConfigured) is RetryLater
