from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from integrations.models import PartnerObject, WebhookEvent
from integrations.webhooks import inbox
from integrations.webhooks.received import Event
from integrations.webhooks.work import work
from sagas.models import AuditEntry
from tests.sagas.admin.people import scoped
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db

LIST = reverse("admin:integrations_webhookevent_changelist")
HOSTILE = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}"


def kept(event_id: str = "evt_1", **document: Any) -> WebhookEvent:
    body = json.dumps({"email": "ann@example.com", "name": HOSTILE, **document})
    inbox.keep([Event("payments", event_id, "customer.subscription.updated", body)])
    return WebhookEvent.objects.get(event_id=event_id)


def staff(client: Client, *codenames: str) -> None:
    user = User.objects.create_user("olga", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)


def page(row: WebhookEvent) -> str:
    return reverse("admin:integrations_webhookevent_change", args=[row.pk])


def again(client: Client, *rows: WebhookEvent, reason: str = "it is mended") -> Any:
    chosen = [row.pk for row in rows]
    data = {"action": "handle_again", "_selected_action": chosen, "reason": reason}
    return client.post(LIST, data, follow=True)


def test_dead_letters_are_listed_with_the_reason(admin_client: Client) -> None:
    kept()
    work()
    listed = admin_client.get(LIST, {"status": "dead"}).content.decode()
    assert "evt_1" in listed
    assert "It does not fit its schema" in listed
    assert "evt_1" not in admin_client.get(LIST, {"status": "done"}).content.decode()


def test_what_was_sent_is_escaped(client: Client) -> None:
    row = kept()
    staff(client, "view_webhookevent", "reveal_run")
    shown = client.get(page(row)).content.decode()
    assert "&lt;script&gt;" in shown
    assert "<script>alert" not in shown
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown


def test_what_was_sent_is_redacted_and_cannot_be_searched(client: Client) -> None:
    row = kept(favourite="Okonkwo", status="past_due")
    staff(client, "view_webhookevent", "view_run")
    shown = client.get(page(row)).content.decode()
    assert "past_due" in shown
    assert not [word for word in ("ann@example.com", "Okonkwo", "script&gt;alert") if word in shown]
    listed = client.get(LIST, {"body__contains": "ann@example.com"}, follow=True)
    assert "evt_1" not in listed.content.decode()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("hubspot", {"propertyName": "lastname", "propertyValue": "Okonkwo"}),
        ("leads", {"data": {"name": "Okonkwo", "company": "Lee Ltd", "budget": 777}}),
    ],
)
def test_what_a_source_tells_of_people_is_redacted(
    source: str, told: dict[str, Any], client: Client
) -> None:
    inbox.keep([Event(source, "evt_1", "contact.propertyChange", json.dumps(told))])
    staff(client, "view_webhookevent", "view_run")
    shown = client.get(page(WebhookEvent.objects.get())).content.decode()
    assert "lastname" in shown or "777" in shown
    assert "Okonkwo" not in shown
    assert "Lee Ltd" not in shown


def test_who_may_reveal_sees_what_was_sent(client: Client) -> None:
    row = kept()
    staff(client, "view_webhookevent", "reveal_run")
    assert "ann@example.com" in client.get(page(row)).content.decode()


def test_a_body_is_for_those_who_may_see_the_runs_that_it_is_about(client: Client) -> None:
    row = kept(status="past_due")
    user = scoped("olga", "subscription-refresh", also="reveal_run")
    other = scoped("otto", "contact-refresh", also="reveal_run")
    for who in (user, other):
        who.user_permissions.add(Permission.objects.get(codename="view_webhookevent"))
    client.force_login(user)
    assert "ann@example.com" in client.get(page(row)).content.decode()
    client.force_login(other)
    shown = client.get(page(row)).content.decode()
    assert not [word for word in ("ann@example.com", "past_due") if word in shown]
    assert AuditEntry.objects.filter(verb="reveal").values_list("actor", "saga").get() == (
        "olga",
        "subscription-refresh",
    )


def test_nobody_changes_an_event(admin_client: Client) -> None:
    row = kept()
    assert admin_client.post(page(row), {"status": "done"}).status_code == 403
    assert admin_client.get(reverse("admin:integrations_webhookevent_add")).status_code == 403
    delete = reverse("admin:integrations_webhookevent_delete", args=[row.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403


def test_a_dead_letter_is_handled_again_from_the_list(client: Client) -> None:
    row = kept()
    work()
    staff(client, "view_webhookevent", "replay_webhookevent")
    assert "1 will be handled again" in again(client, row).content.decode()
    row.refresh_from_db()
    assert row.status == "received"
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.reason) == ("olga", "replay", "it is mended")


def test_a_dead_letters_page_leads_to_where_it_is_handled_again(admin_client: Client) -> None:
    row, other = kept(), kept("evt_2")
    work()
    found = re.search(r'href="([^"]+\?q=evt_1[^"]*)"', admin_client.get(page(row)).content.decode())
    assert found is not None
    listed = admin_client.get(unescape(found[1])).content.decode()
    assert page(row) in listed
    assert page(other) not in listed
    assert "handle_again" in listed


def test_without_a_reason_or_the_right_nothing_happens(client: Client) -> None:
    row = kept()
    work()
    staff(client, "view_webhookevent", "replay_webhookevent")
    assert "needs a reason" in again(client, row, reason="").content.decode()
    client.logout()
    User.objects.all().delete()
    staff(client, "view_webhookevent")
    assert "handle_again" not in client.get(LIST).content.decode()
    again(client, row)
    row.refresh_from_db()
    assert (row.status, AuditEntry.objects.count()) == ("dead", 0)


def test_what_is_done_stays_and_the_list_says_so(admin_client: Client) -> None:
    row = kept()
    assert "1 stay as they are" in again(admin_client, row).content.decode()


def test_the_list_reads_no_bodies_and_costs_the_same_for_many(admin_client: Client) -> None:
    kept()
    with counted() as few:
        admin_client.get(LIST)
    for number in range(30):
        kept(f"evt_{number + 2}")
    with counted() as many:
        admin_client.get(LIST)
    assert len(many) == len(few)
    assert not any('"body"' in statement for statement in many)


def test_partners_objects_are_listed_and_redacted(client: Client) -> None:
    known = PartnerObject.objects.create(
        source="payments",
        subject="sub_1",
        state={"status": "active", "email": "ann@example.com", "kept": "Okonkwo"},
        as_of="2026-01-01T00:00:00Z",
        told_by="evt_1",
    )
    staff(client, "view_partnerobject", "view_run")
    listed = client.get(reverse("admin:integrations_partnerobject_changelist"))
    assert "sub_1" in listed.content.decode()
    address = reverse("admin:integrations_partnerobject_change", args=[known.pk])
    shown = client.get(address).content.decode()
    assert "active" in shown
    assert "ann@example.com" not in shown
    assert "Okonkwo" not in shown
