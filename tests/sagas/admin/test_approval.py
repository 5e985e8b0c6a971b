"""Requests for a second person's consent, decided in the admin."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from sagas.define.outcome import Refused
from sagas.models import Approval
from sagas.operate.approval import ask
from sagas.operate.skip import Skip
from tests.sagas.flows import flow, pivot
from tests.sagas.stage import Actor, Known, begun, carried, status

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


def person(name: str, *more: str) -> User:
    user = User.objects.create_user(name, is_staff=True)
    names = ["view_run", "view_approval", *more]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return User.objects.get(pk=user.pk)


@pytest.fixture
def run_id(known: Known) -> UUID:
    actor = Actor()
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(flow([pivot(actor.step("p")), actor.step("b")])))
    carried(run_id, "p")
    return run_id


@pytest.fixture
def page(run_id: UUID) -> str:
    """The page of what ann asks for."""
    verb = Skip(step="b", result={"email": "ann@example.com", "note": "<b>"})
    asked = ask(run_id, verb, by=person("ann", "change_run"), reason="by <i>hand</i>")
    return f"/admin/sagas/approval/{asked.pk}/change/"


def as_user(client: Client, name: str, *more: str) -> Client:
    client.force_login(User.objects.filter(username=name).first() or person(name, *more))
    return client


def said(page: Any) -> str:
    return " ".join(str(message) for message in page.context["messages"])


def test_a_second_person_sees_what_it_does_and_consents(
    client: Client, page: str, run_id: UUID
) -> None:
    bea = as_user(client, "bea", "approve_run")
    html = bea.get(page).content.decode()
    assert Skip.summary in html
    assert 'class="default saga-danger"' in html
    assert 'value="Consent: Skip b and go on without it"' in html
    assert "What will be undone" in html
    assert "needs attention</span>" in html
    assert "by &lt;i&gt;hand" in html
    assert "ann@example.com" not in html  # redacted
    assert f"/admin/sagas/run/{run_id}/change/" in html
    answer = bea.post(page, {"approve": "1", "note": "seen"}, follow=True)
    assert "is approved" in said(answer)
    assert status(run_id) == "succeeded"
    assert b'name="approve"' not in bea.get(page).content


def test_it_is_declined_with_a_note_only(client: Client, page: str, run_id: UUID) -> None:
    bea = as_user(client, "bea", "approve_run")
    assert "needs a reason" in said(bea.post(page, {"decline": "1"}, follow=True))
    bea.post(page, {"decline": "1", "note": "not yet"})
    assert Approval.objects.get().status == "declined"
    assert status(run_id) == "needs_attention"


def test_who_asked_can_only_withdraw(client: Client, page: str, run_id: UUID) -> None:
    ann = as_user(client, "ann")
    html = ann.get(page).content
    assert b'name="withdraw"' in html
    assert b'name="approve"' not in html
    answer = ann.post(page, {"approve": "1"}, follow=True)
    assert status(run_id) == "needs_attention"
    assert said(answer)
    ann.post(page, {"withdraw": "1"})
    assert Approval.objects.get().status == "withdrawn"


def test_a_viewer_decides_nothing(client: Client, page: str, run_id: UUID) -> None:
    vic = as_user(client, "vic")
    seen = vic.get(page).content.partition(b"content-main")[2]
    assert b"<form method" not in seen
    assert b"Somebody else who may consent to it; you may not." in seen
    assert "sagas.approve_run" in said(vic.post(page, {"approve": "1"}, follow=True))
    assert status(run_id) == "needs_attention"


def test_consent_that_comes_too_late_says_why_nothing_was_done(
    client: Client, page: str, run_id: UUID
) -> None:
    from sagas.operate.resolve import resolve
    from tests.sagas.operate.parked import WHY

    resolve(run_id, **WHY)
    answer = as_user(client, "bea", "approve_run").post(page, {"approve": "1"}, follow=True)
    assert "You consented, but it was not done" in said(answer)


def test_the_list_shows_requests_with_their_states(client: Client, page: str) -> None:
    html = as_user(client, "vic").get("/admin/sagas/approval/").content.decode()
    assert "Skip b" in html
    assert "open" in html
