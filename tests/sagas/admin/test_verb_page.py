"""The pages of verbs: what they ask, what they say, and what becomes of it."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.messages import get_messages
from django.test import Client, override_settings

from sagas import record
from sagas.define.outcome import Refused, Unknown
from sagas.models import Approval, AuditEntry, Scope
from sagas.operate.catalogue import VERBS
from tests.sagas.flows import flow, pivot
from tests.sagas.stage import Actor, Known, begun, carried, run_of, states, status

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


@pytest.fixture
def operator(client: Client) -> Client:
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_run", "change_run"]))
    client.force_login(user)
    return client


@pytest.fixture
def run_id(known: Known) -> UUID:
    """A run past its pivot whose second step was refused."""
    actor = Actor()
    actor.answers["do b"] = Refused("<b>no</b> stock")
    run_id = begun(known(flow([pivot(actor.step("p")), actor.step("b")])))
    carried(run_id, "p")
    return run_id


def place(run_id: UUID, verb: str, step: str = "") -> str:
    return f"/admin/sagas/run/{run_id}/do/{verb}/{f'?step={step}' if step else ''}"


def sent(client: Client, run_id: UUID, verb: str, **more: Any) -> Any:
    data = {"seen": record.read(run_id).imprint, "reason": "ticket 7", **more}
    return client.post(place(run_id, verb, str(more.get("step", ""))), data, follow=True)


def said(page: Any) -> str:
    return " ".join(str(message) for message in page.context["messages"])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_page_that_says_what_it_does(
    operator: Client, run_id: UUID, verb: str
) -> None:
    page = operator.get(place(run_id, verb, "b"))
    assert page.status_code == 200
    assert VERBS[verb].summary in page.content.decode().replace("&#x27;", "'")
    assert 'name="reason"' in page.content.decode()


def test_a_step_is_retried_and_the_run_page_says_so(operator: Client, run_id: UUID) -> None:
    page = sent(operator, run_id, "retry", step="b", **{"input-number": "0"})
    assert page.redirect_chain == [(f"/admin/sagas/run/{run_id}/change/", 302)]
    assert said(page) == "Retry b: done. The run is running."
    assert (status(run_id), run_of(run_id).amended) == ("running", None)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.reason) == ("ann", "retry", "ticket 7")


def test_a_changed_input_is_checked_by_the_sagas_own_model(operator: Client, run_id: UUID) -> None:
    page = operator.post(
        place(run_id, "retry", "b"),
        {"seen": record.read(run_id).imprint, "reason": "x", "step": "b", "input-number": "7.5"},
    )
    assert page.status_code == 400
    assert page.context["form"].errors["input-number"]
    assert status(run_id) == "needs_attention"
    sent(operator, run_id, "retry", step="b", **{"input-number": "7"})
    assert run_of(run_id).amended == {"number": 7, "refuse": ""}
    assert AuditEntry.objects.get().details["changed"] == {"number": [0, 7]}


def test_fields_that_were_not_sent_stay_as_they_are(operator: Client, run_id: UUID) -> None:
    run = run_of(run_id)
    payload = {**run.payload, "number": 5}
    type(run).objects.filter(pk=run_id).update(amended=payload)
    sent(operator, run_id, "retry", step="b")
    assert run_of(run_id).amended == payload


def test_without_a_reason_nothing_is_done_and_the_field_says_so(
    operator: Client, run_id: UUID
) -> None:
    page = operator.post(
        place(run_id, "resolve"), {"seen": record.read(run_id).imprint, "reason": " "}
    )
    assert page.status_code == 400
    assert page.context["form"].errors == {"reason": ["This field is required."]}
    assert status(run_id) == "needs_attention"


def test_a_step_is_skipped_with_a_result(operator: Client, run_id: UUID) -> None:
    bad = operator.post(
        place(run_id, "skip", "b"),
        {"seen": record.read(run_id).imprint, "reason": "x", "step": "b", "result": "{"},
    )
    assert "This is not JSON" in bad.context["form"].errors["result"][0]
    sent(operator, run_id, "skip", step="b", result='{"id": 7}')
    assert (status(run_id), states(run_id)["b"]) == ("succeeded", "skipped")


def test_what_does_not_fit_is_refused_in_words_on_the_run_page(
    operator: Client, run_id: UUID
) -> None:
    for verb, refused in (("compensate", True), ("mark", True), ("retry", False)):
        page = operator.get(place(run_id, verb, "b")).content.decode()
        assert ("As the run stands this will be refused" in page) is refused, verb
    assert "has passed its pivot" in said(sent(operator, run_id, "compensate"))
    assert status(run_id) == "needs_attention"


def test_a_page_of_what_would_be_refused_offers_what_can_be_done(
    operator: Client, run_id: UUID
) -> None:
    refused = operator.get(place(run_id, "compensate")).content.decode()
    assert "What can be done instead" in refused
    assert f'href="/admin/sagas/run/{run_id}/do/skip/?step=b"' in refused
    assert "What can be done instead" not in operator.get(place(run_id, "resolve")).content.decode()


def test_a_page_says_what_stopped_the_run_and_what_cannot_be_taken_back(
    operator: Client, run_id: UUID
) -> None:
    for verb, kind in VERBS.items():
        page = operator.get(place(run_id, verb, "b"))
        assert "&lt;b&gt;no&lt;/b&gt; stock" in page.content.decode()
        final = kind.final and not page.context["refusal"]
        assert ("This cannot be taken back." in page.content.decode()) is final, verb


def test_the_filter_that_one_came_from_goes_along(operator: Client, run_id: UUID) -> None:
    kept = "_changelist_filters=status%3Dneeds_attention"
    back = 'href="/admin/sagas/run/?status=needs_attention"'
    seen = operator.get(f"/admin/sagas/run/{run_id}/change/?{kept}").content.decode()
    assert back in seen
    assert f"/do/retry/?step=b&amp;{kept}" in seen
    address = f"{place(run_id, 'retry', 'b')}&{kept}"
    assert back in operator.get(address).content.decode()
    data = {"seen": record.read(run_id).imprint, "reason": "x", "step": "b", "input-number": "0"}
    done = operator.post(address, data)
    assert done["Location"] == f"/admin/sagas/run/{run_id}/change/?{kept}"


def test_who_looked_before_it_moved_is_told_to_look_again(operator: Client, run_id: UUID) -> None:
    page = sent(operator, run_id, "resolve", seen="f" * 16)
    assert "has moved since you looked" in said(page)
    assert status(run_id) == "needs_attention"


def test_where_a_second_person_must_consent_it_is_asked_for(operator: Client, run_id: UUID) -> None:
    with override_settings(SAGAS={"FOUR_EYES": {"flow": ["resolve"]}}):
        assert b"Ask for consent" in operator.get(place(run_id, "resolve")).content
        page = sent(operator, run_id, "resolve")
    assert "a second person must consent. You have asked for it" in said(page)
    assert (status(run_id), Approval.objects.get().asked_by) == ("needs_attention", "ann")


def test_a_viewer_reaches_no_verb(client: Client, run_id: UUID) -> None:
    user = User.objects.create_user("vic", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    client.force_login(user)
    assert "/do/" not in client.get(f"/admin/sagas/run/{run_id}/change/").content.decode()
    for verb in VERBS:
        assert "sagas.change_run" in said(sent(client, run_id, verb, step="b"))
    assert status(run_id) == "needs_attention"
    assert not AuditEntry.objects.exists()


def test_an_operator_of_other_sagas_reaches_no_verb(client: Client, run_id: UUID) -> None:
    user = User.objects.create_user("cid", is_staff=True)
    group = Group.objects.create(name="others")
    group.permissions.set(Permission.objects.filter(codename__in=["view_run", "change_run"]))
    Scope.objects.create(group=group, saga="other")
    user.groups.add(group)
    client.force_login(user)
    sent(client, run_id, "resolve")
    assert status(run_id) == "needs_attention"


def test_a_get_does_nothing(operator: Client, run_id: UUID) -> None:
    before = run_of(run_id).revision
    for verb in VERBS:
        operator.get(place(run_id, verb, "b") + "&reason=x&seen=1")
    assert run_of(run_id).revision == before


def test_a_form_from_elsewhere_is_refused(operator: Client, run_id: UUID) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    answer = strict.post(place(run_id, "resolve"), {"reason": "x", "seen": "1"})
    assert answer.status_code == 403


def test_a_verb_or_a_run_that_is_none_leads_somewhere_useful(
    operator: Client, run_id: UUID
) -> None:
    page = operator.get(place(run_id, "explode"), follow=True)
    assert "There is no verb" in said(page)
    page = operator.get(place(UUID(int=7), "retry"), follow=True)
    assert page.redirect_chain[-1][0] == "/admin/sagas/run/"


def test_the_run_page_offers_what_fits_and_says_why_the_rest_does_not(
    operator: Client, run_id: UUID
) -> None:
    html = operator.get(f"/admin/sagas/run/{run_id}/change/").content.decode()
    for verb in ("retry", "skip", "resolve", "pause", "assign"):
        assert f"/do/{verb}/" in html
    assert "/do/compensate/" not in html
    assert "it has passed its pivot" in html


def test_a_viewer_is_told_so_whatever_the_verb(client: Client, run_id: UUID) -> None:
    client.force_login(User.objects.create_user("vic", is_staff=True))
    page = client.get(place(run_id, "nonsense"))
    assert page.status_code == 302
    assert any("permission" in str(message) for message in get_messages(page.wsgi_request))


def test_an_error_of_the_code_is_not_taken_for_a_slip(operator: Client, run_id: UUID) -> None:
    with (
        patch("sagas.admin.verb_page.carry_out", side_effect=KeyError("bug")),
        pytest.raises(KeyError, match="bug"),
    ):
        sent(operator, run_id, "retry", step="b", **{"input-number": "0"})


def test_input_that_cannot_be_changed_now_is_not_offered_and_the_page_says_why(
    operator: Client, known: Known
) -> None:
    actor = Actor()
    actor.answers["do b"] = Unknown("reset")
    steps = [actor.step("a"), actor.step("b", idempotent=False)]
    run_id = begun(known(flow(steps)))
    carried(run_id, "a")
    page = operator.get(place(run_id, "retry", "b"))
    html = page.content.decode()
    assert 'name="input-number"' not in html
    assert "cannot be changed yet: nobody knows whether &#x27;b&#x27; happened" in html
    assert sent(operator, run_id, "retry", step="b").status_code == 200
    assert status(run_id) == "running"
