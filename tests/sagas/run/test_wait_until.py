"""Waiting until a point in time, which is fixed when the step is reached."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from sagas.api import cancel, retry, wait_until
from sagas.models import Step
from sagas.run import dispatch
from sagas.run.recover import sweep
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.stage import Actor, Known, begun, carried, lapse, row, run_of, states, status

pytestmark = pytest.mark.django_db
_SECOND = timedelta(seconds=1)


class Moments:
    """Gives three seconds from now, and notes how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, run: Any) -> Any:
        self.asked += 1
        return run.now + 3 * _SECOND


@pytest.fixture
def moments() -> Moments:
    return Moments()


@pytest.fixture
def run_id(known: Known, post: Post, moments: Moments) -> UUID:
    """A run that waits, and then does a step that looks at the time that it waited for."""
    actor = Actor()
    actor.answers["do after"] = lambda run: run.results["pause"].isoformat()
    run_id = begun(
        known(flow([wait_until("pause", lambda run: moments(run)), actor.step("after")]))
    )
    carried(run_id, "pause")
    assert states(run_id) == {"pause": "waiting", "after": "pending"}
    return run_id


def time_comes(run_id: UUID) -> datetime:
    """The time that the run waits for is now over. Gives it."""
    until = timezone.now() - _SECOND
    Step.objects.filter(run_id=run_id, name="pause").update(result=until.isoformat())
    lapse(run_id)
    return until


def test_a_time_computed_from_now_is_computed_once_and_comes(
    run_id: UUID, moments: Moments
) -> None:
    """Computed anew each time, it never came."""
    for _ in range(3):  # a hold is lifted, a message comes twice, a worker is lost
        lapse(run_id)
        carried(run_id, "pause")
        assert (moments.asked, states(run_id)["pause"]) == (1, "waiting")
    until = time_comes(run_id)
    carried(run_id, "pause")
    assert moments.asked == 1
    assert status(run_id) == "succeeded"
    assert datetime.fromisoformat(str(row(run_id, "after").result)) == until


def test_it_is_due_at_that_time_whenever_it_is_looked_at(run_id: UUID) -> None:
    until = datetime.fromisoformat(str(row(run_id, "pause").result))
    for _ in range(2):
        due_at = row(run_id, "pause").due_at
        assert due_at is not None
        assert abs((due_at - until).total_seconds()) < 1.1  # at least until the next sweep
        lapse(run_id)
        carried(run_id, "pause")


def test_a_worker_that_is_lost_while_it_looks_moves_no_time(
    run_id: UUID, moments: Moments, monkeypatch: pytest.MonkeyPatch
) -> None:
    lapse(run_id)
    with monkeypatch.context() as dying:
        dying.setattr(dispatch, "attempt", lambda *_: None)
        carried(run_id, "pause")
    assert states(run_id)["pause"] == "in_flight"
    time_comes(run_id)
    carried(run_id, "pause")
    assert (moments.asked, status(run_id)) == (1, "succeeded")


def test_a_sweep_sends_it_when_its_time_has_come(run_id: UUID, post: Post) -> None:
    time_comes(run_id)
    assert sweep() == 1
    assert post.deliver()
    assert status(run_id) == "succeeded"


def test_what_is_no_point_in_time_needs_attention_in_words_and_is_mended_by_a_retry(
    known: Known, post: Post
) -> None:
    given = [datetime(2030, 1, 1)]
    run_id = begun(known(flow([wait_until("pause", lambda run: given[0])])))
    carried(run_id, "pause")
    assert status(run_id) == "needs_attention"
    assert "must give an aware datetime or a timedelta, not a naive datetime" in (
        run_of(run_id).attention
    )
    given[0] = timezone.now() - _SECOND
    ann = User.objects.create_user("ann", is_superuser=True)
    retry(run_id, "pause", by=ann, reason="the code gives it a time zone now")
    carried(run_id, "pause")
    assert status(run_id) == "succeeded"


def test_the_time_is_forgotten_when_the_run_turns_back(
    known: Known, post: Post, moments: Moments, run_id: UUID
) -> None:
    """So that the step is one that was never reached."""
    assert cancel(run_id) == "compensated"
    found = row(run_id, "pause")
    assert (found.status, found.result) == ("pending", None)
    assert run_of(run_id).halt == "cancelled"
