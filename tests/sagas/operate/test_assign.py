from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User

from sagas.errors import VerbRefused
from sagas.models import AuditEntry
from sagas.operate.assign import assign
from sagas.operate.resolve import resolve
from sagas.testing.post import Post
from tests.sagas.operate.parked import ANN, WHY, stopped_past_the_pivot
from tests.sagas.stage import Actor, Known, run_of, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def a_reader(name: str) -> User:
    user = User.objects.create_user(name)
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    return user


def test_a_run_is_given_to_somebody_and_taken_back(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    a_reader("bea")
    assert assign(run_id, "bea", **WHY) == "needs_attention"
    assert run_of(run_id).owner == "bea"
    assign(run_id, "", **WHY)
    assert run_of(run_id).owner == ""
    assert told(run_id).problems == []


def test_only_who_may_look_at_it_can_be_its_owner(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    User.objects.create_user("cid")
    gone = a_reader("dee")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    for name in ("cid", "dee", "nobody"):
        with pytest.raises(VerbRefused, match=f"No active user '{name}' may look"):
            assign(run_id, name, **WHY)


def test_a_run_that_is_over_has_no_new_owner_and_ended_when_it_ended(
    known: Known, actor: Actor
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    resolve(run_id, **WHY)
    ended = run_of(run_id).finished_at
    with pytest.raises(VerbRefused, match="nobody needs to look after it"):
        assign(run_id, "", **WHY)
    assert run_of(run_id).finished_at == ended


@pytest.mark.parametrize("why", [{}, {"reason": ""}, {"reason": "on call"}])
def test_it_need_not_be_said_why(known: Known, actor: Actor, why: dict[str, str]) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    assign(run_id, "", by=ANN, **why)
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.reason) == ("assign", why.get("reason", ""))
