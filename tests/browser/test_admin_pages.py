"""The record's pages in the admin: readable for all, on any screen, under the strict policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page

from tests.browser.audit import accessible, in_both_schemes, overflows
from tests.browser.people import login
from tests.browser.site import Site

LISTS = (
    *("run", "step", "event", "signal", "worker"),
    *("hold", "approval", "auditentry", "batch"),
)
MORE = {
    "index": "/admin/",
    "overview": "/admin/sagas/",
    "runs that need attention": "/admin/sagas/run/?status=needs_attention",
    "search": "/admin/sagas/run/?q=refu",
    "errors": "/admin/sagas/run/errors/",
    "bulk": "/admin/sagas/run/bulk/?status=needs_attention",
    "hold form": "/admin/sagas/hold/add/",
}
PAGES = (
    *MORE,
    *(f"{table} {kind}" for table in LISTS for kind in ("list", "page")),
    *(f"do {verb}" for verb in ("retry", "mark", "skip", "compensate", "assign")),
    *("run that succeeded", "run that was undone", "run in doubt", "run that waits"),
)


@pytest.fixture(scope="module")
def addresses(site: Site) -> Mapping[str, str]:
    """The address of each page, by its name; every list has rows."""
    from django.apps import apps

    runs = site.examples()
    _operated(runs)
    models = {table: apps.get_model("sagas", table) for table in LISTS}
    rows = {table: model._default_manager.latest("pk").pk for table, model in models.items()}
    pages = {
        **{f"{table} page": (table, pk) for table, pk in rows.items()},
        "run page": ("run", runs["refused"]),
        "run that succeeded": ("run", runs["succeeded"]),
        "run that was undone": ("run", runs["compensated"]),
        "run in doubt": ("run", runs["doubt"]),
        "run that waits": ("run", runs["waiting"]),
    }
    return {
        **MORE,
        **{f"{table} list": f"/admin/sagas/{table}/" for table in LISTS},
        **{name: f"/admin/sagas/{table}/{pk}/change/" for name, (table, pk) in pages.items()},
        **_forms(runs),
    }


def _operated(runs: Mapping[str, UUID]) -> None:
    """Leave something in each of the operators' tables."""
    from sagas.api import hold, send_signal
    from sagas.management.operator import Shell
    from sagas.models import Run
    from sagas.operate.approval import ask
    from sagas.operate.bulk import draft
    from sagas.operate.instruction import Instruction
    from sagas.operate.resolve import Resolve

    by: dict[str, Any] = {"by": Shell(), "reason": "the bank is down"}
    send_signal("paid", "nobody", {"amount": 1})
    hold("queue", "payments", **by)
    ask(runs["refused"], Resolve(), **by)
    stuck = Run.objects.filter(status="needs_attention")
    draft(stuck, Instruction("retry", {}), query="status=needs_attention", **by)


def _forms(runs: Mapping[str, UUID]) -> dict[str, str]:
    at = {"retry": "refused", "mark": "doubt", "skip": "refused"}
    at |= {"compensate": "waiting", "assign": "refused"}
    steps = {"retry": "label", "mark": "reserve", "skip": "label"}
    return {
        f"do {verb}": f"/admin/sagas/run/{runs[run]}/do/{verb}/?step={steps.get(verb, '')}"
        for verb, run in at.items()
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
