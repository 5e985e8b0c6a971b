"""Who acts on what they saw before is told what changed since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User

from sagas import record
from sagas.errors import VerbRefused
from sagas.operate.assign import assign
from sagas.operate.pause import pause
from sagas.operate.resolve import resolve
from sagas.operate.retry import retry
from sagas.testing.post import Post
from tests.sagas.operate.parked import WHY, Person, settled, stopped_past_the_pivot, stopped_undoing
from tests.sagas.stage import Actor, Known, row

pytestmark = pytest.mark.django_db(transaction=True)
BEA: dict[str, Any] = {"by": Person("bea"), "reason": "mine"}


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def refused(run_id: UUID, moves: Callable[[], object]) -> str:
    seen = record.read(run_id).imprint
    moves()
    with pytest.raises(VerbRefused) as caught:
        resolve(run_id, seen=seen, **WHY)
    return str(caught.value)


def test_a_new_owner_is_told_and_not_that_the_run_is_as_it_was(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    user = User.objects.create_user("dee")
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    told = refused(run_id, lambda: assign(run_id, "dee", by=Person("bea")))
    assert f"Run {run_id} has moved since you looked: dee looks after it now." in told
    assert "The last to act was bea (assign, " in told


def test_a_run_that_goes_on_is_told_with_who_made_it(known: Known, actor: Actor) -> None:
    run_id = stopped_undoing(known, actor)
    told = refused(run_id, lambda: retry(run_id, "b", **BEA))
    assert "it is compensating, undo of b is ready now." in told
    assert "The last to act was bea (retry undo of b, " in told


def test_a_step_that_failed_once_more_is_told_although_the_run_stands_as_before(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = stopped_past_the_pivot(known, actor)

    def again() -> None:
        retry(run_id, "b", **BEA)
        settled(post, run_id)

    told = refused(run_id, again)
    assert row(run_id, "b").attempt == 2
    assert "has moved since you looked: b has failed (attempt 2) now." in told


def test_what_is_no_move_of_the_run_lets_one_act(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    seen = record.read(run_id).imprint
    pause(run_id, **BEA)
    assert resolve(run_id, seen=seen, **WHY) == "resolved"
