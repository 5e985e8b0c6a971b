"""Why no worker takes what has long been due, in words."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from sagas.management.timeline import timeline
from sagas.models import Run, Step, Worker
from sagas.operate.expected import Next
from sagas.operate.look import look
from sagas.run.workers import pin
from tests.sagas.flows import flow, simple
from tests.sagas.stage import Known, begun

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]

SAGA = flow([simple("a", queue="payments"), "b"], version=3)
UNREAD = "No living worker reads the queue 'payments'."
UNKNOWN = "No living worker knows version 3 of 'flow' as this run pins it."


@pytest.fixture
def run_id(known: Known) -> UUID:
    """A run whose first step has been due for two minutes, on a queue of its own."""
    run_id = begun(known(SAGA))
    past = timezone.now() - timedelta(seconds=120)
    Run.objects.update(wake_at=past)
    Step.objects.filter(name="a").update(due_at=past)
    return run_id


def lives(*queues: str, knows: bool) -> None:
    """A worker beats."""
    told = [pin(SAGA.name, SAGA.version, SAGA.fingerprint)] if knows else []
    until = timezone.now() + timedelta(seconds=30)
    Worker.objects.create(
        name="w", host="h", pid=1, lease_until=until, queues=list(queues), sagas=told
    )


def why(run_id: UUID) -> list[str]:
    return [one.because for one in look(run_id).expected if one.what is Next.NOBODY]


@pytest.mark.parametrize(
    ("queues", "knows", "expected"),
    [
        (["sagas", "payments"], True, []),
        (["sagas"], True, [UNREAD]),
        (["payments"], False, [UNKNOWN]),
        ([], True, []),  # it has not said what it reads
    ],
)
def test_it_is_said_who_is_missing(
    run_id: UUID, queues: list[str], knows: bool, expected: list[str]
) -> None:
    lives(*queues, knows=knows)
    assert why(run_id) == expected


@pytest.mark.parametrize(
    "values", [{"status": "needs_attention", "attention": "x"}, {"status": "succeeded"}]
)
def test_of_a_run_that_needs_no_worker_nothing_is_said(
    run_id: UUID, values: dict[str, str]
) -> None:
    over = timezone.now() if values["status"] == "succeeded" else None
    Run.objects.update(**values, finished_at=over)
    assert why(run_id) == []


def test_of_what_has_just_become_due_nothing_is_said(run_id: UUID) -> None:
    Step.objects.filter(name="a").update(due_at=timezone.now())
    assert why(run_id) == []


def test_the_page_the_list_and_the_command_say_so(run_id: UUID, client: Client) -> None:
    lives("sagas", knows=False)
    client.force_login(User.objects.create_superuser("ann"))
    page = client.get(f"/admin/sagas/run/{run_id}/change/").content.decode()
    listed = client.get("/admin/sagas/run/").content.decode()
    for shown in (page, listed):
        assert "living worker knows version 3 of" in shown
    assert f": {UNKNOWN[0].lower()}{UNKNOWN[1:]}" in " ".join(timeline(run_id).split())
