from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from sagas.define import registry
from sagas.define.outcome import Refused
from sagas.define.saga import Definition
from sagas.models import AuditEntry, Event, Hold, Run, Scope, Step, uuid7
from sagas.operate import audit
from tests.sagas.flows import Payload, flow, fork, pivot, simple
from tests.sagas.stage import Actor, begun, carried, tampering
from tests.sagas.statements import counted

PARTS = ["headline", "next", "verbs", "graph", "preview", "steps", "timeline"]
HOSTILE = "<script>alert(1)</script>\u202e\x07<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        yield


def saga_of(steps: int = 3) -> Definition:
    saga = flow([f"s{number}" for number in range(steps)])
    registry.register(saga)
    return saga


def made(saga: Definition, *, attempts: int = 1, status: str = "running", **values: Any) -> Run:
    """A run whose first step was tried so often; written without the engine."""
    run = Run.objects.create(
        **{
            **{"id": uuid7(), "saga": saga.name, "version": 1, "fingerprint": saga.fingerprint},
            **{"business_key": uuid4().hex, "payload": {"number": 1}, "status": status},
            **values,
        }
    )
    rows = [
        Step(run=run, name=name, direction="forward", position=place, status="pending")
        for name, place in saga.order.items()
    ]
    rows[0].status, rows[0].attempt, rows[0].error = "failed", attempts, "it said no"
    Step.objects.bulk_create(rows)
    Event.objects.bulk_create(
        Event(run=run, step=rows[0].name, direction="forward", epoch=1, attempt=n, old=o, new=new)
        for n in range(1, attempts + 1)
        for o, new in (("ready", "in_flight"), ("in_flight", "ready"))
    )
    return run


def page(run: Run) -> str:
    return f"/admin/sagas/run/{run.id}/change/"


def live(run: Run) -> str:
    return f"/admin/sagas/run/{run.id}/live/"


def html(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def granted(client: Client, *codenames: str, scopes: tuple[str | None, ...] = (None,)) -> User:
    """Log in somebody whose group has these permissions, within these sagas; or within all."""
    user = User.objects.create_user(uuid4().hex, is_staff=True)
    group = Group.objects.create(name=user.username)
    group.permissions.set(Permission.objects.filter(codename__in=codenames))
    for saga in scopes:
        Scope.objects.create(group=group, saga=saga)
    user.groups.add(group)
    client.force_login(user)
    return user


# --- what it tells -------------------------------------------------------------------------


def test_the_page_tells_a_run_that_is_held_from_one_that_is_let_through(viewer: Client) -> None:
    saga = flow([simple("s0"), simple("s1", partner="bank")])
    registry.register(saga)
    held, through = made(saga), made(saga)
    Step.objects.filter(name="s0").update(status="succeeded")
    Step.objects.filter(name="s1").update(status="ready")
    values = {"kind": "partner", "target": "bank", "source": "circuit-breaker", "reason": "open"}
    Hold.objects.create(**values, placed_by="system:circuit-breaker", probe=through.pk)
    assert "<strong>Held</strong>" in html(viewer, page(held))
    shown = html(viewer, page(through))
    assert "<strong>Held</strong>" not in shown
    assert "<strong>Let through</strong>" in shown


def test_the_page_tells_what_started_the_run_and_links_to_it(viewer: Client) -> None:
    saga = saga_of()
    first = made(saga, origin_kind="request", origin_id="ann <b>")
    child = made(saga, origin_kind="run", origin_id=str(first.id), root=first.id, depth=1)
    assert "request ann &lt;b&gt;" in html(viewer, page(first))
    shown = html(viewer, page(child))
    assert f'<a href="{page(first)}"><bdi>run {first.id}</bdi></a>' in shown
    assert f"run 2 of the chain that began with {first.id}" in shown
    assert "started by" not in html(viewer, page(made(saga)))


def test_the_page_tells_why_a_person_is_needed_and_what_others_failed_so(viewer: Client) -> None:
    saga = saga_of()
    why: dict[str, Any] = {
        "status": "needs_attention",
        "attention": "it is broken",
        "error_group": "s0: a & b",
    }
    run = made(saga, **why)
    for _ in range(2):
        made(saga, **why)
    made(saga, **{**why, "error_group": "another"})
    seen = html(viewer, page(run))
    assert "it is broken" in seen
    assert "it said no" in seen
    link = "/admin/sagas/run/?error_group=s0%3A+a+%26+b&amp;status=needs_attention"
    assert f'<a href="{link}">2 more runs failed so</a>' in seen


def test_the_link_to_runs_that_failed_so_finds_them(viewer: Client) -> None:
    saga = saga_of()
    why: dict[str, Any] = {
        "status": "needs_attention",
        "attention": "x",
        "error_group": "s0: é & 'b'",
    }
    made(saga, business_key="the-other", **why)
    made(saga, business_key="unlike", **{**why, "error_group": "another"})
    seen = html(viewer, page(made(saga, **why)))
    [link] = re.findall(r'href="(/admin/sagas/run/\?error_group[^"]+)"', seen)
    found = html(viewer, link.replace("&amp;", "&"))
    assert "the-other" in found
    assert "unlike" not in found


def test_the_page_has_every_part_and_its_twin(viewer: Client) -> None:
    saga = flow(
        [
            simple("reserve", undo={}),
            fork("b", "c"),
            pivot(simple("take", harmless=True)),
            simple("send", harmless=True),
        ]
    )
    registry.register(saga)
    run = made(saga, owner="ann", tags=["vip"])
    seen = html(viewer, page(run))
    assert re.findall(r'data-part="(\w+)"', seen) == PARTS
    assert seen.count('role="img"') == 2
    assert "point of no return" in seen
    for name in saga.steps:
        assert len(re.findall(rf'<th scope="row">.*?<bdi>{name}</bdi>', seen)) >= 1
        assert f"{name}: " in seen
    assert "<dt>owner</dt><dd><bdi>ann</bdi></dd>" in seen
    assert "<bdi>vip</bdi>" in seen


def test_each_attempt_is_a_row_with_its_key_partner_and_outcome(viewer: Client) -> None:
    saga = flow([simple("a", partner="bank"), "b"])
    registry.register(saga)
    run = made(saga, attempts=3)
    seen = html(viewer, page(run))
    rows = seen.partition('aria-label="Table of attempts"')[2].partition("</table>")[0]
    assert rows.count("to be tried again") == 3
    assert rows.count(">bank<") == 3
    keys = set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", rows))
    assert len(keys) == 1


def test_a_step_links_to_its_own_page_for_those_who_may_see_steps(
    viewer: Client, client: Client
) -> None:
    run = made(saga_of())
    link = f"/admin/sagas/step/{run.steps.earliest('id').pk}/change/"
    assert link in html(viewer, page(run))
    granted(client, "view_run")
    assert link not in html(client, page(run))


def test_what_people_did_is_shown_with_the_reason_and_what_it_changed(viewer: Client) -> None:
    run = made(saga_of())
    audit.append(
        actor="ann",
        verb="retry",
        reason="the bank is back <b>",
        run=run.id,
        before={"status": "needs_attention"},
        after={"status": "running"},
    )
    assert AuditEntry.objects.count() == 1
    seen = html(viewer, page(run))
    assert "the bank is back &lt;b&gt;" in seen
    assert "<bdi>needs_attention</bdi> → <bdi>running</bdi>" in seen


def test_a_run_whose_code_is_gone_is_drawn_from_its_rows_and_hides_its_documents(
    viewer: Client,
) -> None:
    saga = flow(["a", "b"])
    run = made(saga, payload={"number": 4711})
    run.steps.update(result={"number": 4712})
    seen = html(viewer, page(run))
    assert "drawn from its rows" in seen
    assert "No saga is named &#x27;flow&#x27;" in seen
    assert not re.search(r"471[12]", seen)
    assert "•••" in seen


def test_a_large_result_is_left_on_the_steps_page(viewer: Client) -> None:
    run = made(saga_of())
    noise = "".join(uuid4().hex for _ in range(2000))
    run.steps.filter(position=0).update(result={"noise": noise})
    run.steps.filter(position=1).update(result={"small": 1})
    with counted() as statements:
        seen = html(viewer, page(run))
    assert "bytes, on the step's page" in seen
    assert noise not in seen
    assert "small" in seen
    assert any("pg_column_size" in statement for statement in statements)


def test_times_are_told_to_the_millisecond(viewer: Client) -> None:
    run = made(saga_of())
    with tampering():
        Event.objects.update(at="2026-01-02T03:04:05.678901Z")
    assert "2026-01-02 03:04:05.678" in html(viewer, page(run))


# --- limits --------------------------------------------------------------------------------


def test_a_large_run_costs_as_many_statements_as_a_small_one(viewer: Client) -> None:
    small, large = made(saga_of(1)), None
    registry.register(flow([f"s{number}" for number in range(200)], name="large"))
    large = made(registry.get("large"), attempts=2000)
    counts = []
    for run in (small, large):
        for url in (page(run), live(run)):
            html(viewer, url)  # warm
            with counted() as statements:
                html(viewer, url)
            counts.append(len(statements))
    assert counts[:2] == counts[2:]
    assert max(counts) <= 14


def test_an_operator_within_a_scope_costs_little_more(client: Client, db: None) -> None:
    saga = saga_of()
    granted(client, "view_run", "change_run", "reveal_run", scopes=(saga.name,))
    why: dict[str, Any] = {"status": "needs_attention", "attention": "x", "error_group": "g"}
    run = made(saga, **why)
    Hold.objects.create(kind="saga", target=saga.name, reason="r", placed_by="p")
    html(client, page(run))
    with counted() as statements:
        assert "Held" in html(client, page(run))
    assert len(statements) <= 20


def test_of_many_attempts_and_events_the_newest_are_shown_and_it_says_so(viewer: Client) -> None:
    run = made(saga_of(), attempts=2000)
    seen = html(viewer, page(run))
    assert "The newest 200 of 2000 attempts" in seen
    assert seen.count('<rect class="bar ') == 200
    assert "The newest 500;" in seen
    rows = seen.partition('aria-label="Table of events"')[2]
    numbers = [int(n) for n in re.findall(r"<td>(\d+)</td><td>1</td>", rows)]
    assert len(numbers) == 500
    assert numbers == sorted(numbers)
    assert numbers[-1] == 2000
    [link] = set(re.findall(r'href="(/admin/sagas/event/\?[^"]+)"', seen))
    assert viewer.get(link).status_code == 200


def test_the_list_of_events_finds_those_of_the_run(viewer: Client) -> None:
    saga = saga_of()
    run, other = made(saga, attempts=2), made(saga, attempts=3)
    found = viewer.get(f"/admin/sagas/event/?run__id__exact={run.id}")
    listed: Any = found.context["cl"]
    assert {event.run_id for event in listed.result_list} == {run.id}
    assert other.id not in {event.run_id for event in listed.result_list}


# --- hostile data --------------------------------------------------------------------------


def test_hostile_data_is_shown_harmlessly(viewer: Client) -> None:
    saga = saga_of(1)
    run = made(
        saga,
        status="needs_attention",
        business_key=HOSTILE,
        attention=HOSTILE * 20_000,
        owner=HOSTILE,
        tags=[HOSTILE[:40]],
        error_group=HOSTILE,
        payload={HOSTILE: HOSTILE * 20_000},
        amended={HOSTILE: HOSTILE},
    )
    run.steps.update(error=HOSTILE * 20_000, result={"r": HOSTILE}, worker=HOSTILE, status="failed")
    Event.objects.bulk_create(
        Event(run=run, step="s0", direction="forward", epoch=1, worker=HOSTILE, old=o, new=new,
              data={"reason": HOSTILE * 20_000})
        for o, new in (("ready", "in_flight"), ("in_flight", "failed"))
    )  # fmt: skip
    made(saga, status="needs_attention", attention="x", error_group=HOSTILE)
    Hold.objects.create(kind="saga", target="flow", reason=HOSTILE, placed_by=HOSTILE)
    audit.append(actor=HOSTILE, verb="retry", reason=HOSTILE, run=run.id, before={HOSTILE: HOSTILE})
    for url in (page(run), live(run)):
        seen = html(viewer, url)
        assert len(seen) < 150_000
        assert not re.search(r"<script>alert|<img src=x", seen)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]", seen)
        assert "&lt;script&gt;alert(1)" in seen


def test_a_page_has_nothing_inline(viewer: Client) -> None:
    run = made(saga_of(), attempts=2)
    seen = html(viewer, page(run)).partition('id="content-main"')[2]
    assert not re.search(r"<style|<script|\sstyle=|\son\w+=", seen)


# --- who may see it ------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["change", "live", "payload"])
def test_without_the_permission_nothing_is_seen(client: Client, db: None, address: str) -> None:
    run = made(saga_of())
    granted(client, "view_step")
    assert client.get(f"/admin/sagas/run/{run.id}/{address}/").status_code == 403


@pytest.mark.parametrize("address", ["change", "live", "payload"])
def test_a_run_of_another_saga_than_ones_own_is_not_there(
    client: Client, db: None, address: str
) -> None:
    run = made(saga_of(), payload={"number": 4711})
    url = f"/admin/sagas/run/{run.id}/{address}/"
    granted(client, "view_run", scopes=("other",))
    refused = client.get(url)
    assert refused.status_code in (302, 404)
    assert b"4711" not in refused.content
    granted(client, "view_run", scopes=("other", "flow"))
    assert client.get(url).status_code == 200


@pytest.mark.parametrize("address", ["change", "live", "payload"])
def test_nobody_is_sent_to_log_in(client: Client, db: None, address: str) -> None:
    run = made(saga_of())
    refused = client.get(f"/admin/sagas/run/{run.id}/{address}/")
    assert refused.status_code == 302
    assert "login" in refused["Location"]


@pytest.mark.parametrize("run_id", ["nothing", uuid4(), "\x00", "../"])
def test_a_run_that_is_not_there_leads_to_the_list(viewer: Client, run_id: object) -> None:
    gone = viewer.get(f"/admin/sagas/run/{run_id}/change/", follow=True)
    if gone.redirect_chain:
        assert gone.redirect_chain[-1][0] == "/admin/sagas/run/"
    assert viewer.get(f"/admin/sagas/run/{uuid4()}/live/").status_code == 404


def test_nothing_can_be_posted_to_the_page(client: Client, db: None) -> None:
    run = made(saga_of())
    client.force_login(User.objects.create_superuser("root"))
    assert client.post(page(run), {"status": "succeeded"}).status_code == 403


def test_redacted_fields_are_for_those_who_may_reveal_them(client: Client, db: None) -> None:
    run = made(saga_of(), payload={"email": "a@b.example", "number": 1})
    run.steps.update(result={"token": "t0ps3cret"})
    Event.objects.create(run=run, epoch=1, data={"password": "pa55"})
    secrets = ("a@b.example", "t0ps3cret", "pa55")
    granted(client, "view_run")
    seen = html(client, page(run)) + html(client, f"/admin/sagas/run/{run.id}/payload/")
    assert not any(secret in seen for secret in secrets)
    granted(client, "view_run", "reveal_run")
    seen = html(client, page(run))
    assert all(secret in seen for secret in secrets)
    assert "a@b.example" in html(client, f"/admin/sagas/run/{run.id}/payload/")


def test_what_an_attempt_said_in_full_is_for_those_who_may_reveal_it(
    client: Client, db: None
) -> None:
    actor = Actor()
    actor.answers["do a"] = Refused("no stock for Erika")
    registry.register(flow([actor.step("a")]))
    run_id = begun(registry.get("flow"))
    carried(run_id, "a")
    run = Run.objects.get(pk=run_id)
    granted(client, "view_run")
    shown = html(client, page(run))
    assert "no stock for •••" in shown
    assert "Erika" not in shown
    granted(client, "view_run", "reveal_run")
    shown = html(client, page(run))
    assert shown.count("in full") == shown.count("no stock for Erika") == 2
    assert shown.count("no stock for •••") > 2


def test_verbs_are_offered_to_operators_only(client: Client, db: None) -> None:
    run = made(saga_of(), status="needs_attention", attention="x")
    granted(client, "view_run")
    assert f"/admin/sagas/run/{run.id}/do/" not in html(client, page(run))
    assert "that takes the permission sagas.change_run" in html(client, page(run))
    granted(client, "view_run", "change_run")
    assert f"/admin/sagas/run/{run.id}/do/" in html(client, page(run))


# --- living --------------------------------------------------------------------------------


def test_the_fragment_is_the_living_part_of_the_page(viewer: Client) -> None:
    run = made(saga_of(), status="resolved", finished_at="2026-01-01T00:00:00Z")
    whole, fragment = html(viewer, page(run)), viewer.get(live(run))
    [tag] = re.findall(r'data-etag="&quot;(\w+)&quot;"', whole)
    assert fragment["ETag"] == f'"{tag}"'
    assert fragment.content.decode().strip() in whole
    assert f'data-live="{live(run)}"' in whole
    assert "no-cache" in fragment["Cache-Control"]
    assert "private" in fragment["Cache-Control"]


def test_while_nothing_changes_nothing_is_sent(viewer: Client) -> None:
    run = made(saga_of())
    tag = viewer.get(live(run))["ETag"]
    with counted() as statements:
        same = viewer.get(live(run), headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", tag)
    assert not any("sagas_event" in statement for statement in statements)


def test_whatever_is_seen_to_change_is_sent(viewer: Client, client: Client) -> None:
    saga = saga_of()
    run = made(saga, status="needs_attention", attention="x", error_group="g")
    changes: list[Any] = [
        lambda: Run.objects.filter(pk=run.pk).update(revision=1),
        lambda: Run.objects.filter(pk=run.pk).update(owner="ann"),
        lambda: Run.objects.filter(pk=run.pk).update(tags=["vip"]),
        lambda: run.steps.filter(position=0).update(attempt=2),
        lambda: run.steps.filter(position=0).update(error="another"),
        lambda: Hold.objects.create(kind="saga", target="flow", reason="r", placed_by="p"),
        lambda: made(saga, status="needs_attention", attention="x", error_group="g"),
        lambda: registry._sagas.clear(),
    ]
    for change in changes:
        tag = viewer.get(live(run))["ETag"]
        change()
        answer = viewer.get(live(run), headers={"If-None-Match": tag})
        assert answer.status_code == 200, change
        assert answer["ETag"] != tag


def test_another_persons_rights_make_another_fragment(client: Client, db: None) -> None:
    run = made(saga_of())
    granted(client, "view_run")
    tag = client.get(live(run))["ETag"]
    granted(client, "view_run", "change_run")
    assert client.get(live(run), headers={"If-None-Match": tag}).status_code == 200


def test_a_run_that_is_over_says_so(viewer: Client) -> None:
    saga = saga_of()
    assert "data-final" not in html(viewer, live(made(saga)))
    over = made(saga, status="resolved", finished_at="2026-01-01T00:00:00Z")
    assert "data-final" in html(viewer, live(over))


@pytest.mark.usefixtures("post")
def test_a_run_that_was_undone_says_why_and_which_steps_were(viewer: Client) -> None:
    actor = Actor()
    actor.answers["do ship"] = Refused("<b>no</b> stock")
    saga = flow([actor.step("collect"), actor.step("ship"), actor.step("z")])
    registry.register(saga)
    run_id = begun(saga)
    carried(run_id, "collect")
    shown = " ".join(html(viewer, page(Run.objects.get(pk=run_id))).split())
    assert (
        '<div class="run-undone"><strong>Undone, because:</strong> '
        "<bdi>&lt;b&gt;no&lt;/b&gt; stock at ship; 1 step undone</bdi></div>" in shown
    )
    collect, ship, z, undo = (
        re.findall(r'<span class="saga-state saga-(\w+)">', row)
        for row in re.findall(r'<tr id="step-\d+".*?</tr>', shown)
    )
    assert [collect, ship, z, undo] == [["undone"], ["failed"], ["pending"], ["succeeded"]]
    assert "<title>collect: ↩ undone" in shown


def test_a_run_that_goes_on_was_not_undone(viewer: Client) -> None:
    assert "ndone, because" not in html(viewer, page(made(saga_of())))


# --- the whole payload ---------------------------------------------------------------------


def test_the_whole_payload_is_text_to_be_kept(viewer: Client) -> None:
    registry.register(Definition("flow", payload=Payload, steps=[simple("s0")]))
    saga = registry.get("flow")
    run = made(saga, payload={"refuse": "<script>" + "x" * 1_000_000}, amended={"refuse": ""})
    assert "Show all of it" in html(viewer, page(run))
    whole = viewer.get(f"/admin/sagas/run/{run.id}/payload/")
    assert whole["Content-Type"] == "text/plain; charset=utf-8"
    assert whole["X-Content-Type-Options"] == "nosniff"
    assert "attachment" in whole["Content-Disposition"]
    assert len(whole.content) > 1_000_000
    assert json.loads(whole.content)["amended"] == {"refuse": ""}


@pytest.mark.parametrize("address", ["change", "live", "payload"])
@pytest.mark.django_db
def test_who_is_shown_redacted_fields_is_in_the_audit(client: Client, address: str) -> None:
    run = made(saga_of(), payload={"email": "a@b.example"})
    granted(client, "view_run")
    client.get(f"/admin/sagas/run/{run.pk}/{address}/")
    assert not AuditEntry.objects.exists()
    user = granted(client, "view_run", "reveal_run")
    client.get(f"/admin/sagas/run/{run.pk}/{address}/")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.run) == (user.username, "reveal", run.pk)
