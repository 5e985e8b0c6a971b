"""The record's pages in the admin: readable for all, on any screen, under the strict policy."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from playwright.sync_api import Page

from tests.browser.audit import accessible, in_both_schemes, overflows
from tests.browser.people import login
from tests.browser.site import Site

LISTS = ("run", "step", "event", "signal", "worker")
PAGES = (
    *("index", "app", "runs that need attention", "search"),
    *(f"{table} {kind}" for table in LISTS for kind in ("list", "page")),
)


@pytest.fixture(scope="module")
def addresses(site: Site) -> Mapping[str, str]:
    """The address of each page, by its name; every list has rows."""
    from sagas.api import send_signal
    from sagas.models import Event, Run, Signal, Step, Worker

    runs = site.examples()
    send_signal("paid", "nobody", {"amount": 1})
    models = {"run": Run, "step": Step, "event": Event, "signal": Signal, "worker": Worker}
    rows = {table: model._default_manager.latest("pk").pk for table, model in models.items()}
    rows["run"] = runs["refused"]
    return {
        "index": "/admin/",
        "app": "/admin/sagas/",
        "runs that need attention": "/admin/sagas/run/?status=needs_attention",
        "search": "/admin/sagas/run/?q=refu",
        **{f"{table} list": f"/admin/sagas/{table}/" for table in LISTS},
        **{f"{table} page": f"/admin/sagas/{table}/{pk}/change/" for table, pk in rows.items()},
    }


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_readable_for_all_on_any_screen(
    browser_page: Page, addresses: Mapping[str, str], name: str
) -> None:
    login(browser_page, "operator", then=addresses[name])
    found = {scheme: accessible(browser_page) for scheme in in_both_schemes(browser_page)}
    assert found == {"light": [], "dark": []}
    assert overflows(browser_page) == []


def test_the_login_page_is_readable_for_all_on_any_screen(browser_page: Page) -> None:
    browser_page.goto("/admin/login/")
    found = {scheme: accessible(browser_page) for scheme in in_both_schemes(browser_page)}
    assert found == {"light": [], "dark": []}
    assert overflows(browser_page) == []
