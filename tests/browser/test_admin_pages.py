"""The record's pages in the admin: readable for all, on any screen, under the strict policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page

from tests.browser.audit import accessible, by_keyboard, in_both_schemes, overflows, tab_to
from tests.browser.people import SUPERUSER, login
from tests.browser.site import Site

LISTS = (
    *("run", "step", "event", "signal", "worker"),
    *("hold", "approval", "auditentry", "batch"),
)
PARTNERS = {
    "webhook": "integrations/webhookevent",
    "partner object": "integrations/partnerobject",
    "token": "integrations_oauth/token",
    "lead": "integrations_leads/lead",
    "order": "integrations/order",
}
MORE = {
    "index": "/admin/",
    "overview": "/admin/sagas/",
    "runs that need attention": "/admin/sagas/run/?status=needs_attention",
    "search": "/admin/sagas/run/?q=refu",
    "errors": "/admin/sagas/run/errors/",
    "bulk": "/admin/sagas/run/bulk/?status=needs_attention",
    "hold form": "/admin/sagas/hold/add/",
    "dead letters": "/admin/integrations/webhookevent/?status=dead",
    "staff's orders": "/orders/",
}
PAGES = (
    *MORE,
    *(f"{table} {kind}" for table in LISTS for kind in ("list", "page")),
    *(f"do {verb}" for verb in ("retry", "mark", "skip", "compensate", "assign")),
    *("run that succeeded", "run that was undone", "run in doubt", "run that waits"),
    *("run that a breaker holds", "hold of a breaker", "batch that was carried out"),
    *(f"{table} {kind}" for table in PARTNERS for kind in ("list", "page")),
)


@pytest.fixture(scope="module")
def addresses(site: Site) -> Mapping[str, str]:
    """The address of each page, by its name; every list has rows."""
    from django.apps import apps

    runs = site.examples()
    carried_out = _operated(runs)
    breaker, held = _turned_away(site)
    models = {table: apps.get_model("sagas", table) for table in LISTS}
    rows = {table: model._default_manager.latest("pk").pk for table, model in models.items()}
    pages = {
        **{f"{table} page": (table, pk) for table, pk in rows.items()},
        "run page": ("run", runs["refused"]),
        "run that succeeded": ("run", runs["succeeded"]),
        "run that was undone": ("run", runs["compensated"]),
        "run in doubt": ("run", runs["doubt"]),
        "run that waits": ("run", runs["waiting"]),
        "run that a breaker holds": ("run", held),
        "hold of a breaker": ("hold", breaker),
        "batch that was carried out": ("batch", carried_out),
    }
    theirs = {f"{table} page": (PARTNERS[table], row.pk) for table, row in _at_partners().items()}
    return {
        **MORE,
        **{f"{table} list": f"/admin/sagas/{table}/" for table in LISTS},
        **{name: f"/admin/sagas/{table}/{pk}/change/" for name, (table, pk) in pages.items()},
        **{f"{table} list": f"/admin/{address}/" for table, address in PARTNERS.items()},
        **{name: f"/admin/{address}/{pk}/change/" for name, (address, pk) in theirs.items()},
        **_forms(runs),
    }


def _operated(runs: Mapping[str, UUID]) -> UUID:
    """Leave something in each of the operators' tables; gives a batch that was carried out."""
    from sagas.api import hold, send_signal
    from sagas.models import Batch, Run
    from sagas.operate.approval import ask
    from sagas.operate.asker import Shell
    from sagas.operate.bulk import confirm, draft
    from sagas.operate.instruction import Instruction
    from sagas.operate.resolve import Resolve
    from tests.stories.waiting import until

    by: dict[str, Any] = {"by": Shell(), "reason": "the bank is down"}
    send_signal("paid", "nobody", {"amount": 1})
    hold("queue", "payments", **by)
    ask(runs["refused"], Resolve(), **by)
    stuck = Run.objects.filter(status="needs_attention")
    carried_out = draft(stuck, Instruction("assign", {"owner": ""}), **by).pk
    confirm(carried_out, by["by"])
    until(lambda: Batch.objects.get(pk=carried_out).status == "done")
    draft(stuck, Instruction("retry", {}), query="status=needs_attention", **by)
    return carried_out


def _turned_away(site: Site) -> tuple[int, UUID]:
    """A hold that an automatism has placed, and a run that its partner was not asked for."""
    from sagas.api import hold_partner
    from sagas.models import Step
    from tests.stories.waiting import until

    run = site.begin("parcel", "turned-away", address="1 Main Street")
    until(lambda: Step.objects.filter(run=run, status="waiting").exists())
    # No name of ours: the site's worker lifts what its own breakers do not know of.
    placed = hold_partner("courier", source="another-breaker", reason="20 of 20 calls failed")
    assert placed is not None
    return placed.pk, run


def _at_partners() -> Mapping[str, Any]:
    """A row of each table that is filled by partners or customers, a dead letter among them."""
    from integrations.leads.models import Lead, Stage
    from integrations.models import Order, PartnerObject
    from integrations.oauth.models import Token
    from integrations.webhooks import inbox
    from integrations.webhooks.models import WebhookEvent
    from integrations.webhooks.received import Event
    from tests.stories.waiting import until

    inbox.keep([Event("shipping", "msg_" + 32 * "0", "parcel.delivered", '{"data": {}}')])
    until(lambda: WebhookEvent.objects.filter(status="dead").exists())
    person: dict[str, Any] = {"email": "ann@example.com", "name": "Ann Lee"}
    return {
        "webhook": WebhookEvent.objects.get(status="dead"),
        "partner object": PartnerObject.objects.create(
            source="payments", subject="sub_1", state={"status": "past_due"},
            as_of="2026-01-01T12:00:00Z", told_by="evt_1",
        ),
        "token": Token.objects.create(
            partner="hubspot", credential="a-client", attention="invalid_grant: authorize us anew"
        ),
        "lead": Lead.objects.create(
            **person, key="lead:1", company="Lee Ltd", employees=500, budget=20_000, points=75,
            stage=Stage.OPPORTUNITY,
        ),
        "order": Order.objects.create(
            submission=UUID(int=1), email=person["email"], address="1 Main Street", sku="mug",
            quantity=2, amount=2900, currency="eur", payment_method="pm_card_visa",
        ),
    }  # fmt: skip


def _forms(runs: Mapping[str, UUID]) -> dict[str, str]:
    at = {"retry": "refused", "mark": "doubt", "skip": "refused"}
    at |= {"compensate": "waiting", "assign": "refused"}
    steps = {"retry": "label", "mark": "reserve", "skip": "label"}
    return {
        f"do {verb}": f"/admin/sagas/run/{runs[run]}/do/{verb}/?step={steps.get(verb, '')}"
        for verb, run in at.items()
    }


def _who_sees(name: str) -> str:
    """Customers' addresses are no business of operators."""
    return SUPERUSER if name.startswith(("lead ", "order ")) else "operator"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_readable_for_all_on_any_screen(
    browser_page: Page, addresses: Mapping[str, str], name: str
) -> None:
    login(browser_page, _who_sees(name), then=addresses[name])
    found = {scheme: accessible(browser_page) for scheme in in_both_schemes(browser_page)}
    assert found == {"light": [], "dark": []}
    assert overflows(browser_page) == []


def test_the_login_page_is_readable_for_all_on_any_screen(browser_page: Page) -> None:
    browser_page.goto("/admin/login/")
    found = {scheme: accessible(browser_page) for scheme in in_both_schemes(browser_page)}
    assert found == {"light": [], "dark": []}
    assert overflows(browser_page) == []


def test_a_dead_letter_is_handled_again_on_a_phone_without_a_pointer(
    browser_page: Page, addresses: Mapping[str, str]
) -> None:
    browser_page.set_viewport_size({"width": 390, "height": 844})
    login(browser_page, "operator", then=addresses["webhook page"])
    by_keyboard(browser_page, browser_page.get_by_role("link", name="choose it in the list"))
    choice = browser_page.get_by_label("Action:")
    box = choice.bounding_box()
    assert box is not None
    assert box["width"] > 100, "what can be done cannot be read"
    tab_to(browser_page, choice)
    browser_page.keyboard.type("Handle")
    tab_to(browser_page, browser_page.get_by_label("Why:"))
    browser_page.keyboard.type("the carrier mended it")
    by_keyboard(browser_page, browser_page.locator("input.action-select"), key="Space")
    by_keyboard(browser_page, browser_page.get_by_role("button", name="Go"))
    assert "1 will be handled again" in browser_page.locator(".messagelist").inner_text()
