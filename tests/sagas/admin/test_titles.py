"""A run's title stands wherever a run is named: pages, API, command line, exports and code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils.html import escape

from sagas.api import get_run
from sagas.models import Batch, Run
from sagas.operate.approval import ask
from sagas.operate.asker import Shell
from sagas.operate.batch_run import work
from sagas.operate.bulk import confirm
from sagas.operate.skip import Skip
from tests.sagas.operate.batches import drafted, operator, saga_of, stopped
from tests.sagas.stage import Actor, Known, carried

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]

TITLE = "2 × <b>mug</b>"
LONG = "x" * 100


@pytest.fixture
def run_id(known: Known) -> UUID:
    """A run that needs attention."""
    saga = saga_of(known, Actor())
    saga.title = lambda payload: TITLE
    return stopped(saga, 1)[0]


def batch_of(run_id: UUID) -> Batch:
    """A batch whose one run failed again."""
    ann = operator()
    made = drafted(ann)
    confirm(made.pk, ann)
    work(made.pk, "task")
    carried(run_id, "b")
    return made


@pytest.fixture
def boss(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def request_of(run_id: UUID) -> int:
    return ask(run_id, Skip(step="b"), by=Shell(), reason="why").pk


PAGES: dict[str, Callable[[UUID], str]] = {
    "list": lambda run_id: "/admin/sagas/run/",
    "overview": lambda run_id: "/admin/sagas/run/overview/",
    "run": lambda run_id: f"/admin/sagas/run/{run_id}/change/",
    "what a run's page is kept current by": lambda run_id: f"/admin/sagas/run/{run_id}/live/",
    "action": lambda run_id: f"/admin/sagas/run/{run_id}/do/retry/?step=b",
    "batch": lambda run_id: f"/admin/sagas/batch/{batch_of(run_id).pk}/change/",
    "request": lambda run_id: f"/admin/sagas/approval/{request_of(run_id)}/change/",
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_names_a_run_has_its_title(boss: Client, run_id: UUID, page: str) -> None:
    answer = boss.get(PAGES[page](run_id))
    html = answer.content.decode()
    assert answer.status_code == 200
    assert escape(TITLE) in html
    assert TITLE not in html, "it is escaped"


@pytest.mark.parametrize("page", ["list", "overview", "batch"])
def test_a_run_without_a_title_leaves_no_empty_line(boss: Client, known: Known, page: str) -> None:
    untitled = stopped(saga_of(known, Actor()), 1)[0]
    html = boss.get(PAGES[page](untitled)).content.decode()
    assert str(untitled) in html
    assert "saga-title" not in html


def test_a_long_title_is_cut_in_a_list_and_whole_under_the_pointer(
    boss: Client, run_id: UUID
) -> None:
    Run.objects.update(title=LONG)
    html = boss.get("/admin/sagas/run/").content.decode()
    assert f'<bdi title="{LONG}">{LONG[:80]}…</bdi>' in html


def test_the_api_gives_titles(boss: Client, run_id: UUID) -> None:
    batch = batch_of(run_id)
    (listed,) = boss.get("/api/runs").json()["runs"]
    (item,) = boss.get(f"/api/batches/{batch.pk}/items").json()["items"]
    one = boss.get(f"/api/runs/{run_id}").json()
    assert one["title"] == listed["title"] == item["title"] == TITLE


def test_a_batch_goes_on_naming_a_run_that_is_gone_by_its_key(boss: Client, run_id: UUID) -> None:
    batch = batch_of(run_id)
    Run.objects.get(pk=run_id).delete()
    (item,) = boss.get(f"/api/batches/{batch.pk}/items").json()["items"]
    assert (item["key"], item["title"]) == ("flow:0", "")


def said(*words: str) -> str:
    out = io.StringIO()
    call_command("sagas", *words, stdout=out)
    return out.getvalue()


def test_the_command_line_tells_titles(run_id: UUID) -> None:
    assert TITLE in said("runs")
    assert TITLE in said("run", str(run_id)).splitlines()[1]
    assert json.loads(said("run", str(run_id), "--json"))["title"] == TITLE
    assert TITLE in said("show-batch", str(batch_of(run_id).pk))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_export_has_titles(boss: Client, run_id: UUID, kind: str) -> None:
    answer: Any = boss.get(f"/admin/sagas/run/export/?format={kind}")
    assert TITLE in b"".join(answer.streaming_content).decode()


def test_code_that_reads_a_run_gets_its_title(run_id: UUID) -> None:
    assert get_run(run_id).title == TITLE
