from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from sagas.define import registry
from sagas.models import Approval, Batch, Hold, Run, Step, Worker
from sagas.signals import Health, PartnerHealth, partner_health
from tests.sagas.admin.people import scoped
from tests.sagas.admin.records import run
from tests.sagas.flows import flow, simple
from tests.sagas.statements import counted

PAGE, FRAGMENT = "/admin/sagas/", "/admin/sagas/run/overview/"
EVIL = "<script>alert(1)</script>\u202e\x1b"


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        yield


def html(client: Client, address: str = FRAGMENT) -> str:
    return client.get(address).content.decode()


def part(shown: str, name: str) -> str:
    found = re.search(rf'<section data-part="{name}".*?</section>', shown, re.DOTALL)
    assert found is not None, name
    return found[0]


def parked(key: str, **values: Any) -> Run:
    return run(key, status="needs_attention", attention="why", **values)


def everything(text: str = "word") -> None:
    """Something in each part, with a text wherever people or partners may write one."""
    for saga in ("flow", text[:80]):
        parked(f"{text} {saga}"[:200], saga=saga, error_group=text, owner=text)
        run(f"late {text} {saga}"[:200], saga=saga, wake_at=timezone.now() - timedelta(hours=1))
        over = run(f"over {saga}"[:200], saga=saga, status="succeeded", finished_at=timezone.now())
    Hold.objects.create(kind="run", target=str(over.pk), reason=text, placed_by=text)
    Hold.objects.create(kind="queue", target=text, reason=text, placed_by=text)
    asked = {"run": over.pk, "saga": text[:80], "verb": "cancel", "arguments": {}, "reason": text}
    Approval.objects.create(**asked, imprint="seen", asked_by=text)
    until = timezone.now() + timedelta(hours=1)
    Worker.objects.create(
        name=text, host=text, pid=1, lease_until=until, queues=[text], sagas=[text[:100]]
    )
    batch = {"verb": "retry", "arguments": {}, "reason": text, "matched": 2, "rate": 1}
    Batch.objects.create(**batch, status="running", created_by=text)


def test_the_apps_page_shows_the_overview_and_keeps_it_current(viewer: Client) -> None:
    parked("it")
    shown = html(viewer, PAGE)
    assert f'data-live="{FRAGMENT}"' in shown
    assert "sagas/live.js" in shown
    assert ">it</bdi>" in part(shown, "attention")
    assert "Runs" in shown.partition('id="content-main"')[2]  # the tables are still listed


def test_the_fragment_has_the_parts_of_the_page(viewer: Client) -> None:
    everything()
    page, fragment = html(viewer, PAGE), html(viewer)
    names = re.findall(r'data-part="(\w+)"', fragment)
    assert names == re.findall(r'data-part="(\w+)"', page)
    assert len(names) == len(set(names)) == 11
    assert fragment.strip() in page


def test_every_part_tells_what_there_is(viewer: Client) -> None:
    everything()
    shown = html(viewer)
    assert "Need attention: 2" in part(shown, "attention")
    assert part(shown, "stuck").count("<tr>") == 3
    told = "living worker knows version 1 of &#x27;word&#x27; as this run pins it"
    assert told in part(shown, "stuck")
    assert "alive" in part(shown, "workers")
    held, asked = Hold.objects.get(kind="queue"), Approval.objects.get()
    link = f'queue <a href="/admin/sagas/hold/{held.pk}/change/"><bdi>word</bdi></a>'
    assert link in re.sub(r"\s+", " ", part(shown, "holds"))
    link = f'<a href="/admin/sagas/approval/{asked.pk}/change/"><bdi>cancel, word</bdi></a>'
    assert link in part(shown, "approvals")
    assert "retry" in part(shown, "batches")
    assert part(shown, "sagas").count("<svg") == 2


def test_a_hold_that_ends_by_itself_is_told_with_its_end(viewer: Client) -> None:
    ends = timezone.now() + timedelta(days=1)
    Hold.objects.create(
        kind="partner", target="bank", reason="spent", placed_by="system:quota", source="quota",
        ends_at=ends,
    )  # fmt: skip
    shown = " ".join(part(html(viewer), "holds").split())
    assert f"ago, until {ends:%Y-%m-%d %H:%M:%S} UTC; 0 wait" in shown


def test_a_hold_of_an_automatism_is_told_as_such_and_lifted_by_who_may(
    viewer: Client, client: Client
) -> None:
    through = run("probe")
    held = Hold.objects.create(
        kind="partner", target="bank", reason="open", placed_by="system:circuit-breaker",
        source="circuit-breaker", probe=through.pk, probed_at=timezone.now(),
    )  # fmt: skip
    shown = " ".join(part(html(viewer), "holds").split())
    assert "by <bdi>circuit-breaker (automatic)</bdi>" in shown
    assert f'<a href="/admin/sagas/run/{through.pk}/change/">one run</a> was let through' in shown
    assert "Lift" not in shown
    client.force_login(User.objects.create_superuser("root"))
    shown = " ".join(part(html(client), "holds").split())
    link = f'<a href="/admin/sagas/hold/{held.pk}/change/">Lift<span class="visually-hidden">'
    assert link in shown


def test_every_part_tells_when_there_is_nothing(viewer: Client) -> None:
    shown = html(viewer)
    for name, words in (
        ("attention", "No run needs a person."),
        ("sagas", "No run has been started yet."),
        ("workers", "No worker beats."),
        ("holds", "Nothing is held."),
        ("approvals", "Nobody asks for consent."),
        ("batches", "No batch is running."),
    ):
        assert words in part(shown, name)
    assert "<h2" not in part(shown, "stuck")


def test_while_nothing_changes_nothing_is_sent(viewer: Client) -> None:
    parked("one")
    first = viewer.get(FRAGMENT)
    assert first["ETag"].startswith('W/"')
    again = viewer.get(FRAGMENT, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    for answer in (first, again):
        assert {"private", "no-cache"} <= set(answer["Cache-Control"].split(", "))
    parked("two")
    changed = viewer.get(FRAGMENT, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]


def test_the_page_starts_from_the_fragments_own_tag(viewer: Client) -> None:
    parked("one")
    found = re.search(r'data-etag="([^"]+)"', html(viewer, PAGE))
    assert found is not None
    tag = found[1].replace("&quot;", '"')
    assert viewer.get(FRAGMENT, headers={"If-None-Match": tag}).status_code == 304


def test_only_what_is_of_ones_sagas_is_shown(client: Client, db: None) -> None:
    everything("theirs")
    client.force_login(scoped("clerk", "flow"))
    shown = html(client)
    assert "theirs flow" in part(shown, "attention")  # a key of a run of ours
    assert part(shown, "attention").count("<tr>") == 2
    assert "theirs" not in part(shown, "sagas")
    assert "Nobody asks" in part(shown, "approvals")
    assert "No batch" in part(shown, "batches")


def test_without_the_permission_there_is_no_overview(client: Client, db: None) -> None:
    parked("secret")
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_worker"))
    client.force_login(user)
    assert client.get(FRAGMENT).status_code == 403
    page = client.get(PAGE)
    assert page.status_code == 200
    assert b"data-live" not in page.content
    assert b"secret" not in page.content


def test_what_strangers_wrote_is_harmless_in_every_part(viewer: Client) -> None:
    registry.register(flow(["a"]))
    everything((EVIL * 4)[:150])

    def receiver(**_: object) -> PartnerHealth:
        return PartnerHealth(EVIL, Health.DOWN, EVIL * 50)

    partner_health.connect(receiver)
    try:
        shown = html(viewer, PAGE)
    finally:
        partner_health.disconnect(receiver)
    overview = shown.partition("data-live")[2]
    assert overview.count("&lt;script&gt;") > 15
    assert "<script>alert" not in shown
    for steering in ("\u202e", "\x1b"):
        assert steering not in overview
    assert not re.search(r"\s(style|on\w+)=", overview.partition('id="content-main"')[0])


@pytest.mark.parametrize("restricted", [False, True])
def test_it_costs_as_many_statements_whether_there_is_little_or_much(
    viewer: Client, restricted: bool
) -> None:
    if restricted:
        viewer.force_login(scoped("clerk", "flow"))
    late = timezone.now() - timedelta(hours=1)
    run("stuck", wake_at=late)  # else nothing is asked of what is
    parked("first")  # nor since when one is
    viewer.get(PAGE)  # warm
    with counted() as few:
        viewer.get(PAGE)
    everything()
    for number in range(40):
        parked(f"p{number}")
        Hold.objects.create(kind="saga", target=f"s{number}", reason="r", placed_by="a")
    with counted() as many:
        viewer.get(PAGE)
    # A restricted user's scope is read in two more statements, and whose runs are held in one.
    assert len(few) <= len(many) <= (22 if restricted else 20)
    if not restricted:
        assert len(many) == len(few)


@pytest.mark.parametrize("query", ["?x=%00", "?p=99", "?" + "a=1&" * 300])
def test_no_hostile_address_breaks_it(viewer: Client, query: str) -> None:
    for address in (PAGE, FRAGMENT):
        assert viewer.get(address + query).status_code == 200


def test_a_broker_that_is_away_shows_as_unknown(viewer: Client) -> None:
    with patch("sagas.operate.waiting._messages", return_value={}):
        assert ">unknown</td>" in part(html(viewer), "queues")


def test_an_outage_is_told_first_with_what_waits_and_the_next_probe(viewer: Client) -> None:
    registry.register(flow([simple("reserve"), simple("charge", partner="bank")]))
    for number in range(3):
        Step.objects.filter(run=run(f"waits {number}"), name="charge").update(status="ready")
    Step.objects.filter(run=parked("stopped"), name="charge").update(status="failed")
    now = timezone.now()
    since, probe = now - timedelta(minutes=7), now + timedelta(minutes=1)

    def receiver(**_: object) -> PartnerHealth:
        return PartnerHealth("bank", Health.DOWN, "20 of 20 failed", since=since, probe_at=probe)

    assert "Outage" not in html(viewer)
    partner_health.connect(receiver)
    try:
        shown = html(viewer)
    finally:
        partner_health.disconnect(receiver)
    assert re.findall(r'data-part="(\w+)"', shown)[0] == "outage"
    told = " ".join(strip_tags(part(shown, "outage")).split())
    assert "Outage: bank" in told
    assert f"is not called since {since:%Y-%m-%d %H:%M:%S} UTC (7 min): 20 of 20 failed" in told
    assert "3 runs wait, 1 needs attention." in told
    assert f"Next probe at {probe:%Y-%m-%d %H:%M:%S} UTC." in told
    assert 'href="/admin/sagas/run/?partner=bank"' in part(shown, "outage")


def test_a_partner_that_a_person_holds_is_called_again_by_a_person(viewer: Client) -> None:
    registry.register(flow([simple("charge", partner="bank")]))
    Hold.objects.create(kind="partner", target="bank", reason="audit", placed_by="ann")
    told = " ".join(strip_tags(part(html(viewer), "outage")).split())
    assert "audit; held by ann. 0 runs wait. No probe is planned" in told
