"""Since when runs need attention: that of the failure, whatever is done to the run meanwhile."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client

from sagas.models import Event, Run
from sagas.operate.assign import assign
from sagas.operate.attention import since
from sagas.operate.groups import error_groups
from sagas.operate.overview import overview
from sagas.operate.pause import pause
from sagas.operate.retry import retry
from tests.sagas.operate.batches import operator, saga_of, stopped
from tests.sagas.operate.parked import WHY
from tests.sagas.operate.rows import a_run
from tests.sagas.stage import Actor, Known, carried, run_of
from tests.sagas.statements import counted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


@pytest.fixture
def run_id(known: Known) -> UUID:
    """A run that was started, and stopped some time later."""
    (run_id,) = stopped(saga_of(known, Actor()), 1)
    return run_id


def ages(run_id: UUID) -> set[datetime]:
    """When the run stopped, as each door tells it."""
    (group,) = error_groups(None)
    seen = overview(User.objects.create_superuser(f"root {User.objects.count()}"))
    return {group.first, group.last, seen.stopped[run_id], since([run_of(run_id)])[run_id]}


def failed_at(run_id: UUID) -> datetime:
    return Event.objects.filter(run=run_id, new="needs_attention").latest("id").at


def test_the_age_is_that_of_the_failure_whatever_is_done_to_the_run(run_id: UUID) -> None:
    failed = failed_at(run_id)
    assert failed > run_of(run_id).created_at
    assert ages(run_id) == {failed}
    assign(run_id, "", by=operator("bob"), reason="mine")
    pause(run_id, **WHY)
    Event.objects.create(run_id=run_id, old="needs_attention", new="needs_attention", epoch=1)
    assert ages(run_id) == {failed}


def test_a_run_that_stops_again_has_stopped_then(run_id: UUID) -> None:
    failed = failed_at(run_id)
    retry(run_id, "b", **WHY)
    assert since([run_of(run_id)]) == {}, "it does not need attention now"
    carried(run_id, "b")
    again = failed_at(run_id)
    assert again > failed
    assert ages(run_id) == {again}


def test_a_group_is_told_with_its_first_and_last_failure(known: Known) -> None:
    first, second = stopped(saga_of(known, Actor()), 2)
    (group,) = error_groups(None)
    assert (group.first, group.last) == (failed_at(first), failed_at(second))
    retry(first, "b", **WHY)
    carried(first, "b")
    (group,) = error_groups(None)
    assert (group.first, group.last) == (failed_at(second), failed_at(first))


def test_pages_and_api_tell_it(client: Client, run_id: UUID) -> None:
    client.force_login(User.objects.create_superuser("ann"))
    stamp = f'datetime="{failed_at(run_id).isoformat(timespec="seconds")}"'
    for page in ("/admin/sagas/", "/admin/sagas/run/", "/admin/sagas/run/errors/"):
        assert stamp in client.get(page).content.decode(), page
    shown = client.get(f"/admin/sagas/run/{run_id}/change/").content.decode()
    clock = f"{failed_at(run_id):%Y-%m-%d %H:%M:%S} UTC"
    assert "needs attention for" in shown
    assert clock in shown
    told = client.get(f"/api/runs/{run_id}").json()
    assert datetime.fromisoformat(told["attention_since"]).replace(microsecond=0) == failed_at(
        run_id
    ).replace(microsecond=0)
    assert told["state_reason"] == f"waits for an operator since {clock.partition(' ')[2]}"


def test_it_is_read_in_one_statement_for_many_and_in_none_for_no_run() -> None:
    runs = [a_run(str(n), "needs_attention") for n in range(20)]
    with counted() as statements:
        assert since(runs) == {}, "hand-made rows have no events"
    assert len(statements) == 1
    with counted() as statements:
        assert since(Run(status="running") for _ in range(2)) == {}
    assert len(statements) == 0
