"""Holds are placed, seen and lifted in the admin."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models.functions import Now
from django.test import Client, override_settings

from sagas.api import hold_partner, let_one_through
from sagas.models import Approval, AuditEntry, Hold
from sagas.operate.pause import pause
from tests.sagas.admin.people import scoped
from tests.sagas.flows import flow
from tests.sagas.operate.parked import WHY
from tests.sagas.stage import Actor, Known, begun

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]
PAGE = "/admin/sagas/hold/"


@pytest.fixture
def operator(client: Client) -> Client:
    user = User.objects.create_user("ann", is_staff=True)
    names = ["view_run", "change_run", "view_hold", "add_hold"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return client


def placed(client: Client, target: str = "queue:payments", reason: str = "<b>down</b>") -> Any:
    return client.post(f"{PAGE}add/", {"target": target, "reason": reason}, follow=True)


def said(page: Any) -> str:
    return " ".join(str(message) for message in page.context["messages"])


def test_a_queue_is_held_with_a_reason(operator: Client) -> None:
    page = placed(operator)
    assert said(page) == "Held: queue payments. What is in flight finishes."
    hold = Hold.objects.get()
    assert (hold.kind, hold.target, hold.placed_by) == ("queue", "payments", "ann")
    html = operator.get(PAGE).content.decode()
    assert "in force" in html
    assert "&lt;b&gt;down" in html
    assert "<b>down" not in html


def test_the_list_is_of_those_in_force_or_of_those_that_were_lifted(operator: Client) -> None:
    placed(operator, "queue:payments")
    Hold.objects.create(
        kind="queue", target="old", reason="r", placed_by="ann", lifted_by="ann", lifted_at=Now()
    )
    expected = {"in_force": ["payments"], "lifted": ["old"], "x": ["old", "payments"]}
    for query, found in expected.items():
        rows: Any = operator.get(f"{PAGE}?state={query}").context["cl"].result_list
        assert [row.target for row in rows] == found, query


def test_the_form_offers_what_there_is_and_takes_nothing_else(
    operator: Client, known: Known
) -> None:
    known(flow([Actor().step("a", partner="bank")]))
    html = operator.get(f"{PAGE}add/").content.decode()
    for target in ("saga:flow", "queue:payments", "partner:bank"):
        assert f'value="{target}"' in html
    page = placed(operator, "queue:paymants")
    assert "Select a valid choice" in str(page.context["form"].errors)
    assert not Hold.objects.exists()


def test_a_second_hold_is_refused_with_the_first_ones_reason(operator: Client) -> None:
    placed(operator)
    page = placed(operator, reason="me too")
    assert page.status_code == 400
    assert "down" in str(page.context["form"].errors)


def test_without_a_reason_nothing_is_held(operator: Client) -> None:
    assert placed(operator, reason=" ").context["form"].errors["reason"]
    assert not Hold.objects.exists()


def test_a_hold_is_lifted_at_a_pace(operator: Client) -> None:
    placed(operator)
    page = f"{PAGE}{Hold.objects.get().pk}/change/"
    assert b"Runs that wait for it" in operator.get(page).content
    answer = operator.post(page, {"reason": "back", "per_second": "5"}, follow=True)
    assert said(answer).startswith("Lifted: 0 runs go on")
    assert Hold.objects.get().lifted_by == "ann"
    assert b'value="Lift"' not in operator.get(page).content
    verbs = AuditEntry.objects.order_by("number").values_list("verb", flat=True)
    assert list(verbs) == ["hold", "lift"]
    again = operator.post(page, {"reason": "back", "per_second": "5"})
    assert again.status_code in (200, 400)
    assert AuditEntry.objects.count() == 2


def test_a_paused_run_is_among_them_and_is_let_go_here_too(operator: Client, known: Known) -> None:
    run_id = begun(known(flow(Actor().steps("a"))))
    pause(run_id, **WHY)
    page = f"{PAGE}{Hold.objects.get().pk}/change/"
    assert f"/admin/sagas/run/{run_id}/change/" in operator.get(page).content.decode()
    operator.post(page, {"reason": "on", "per_second": "5"})
    assert Hold.objects.get().lifted_at is not None


def test_a_viewer_sees_holds_and_changes_none(client: Client) -> None:
    user = User.objects.create_user("vic", is_staff=True)
    names = ["view_run", "view_hold"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    hold = Hold.objects.create(kind="queue", target="payments", reason="x", placed_by="ann")
    assert client.get(f"{PAGE}add/").status_code == 403
    assert placed(client).status_code == 403
    page = f"{PAGE}{hold.pk}/change/"
    assert b'value="Lift"' not in client.get(page).content
    client.post(page, {"reason": "x", "per_second": "5"})
    hold.refresh_from_db()
    assert hold.lifted_at is None


def test_a_hold_that_is_none_leads_to_the_list(operator: Client) -> None:
    page = operator.get(f"{PAGE}7/change/", follow=True)
    assert page.redirect_chain == [(PAGE, 302)]


def test_holds_of_other_sagas_are_not_shown(client: Client) -> None:
    theirs = Hold.objects.create(kind="saga", target="theirs", reason="x", placed_by="bob")
    Hold.objects.create(kind="saga", target="mine", reason="x", placed_by="bob")
    client.force_login(scoped("vic", "mine"))
    html = client.get(PAGE).content.decode()
    assert "mine" in html
    assert "theirs" not in html
    page = client.get(f"{PAGE}{theirs.pk}/change/", follow=True)
    assert "There is no hold" in said(page)


def test_what_an_automatism_holds_says_so_and_is_lifted_here(
    operator: Client, known: Known
) -> None:
    saga = known(flow([Actor().step("a", partner="bank")]))
    hold_partner("bank", source="circuit-breaker", reason="open after 5 failures")
    hold = Hold.objects.get()
    rows = text(operator, PAGE)
    assert "in force circuit-breaker (automatic)" in rows
    assert "open after 5 failures" in rows
    run_id = begun(saga)
    let_one_through("bank", source="circuit-breaker")
    assert "in force, lets one run through" in text(operator, PAGE)
    page = f"{PAGE}{hold.pk}/change/"
    told = text(operator, page)
    assert "Placed by circuit-breaker (automatic), " in told
    assert f"Lets through {run_id} since " in told
    assert "by circuit-breaker itself, or here" in told
    assert f'href="/admin/sagas/run/{run_id}/change/"' in operator.get(page).content.decode()
    operator.post(page, {"reason": "it is back", "per_second": "5"})
    hold.refresh_from_db()
    assert hold.lifted_by == "ann"
    assert "Lets through" not in text(operator, page)


def test_one_that_ends_by_itself_says_when_and_is_lifted_at_its_pace(
    operator: Client, known: Known
) -> None:
    known(flow([Actor().step("a", partner="bank")]))
    hold = hold_partner("bank", source="quota", reason="spent", seconds=86_400, per_second=12.5)
    assert hold is not None
    assert hold.ends_at is not None
    end = f"{hold.ends_at:%Y-%m-%d %H:%M:%S}"
    assert f"in force until {end} quota (automatic)" in text(operator, PAGE)
    page = f"{PAGE}{hold.pk}/change/"
    assert f"Ends {end} UTC, by itself; or lift it here" in text(operator, page)
    assert 'value="12.5"' in operator.get(page).content.decode()
    operator.post(page, {"reason": "they gave us more", "per_second": "5"})
    hold.refresh_from_db()
    assert (hold.lifted_by, f"{hold.ends_at:%Y-%m-%d %H:%M:%S}") == ("ann", end)
    assert "lifted by ann" in text(operator, PAGE)


def test_a_person_holds_a_partner_that_the_system_holds(operator: Client, known: Known) -> None:
    known(flow([Actor().step("a", partner="bank")]))
    hold_partner("bank", source="circuit-breaker", reason="open")
    assert said(placed(operator, "partner:bank")).startswith("Held: partner bank")
    assert Hold.objects.filter(lifted_at=None).count() == 2


def text(client: Client, address: str) -> str:
    """A page's words."""
    return " ".join(re.sub(r"<[^>]*>", " ", client.get(address).content.decode()).split())


def test_a_hold_that_needs_a_second_person_is_asked_for(operator: Client, known: Known) -> None:
    known(flow([Actor().step("a", queue="payments")]))
    with override_settings(SAGAS={"FOUR_EYES": {"flow": ["hold", "lift"]}}):
        page = placed(operator)
        assert "a second person must consent" in said(page)
        assert not Hold.objects.exists()
    asked = Approval.objects.get()
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    html = root.get(f"/admin/sagas/approval/{asked.pk}/change/").content.decode()
    assert "Hold queue payments" in html
    assert "nothing new begins" in html
    assert "queue payments" in root.get("/admin/sagas/approval/").content.decode()
    root.post(f"/admin/sagas/approval/{asked.pk}/change/", {"approve": "x", "note": ""})
    held = Hold.objects.get()
    assert (held.placed_by, held.target) == ("ann", "payments")
    with override_settings(SAGAS={"FOUR_EYES": {"flow": ["hold", "lift"]}}):
        address = f"{PAGE}{held.pk}/change/"
        page = operator.post(address, {"per_second": 5, "reason": "back"}, follow=True)
    assert "a second person must consent" in said(page)
    lifting = Approval.objects.latest("id")
    html = root.get(f"/admin/sagas/approval/{lifting.pk}/change/").content.decode()
    assert f'<a href="{address}">' in html
