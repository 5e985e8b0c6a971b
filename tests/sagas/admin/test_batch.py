"""The page of a batch: what the trial found, how far it has come, and what can be done to it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django_celery_results.models import TaskResult

from sagas import retire
from sagas.admin.batch_parts import _GLYPHS
from sagas.api import wait_for
from sagas.models import Batch, BatchItem, BatchStatus, ItemStatus, Run, Scope
from sagas.operate.access import Right
from sagas.operate.batch_run import work
from sagas.operate.bulk import confirm, draft
from sagas.operate.instruction import instruction
from sagas.operate.tally import ANSWERS, StateNow
from tests.sagas.flows import flow, simple
from tests.sagas.operate.batches import drafted, saga_of, stopped
from tests.sagas.stage import Actor, Known, begun, carried, run_of
from tests.sagas.statements import counted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]

LIST = "/admin/sagas/batch/"


def person(name: str, *rights: str) -> User:
    user = User.objects.create_user(name, is_staff=True)
    wanted = ("view_batch", *(right.split(".")[1] for right in rights))
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    return user


@pytest.fixture
def ann(db: None) -> User:
    return person("ann", Right.READ, Right.CHANGE, Right.BATCH, "django.view_taskresult")


@pytest.fixture
def browser(client: Client, ann: User) -> Client:
    client.force_login(ann)
    return client


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture
def batch(known: Known, ann: User, actor: Actor) -> Batch:
    """A trial of which two fit and one does not."""
    saga = saga_of(known, actor)
    stopped(saga, 2)
    begun(saga, key="new:0")
    return drafted(ann, query="saga=flow")


def page_of(batch: Batch) -> str:
    return f"{LIST}{batch.pk}/change/"


def seen(client: Client, batch: Batch, query: str = "") -> str:
    answer = client.get(page_of(batch) + query)
    assert answer.status_code == 200
    text: str = answer.content.decode()
    return re.sub(r"\s+", " ", text)


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


# --- the trial -----------------------------------------------------------------------------


def test_the_page_tells_what_would_be_done_and_why_the_rest_would_not(
    browser: Client, batch: Batch
) -> None:
    page = seen(browser, batch)
    assert "nothing is done yet: 2 will be done, 1 left out" in page
    assert "The run is pending; no step has stopped it." in page
    assert "<bdi>saga: flow</bdi>" in page
    assert "<bdi>flow:0</bdi></a>" in page
    assert "Confirm: carry it out on 2 runs" in page
    assert 'href="/admin/sagas/run/?saga=flow"' in page
    assert all(key in page for key in ("flow:0", "flow:1", "new:0", "restocked"))
    assert "data-final" in page
    assert "Stop</button>" not in page


def test_confirming_has_it_carried_out(browser: Client, batch: Batch) -> None:
    answer = browser.post(f"{LIST}{batch.pk}/confirm/", follow=True)
    assert said(answer) == "The batch was started."
    assert Batch.objects.get().status == "running"
    work(batch.pk, "task")
    page = seen(browser, batch)
    assert "finished Every run has its answer" in re.sub(r"<[^>]+>", "", page)
    assert "2 retried: 2 running; 1 left out." in page
    assert "data-final" not in page, "its runs go on"
    assert not [word for word in ("100%", "✓", "2 done") if word in plain(page)]


def test_what_cannot_be_taken_back_says_what_is_undone_and_what_is_not(
    browser: Client, known: Known, ann: User, actor: Actor
) -> None:
    wait = wait_for("paid", timeout=timedelta(days=1))
    saga = known(flow(["a", simple("look", harmless=True), wait], name="cancelled"))
    for key in "12":
        carried(begun(saga, key=key), "a", "look", "paid", saga="cancelled/1")
    begun(saga, key="3")
    runs = Run.objects.filter(saga="cancelled")
    made = draft(runs, instruction("cancel", {}), by=ann, reason="called off", rate=200)
    page = plain(seen(browser, made))
    assert "Irreversible: no other action takes this back." in page
    assert "Undone: a in 2 runs." in page
    assert "Not undone, although it happened or may have: look in 2 runs." in page


def test_what_can_be_taken_back_is_not_said_to_be_irreversible(
    browser: Client, batch: Batch
) -> None:
    assert "Irreversible" not in seen(browser, batch)


def test_a_trial_is_thrown_away(browser: Client, batch: Batch) -> None:
    answer = browser.post(f"{LIST}{batch.pk}/discard/", follow=True)
    assert "Nothing was done" in said(answer)
    assert not Batch.objects.exists()


def test_only_who_made_it_is_offered_to_confirm_it(client: Client, batch: Batch) -> None:
    client.force_login(person("bob", Right.READ, Right.CHANGE, Right.BATCH))
    page = seen(client, batch)
    assert "Only <bdi>ann</bdi>, who tried it out" in page
    assert "carry it out on" not in page
    answer = client.post(f"{LIST}{batch.pk}/confirm/", follow=True)
    assert "Only ann, who made this batch" in said(answer)
    assert Batch.objects.get().status == "draft"


def test_of_a_batch_of_which_nothing_fits_nothing_can_be_carried_out(
    browser: Client, known: Known, ann: User
) -> None:
    begun(saga_of(known, Actor()))
    page = seen(browser, drafted(ann))
    assert "Nothing of this can be done" in page
    assert "carry it out on" not in page


# --- while it runs -------------------------------------------------------------------------


def test_a_batch_that_runs_shows_how_far_it_is_and_can_be_stopped(
    browser: Client, batch: Batch, ann: User
) -> None:
    confirm(batch.pk, ann)
    work(batch.pk, "task", seconds=0)
    page = seen(browser, batch)
    assert '<progress id="batch-progress" max="2" value="1">' in page
    assert "1 of 2 answered (50%)" in page
    assert "1 retried: 1 running; 1 to do; 1 left out." in page
    assert "0.1 a second now, 200 at most" in page
    assert 'form="batch-stop"' in page
    assert "data-final" not in page
    answer = browser.post(f"{LIST}{batch.pk}/stop/", follow=True)
    assert "The batch is stopped" in said(answer)
    page = seen(browser, batch)
    assert "Stopped by <bdi>ann</bdi>" in page
    assert "data-final" not in page, "the one that it retried goes on"


def test_the_living_parts_are_sent_only_when_they_have_changed(
    browser: Client, batch: Batch, ann: User
) -> None:
    confirm(batch.pk, ann)
    page = seen(browser, batch)
    url, etag = re.findall(r'data-live="([^"]+)" data-etag="([^"]+)"', page)[0]
    url, etag = url.replace("&amp;", "&"), etag.replace("&quot;", '"')
    same = browser.get(url, headers={"If-None-Match": etag})
    assert (same.status_code, same.content) == (304, b"")
    assert {"private", "no-cache"} <= set(same["Cache-Control"].split(", "))
    work(batch.pk, "task")
    fresh = browser.get(url, headers={"If-None-Match": etag})
    text = fresh.content.decode()
    assert (fresh.status_code, fresh["ETag"] != etag) == (200, True)
    assert "data-final" not in text
    parts = set(re.findall(r'data-part="(\w+)"', page))
    assert set(re.findall(r'data-part="(\w+)"', text)) == parts == {
        "state", "progress", "reasons", "items",
    }  # fmt: skip


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_page_follows_its_runs_to_where_they_stand_now(
    browser: Client, batch: Batch, ann: User, actor: Actor
) -> None:
    confirm(batch.pk, ann)
    work(batch.pk, "task")
    first, second = batch.items.filter(status="done").values_list("run", flat=True)
    carried(first, "b")
    page = seen(browser, batch)
    assert "2 retried: 1 failed again, 1 running; 1 left out." in page
    assert "! failed again b: no stock b" in plain(page), "the row says so, and why"
    assert "▶ running b → accepted" in plain(page)
    assert ("data-final" in page, "this page follows them" in page) == (False, True)
    actor.answers.clear()
    carried(second, "b", "c")
    only = seen(browser, batch, "?now=succeeded")
    assert ("flow:1</bdi></a>" in only, "flow:0</bdi></a>" in only) == (True, False)
    assert "data-final" not in only, "somebody may deal with the one that failed"
    Run.objects.filter(pk=first).update(status="resolved", finished_at=run_of(second).finished_at)
    assert retire.remove({second: run_of(second).revision}).runs == {second}
    page = seen(browser, batch)
    assert "2 retried: 1 resolved, 1 removed; 1 left out." in page
    assert "<bdi>flow:1</bdi></th>" in page, "there is no page that its key could lead to"
    assert ("data-final" in page, "this page follows them" in page) == (True, False)


def test_a_row_of_older_code_does_not_tell_how_its_run_stood(
    browser: Client, batch: Batch, ann: User
) -> None:
    confirm(batch.pk, ann)
    work(batch.pk, "task")
    BatchItem.objects.filter(status="done").update(detail="The run is compensating.")
    assert "compensating" not in seen(browser, batch)


def test_the_result_of_the_task_is_linked_for_those_who_may_see_it(
    browser: Client, batch: Batch, ann: User
) -> None:
    confirm(batch.pk, ann)
    work(batch.pk, "the-task")
    assert "The task's result" not in seen(browser, batch)
    stored = TaskResult.objects.create(task_id="the-task", status="SUCCESS")
    result = f"/admin/django_celery_results/taskresult/{stored.pk}/change/"
    assert f'<a href="{result}">' in seen(browser, batch)
    ann.user_permissions.remove(Permission.objects.get(codename="view_taskresult"))
    assert result not in seen(browser, batch)


# --- items ---------------------------------------------------------------------------------


def many(batch: Batch, count: int) -> None:
    BatchItem.objects.bulk_create(
        BatchItem(batch=batch, run=UUID(int=n), key=f"key:{n:03}", status=ItemStatus.REFUSED)
        for n in range(count)
    )


def test_items_are_shown_in_pages_and_by_status(browser: Client, batch: Batch) -> None:
    many(batch, 250)
    page = seen(browser, batch, "?status=refused&p=2")
    assert "Page 2 of 3" in page
    assert "key:100" in page
    assert "key:199" in page
    assert "key:099" not in page
    assert "key:200" not in page
    assert "flow:0" not in page
    assert "?status=refused&amp;now=&amp;p=3" in page
    only = seen(browser, batch, "?status=unfit")
    assert ("new:0" in only, "flow:0</bdi></a>" in only) == (True, False)
    for odd in ("?status=odd", "?status=done", "?now=odd", "?p=x", "?p=99"):
        seen(browser, batch, odd)


def test_the_page_takes_as_many_statements_for_few_runs_as_for_many(
    browser: Client, batch: Batch
) -> None:
    seen(browser, batch)
    with counted() as few:
        seen(browser, batch)
    many(batch, 500)
    with counted() as more:
        seen(browser, batch)
    assert len(few) == len(more) <= 10, more


# --- who may see it ------------------------------------------------------------------------


@pytest.mark.parametrize("rights", [("add_batch",), ("view_batch",), ("view_run",)])
def test_whoever_may_not_see_batches_and_runs_sees_none(
    client: Client, batch: Batch, rights: tuple[str, ...]
) -> None:
    eve = User.objects.create_user("eve", is_staff=True)
    eve.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(eve)
    for path in (LIST, page_of(batch), f"{LIST}{batch.pk}/live/"):
        assert client.get(path).status_code == 403
    client.post(f"{LIST}{batch.pk}/stop/")
    assert Batch.objects.get().status == "draft"


def test_whose_sight_is_limited_sees_only_batches_of_their_own(
    client: Client, batch: Batch
) -> None:
    group = Group.objects.create(name="scoped")
    names = ("view_batch", "view_run", "add_batch", "change_run")
    group.permissions.set(Permission.objects.filter(codename__in=names))
    Scope.objects.create(group=group, saga="flow")
    bob = User.objects.create_user("bob", is_staff=True)
    bob.groups.add(group)
    own = drafted(bob)
    client.force_login(bob)
    listed = client.get(LIST).content.decode()
    assert (str(own.pk) in listed, str(batch.pk) in listed) == (True, False)
    answer = client.get(page_of(batch), follow=True)
    assert "or you may not see it" in said(answer)
    assert client.get(f"{LIST}{batch.pk}/live/").status_code == 404
    seen(client, own)


def test_a_batch_that_is_not_there_leads_to_the_list(browser: Client) -> None:
    for pk in (uuid4(), "odd"):
        answer = browser.get(f"{LIST}{pk}/change/", follow=True)
        assert "There is no such batch" in said(answer)
    answer = browser.post(f"{LIST}{uuid4()}/confirm/", follow=True)
    assert "There is no batch" in said(answer)


@pytest.mark.parametrize("word", ["confirm", "discard", "stop"])
def test_nothing_happens_by_a_mere_link_or_without_the_token(
    batch: Batch, ann: User, word: str
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ann)
    assert browser.get(f"{LIST}{batch.pk}/{word}/").status_code == 405
    assert browser.post(f"{LIST}{batch.pk}/{word}/").status_code == 403
    assert Batch.objects.get().status == "draft"
    assert browser.post(page_of(batch)).status_code in (403, 405)


# --- words ---------------------------------------------------------------------------------


def test_every_status_has_a_shape_and_a_meaning() -> None:
    words = {status.word for status in (*ItemStatus, *BatchStatus)}
    assert set(_GLYPHS) == {*words, StateNow.REMOVED}
    assert set(ANSWERS) == set(ItemStatus)


def test_hostile_texts_are_shown_harmlessly(browser: Client, batch: Batch) -> None:
    hostile = "<script>alert(1)</script>\u202e\x07"
    Batch.objects.update(
        verb="<b>", arguments={"<i>": hostile, "n": [1]}, reason=hostile, query=hostile,
        created_by=hostile, stopped_by=hostile, status="stopped",
    )  # fmt: skip
    BatchItem.objects.update(
        key=hostile, step=hostile, detail=hostile + "x" * 100_000, status="failed"
    )
    page = seen(browser, batch)
    listed = browser.get(LIST).content.decode()
    for text in (page, listed):
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "\x07" not in text
    assert len(page) < 100_000


def test_a_result_that_was_entered_is_for_who_may_reveal_it(
    browser: Client, ann: User, known: Known
) -> None:
    stopped(saga_of(known, Actor()), 1)
    told = instruction("skip", {"result": {"holder": "Ann Smith"}})
    made = draft(Run.objects.all(), told, by=ann, reason="x")
    html = seen(browser, made)
    assert "holder" in html
    assert "Ann Smith" not in html
    ann.user_permissions.add(Permission.objects.get(codename="reveal_run"))
    assert "Ann Smith" in seen(browser, made)
