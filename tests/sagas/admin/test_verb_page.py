"""The pages of verbs: what they ask, what they say, and what becomes of it."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.messages import get_messages
from django.test import Client, override_settings

from sagas import record
from sagas.define import registry
from sagas.define.outcome import Refused, RetryLater, Unknown
from sagas.models import Approval, AuditEntry, Event, Scope
from sagas.operate.catalogue import VERBS
from sagas.testing.post import Post
from tests.sagas.flows import flow, pivot, simple
from tests.sagas.operate.parked import settled
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


def test_what_leaves_a_run_stopped_is_told_in_a_sentence(operator: Client, run_id: UUID) -> None:
    assert said(sent(operator, run_id, "assign", owner="")) == (
        "Assign: done. The run needs attention."
    )


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


def test_a_run_is_moved_to_the_version_that_is_chosen(operator: Client, run_id: UUID) -> None:
    page = f"/admin/sagas/run/{run_id}/change/"
    assert "do/migrate" not in operator.get(page).content.decode()
    old = registry.get("flow")
    registry.register(flow([*old.tree, "x"], version=2))
    assert "do/migrate" in operator.get(page).content.decode()
    shown = operator.get(place(run_id, "migrate")).content.decode()
    assert '<option value="2">version 2</option>' in shown
    sent(operator, run_id, "migrate", to="2")
    assert (run_of(run_id).version, set(states(run_id))) == (2, {"p", "b", "x"})


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
        html = page.content.decode()
        assert ("<strong>Irreversible:</strong>" in html) is final, verb
        assert ('class="default saga-danger"' in html) is kind.final, verb


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
        html = operator.get(place(run_id, "resolve")).content.decode()
        assert 'class="default" value="Ask for consent: Resolve' in html
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


@pytest.fixture
def undone(known: Known) -> UUID:
    """A run whose first step, which happened, could not be undone."""
    actor = Actor()
    actor.answers |= {"do b": Refused("no"), "undo collect": Refused("too late")}
    run_id = begun(known(flow([actor.step("collect"), actor.step("b"), actor.step("c")])))
    carried(run_id, "collect")
    assert status(run_id) == "needs_attention"
    return run_id


@pytest.fixture
def going(known: Known) -> UUID:
    """A run that waits for its partner after five steps, one of them harmless."""
    actor = Actor()
    actor.answers["do e"] = RetryLater("busy", 60)
    steps = [*actor.steps("ab"), actor.step("look", harmless=True), *actor.steps("cdez")]
    run_id = begun(known(flow(steps)))
    carried(run_id, "a")
    assert (status(run_id), states(run_id)["d"]) == ("running", "succeeded")
    return run_id


def words(html: str) -> str:
    """A page's text in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def button(html: str) -> str:
    """What the button says that sends the form."""
    [found] = re.findall(r'<input type="submit" class="default[^"]*" value="([^"]*)"', html)
    return str(found)


def test_the_page_of_cancel_lists_what_is_undone_in_order_and_what_is_not(
    operator: Client, going: UUID
) -> None:
    html = operator.get(place(going, "cancel")).content.decode()
    assert button(html) == "Cancel and undo 4 steps"
    text = words(html)
    assert "Undone, in this order: d c b a Not undone: look : harmless" in text
    done = sent(operator, going, "cancel")
    assert "Cancel: done. The run is compensating." in said(done)


def test_the_list_is_what_the_planner_does(operator: Client, going: UUID, post: Post) -> None:
    html = operator.get(place(going, "cancel")).content.decode()
    told = re.findall(r"<strong>(\w+)</strong>\s*</li>", html)
    sent(operator, going, "cancel")
    settled(post, going)
    claims = Event.objects.filter(run=going, direction="backward", new="in_flight").order_by("id")
    assert told == list(claims.values_list("step", flat=True))


def test_cancelling_before_anything_happened_says_that_nothing_is_undone(
    operator: Client, known: Known
) -> None:
    run_id = begun(known(flow(["a", "b"])))
    html = operator.get(place(run_id, "cancel")).content.decode()
    assert button(html) == "Cancel the run"
    assert "What will be undone Nothing: the run then ends as compensated." in words(html)


def test_past_the_pivot_the_page_of_cancel_says_what_stays_and_why(
    operator: Client, run_id: UUID
) -> None:
    text = words(operator.get(place(run_id, "cancel")).content.decode())
    assert "As the run stands this will be refused" in text
    assert "What undo would do Nothing any more. It has passed its pivot, p" in text
    assert "What stays: p : it is the point of no return" in text


def test_undoing_a_stopped_run_names_how_many_steps(operator: Client, known: Known) -> None:
    run_id = begun(known(flow(["a", "b", simple("c", when=lambda run: 1 // 0 > 0)])))
    carried(run_id, "a")
    assert status(run_id) == "needs_attention"
    assert button(operator.get(place(run_id, "compensate")).content.decode()) == "Undo 2 steps"


def test_skipping_a_compensation_says_what_stays_and_what_is_still_undone(
    operator: Client, known: Known
) -> None:
    actor = Actor()
    actor.answers |= {"do c": Refused("no"), "undo b": Refused("too late")}
    run_id = begun(known(flow(actor.steps("abcd"))))
    carried(run_id, "a")
    html = operator.get(place(run_id, "skip", "b")).content.decode()
    assert button(html) == "Skip undo of b: what b did stays"
    assert "Undone, in this order: a Not undone: b : what undoes it was skipped" in words(html)


def test_resolving_says_that_nothing_is_undone_and_what_stays(
    operator: Client, run_id: UUID
) -> None:
    html = operator.get(place(run_id, "resolve")).content.decode()
    assert button(html) == "Resolve: close the run and undo nothing"
    assert "Nothing: the run then ends as resolved. What stays: p :" in words(html)


def test_skipping_a_step_says_that_the_run_goes_forward(operator: Client, run_id: UUID) -> None:
    html = operator.get(place(run_id, "skip", "b")).content.decode()
    assert button(html) == "Skip b and go on without it"
    assert "Nothing: the run then ends as succeeded." in words(html)


def test_a_long_list_is_capped_and_can_be_seen_whole(operator: Client, known: Known) -> None:
    actor = Actor()
    actor.answers["do s120"] = RetryLater("busy", 60)
    names = [f"s{number:03}" for number in range(122)]
    run_id = begun(known(flow([actor.step(name) for name in names])))
    carried(run_id, "s000")
    for address in (place(run_id, "cancel"), f"/admin/sagas/run/{run_id}/change/"):
        html = operator.get(address).content.decode()
        preview = html[
            html.index("run-stages") : html.index("</details>", html.index("run-stages"))
        ]
        assert re.findall(r"<strong>(\w+)</strong>", preview) == names[119::-1]
        assert "<summary>and 110 more</summary>" in preview
        assert '<ol class="run-stages" start="11">' in preview
    assert button(operator.get(place(run_id, "cancel")).content.decode()) == (
        "Cancel and undo 120 steps"
    )


@pytest.mark.parametrize("step", ["undo of collect", "collect"])
@pytest.mark.parametrize(
    ("verb", "title"), [("retry", "Retry undo of collect"), ("skip", "Skip undo of collect")]
)
def test_the_page_of_a_compensation_never_calls_it_by_its_step_alone(
    operator: Client, undone: UUID, verb: str, title: str, step: str
) -> None:
    page = operator.get(place(undone, verb, step))
    html = " ".join(page.content.decode().split())
    assert page.context["title"] == title
    assert f"<h1><bdi>{title}</bdi></h1>" in html
    does = f"{title}: what collect did stays" if verb == "skip" else title
    assert f'value="{does}"' in html
    assert "<dt>Step</dt><dd><bdi>undo of collect</bdi>" in html
    assert page.context["row"].status == "failed"
    assert "undo the step" in html or "without undoing the step" in html
    assert f"{title}: done." in said(sent(operator, undone, verb, step=step))


def test_the_run_page_of_a_failed_compensation_names_it_in_all_it_offers_and_tells(
    operator: Client, undone: UUID
) -> None:
    address = f"/admin/sagas/run/{undone}/change/"
    html = " ".join(operator.get(address).content.decode().split())
    for verb in ("Retry", "Skip"):
        assert f"{verb} <bdi>undo of collect</bdi>" in html
        assert f"{verb} <bdi>collect</bdi>" not in html
    assert "do/retry/?step=undo+of+collect" in html
    assert '<a href="#step-' in html
    assert "<bdi>undo of collect</bdi></a>" in html
    sent(operator, undone, "retry", step="undo of collect")
    after = operator.get(address).content.decode()
    assert "<bdi>retry</bdi> <bdi>undo of collect</bdi>" in " ".join(after.split())


def test_whether_a_compensation_happened_is_asked_in_its_own_words(
    operator: Client, known: Known
) -> None:
    actor = Actor()
    actor.answers |= {"do b": Refused("no"), "undo collect": Unknown("reset")}
    collect = actor.step("collect", idempotent=False)
    run_id = begun(known(flow([collect, actor.step("b"), actor.step("c")])))
    carried(run_id, "collect")
    page = operator.get(place(run_id, "mark", "undo of collect"))
    assert page.context["title"] == "Mark undo of collect"
    assert "It was not undone" in page.content.decode()


def test_a_run_is_assigned_without_a_reason(operator: Client, run_id: UUID) -> None:
    assert "Why (optional)" in operator.get(place(run_id, "assign")).content.decode()
    page = sent(operator, run_id, "assign", owner="ann", reason="")
    assert "Assign: done." in said(page)
    assert (run_of(run_id).owner, AuditEntry.objects.get().reason) == ("ann", "")


def test_nobody_is_asked_for_the_result_of_a_compensation(operator: Client, undone: UUID) -> None:
    assert (
        'name="result"'
        not in operator.get(place(undone, "skip", "undo of collect")).content.decode()
    )
    sent(operator, undone, "skip", step="undo of collect")
    assert status(undone) == "compensated"


# --- what follows from each answer -----------------------------------------------------------


def test_the_page_of_a_mark_says_what_follows_from_either_answer(
    operator: Client, known: Known
) -> None:
    actor = Actor()
    actor.answers["do b"] = Unknown("reset")
    run_id = begun(known(flow([actor.step("a"), actor.step("b", idempotent=False), "c"])))
    carried(run_id, "a")
    html = operator.get(place(run_id, "mark", "b")).content.decode()
    text = words(html)
    assert "If it happened Nothing is undone: the run goes forward." in text
    assert "If it did not happen Nothing is undone: the run goes forward." in text
    assert button(html) == "Mark b"
    ids = re.findall(r' id="([^"]+)"', html)
    assert sorted(set(ids)) == sorted(ids), "an id names one thing"


def test_the_page_of_a_restart_names_the_effects_that_happen_again(
    operator: Client, known: Known
) -> None:
    actor = Actor()
    actor.answers["do c"] = Refused("no")
    run_id = begun(known(flow([pivot(actor.step("p")), *actor.steps("bc")])))
    carried(run_id, "p")
    carried(run_id, "b")
    carried(run_id, "c")
    text = words(operator.get(place(run_id, "restart", "b")).content.decode())
    assert "From b, and what happened is repeated Nothing is undone: the run goes forward." in text
    assert "Done once more, with effects that happen again: b" in text
    assert "nothing that happened is repeated" not in text, "that would be refused"


def test_the_page_of_a_migration_names_the_steps_that_differ(
    operator: Client, known: Known
) -> None:
    actor = Actor()
    actor.answers["do b"] = Refused("no")
    steps = [pivot(actor.step("p")), actor.step("b")]
    run_id = begun(known(flow(steps)))
    carried(run_id, "p")
    known(flow([*steps, "c"], version=2))
    text = words(operator.get(place(run_id, "migrate")).content.decode())
    assert "Steps that it has from then on: c" in text
    assert "To version 1 Nothing" not in text, "it has that"
