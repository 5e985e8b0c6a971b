"""Publishing: a message is a hint, so one that cannot be sent is only logged."""

from __future__ import annotations

import logging
from typing import Any
from unittest.mock import patch

import pytest
from django.db import transaction
from kombu.exceptions import OperationalError

from sagas import record
from sagas.define.view import RunView, StepView
from sagas.run import points
from sagas.run.send import nothing, send, send_on_commit
from sagas.states import Direction
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork
from tests.sagas.stage import Known, begun, status

pytestmark = pytest.mark.django_db(transaction=True)
SAGA = flow(["a", fork("b", "c"), "d"])


@pytest.fixture
def ready(known: Known, post: Post) -> tuple[RunView, list[StepView]]:
    """A run, its first step, and an empty post office."""
    view = record.read(begun(known(SAGA)))
    post.drop_all()
    return view, view.rows(Direction.FORWARD)[:1]


def test_a_step_is_sent_as_a_message(ready: Any, post: Post) -> None:
    sent = post.count()
    assert send(SAGA, *ready)
    assert post.count() == sent + 1
    while post.deliver():
        pass
    assert status(ready[0].id) == "succeeded"


def test_nothing_is_sent_for_nothing(ready: Any, post: Post) -> None:
    sent = post.count()
    assert send(SAGA, ready[0], [])
    assert post.count() == sent


@pytest.mark.parametrize("error", [OperationalError("no route"), OSError(), RuntimeError("odd")])
def test_a_broker_that_is_away_is_logged_and_breaks_nothing(
    ready: Any, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    with (
        patch("celery.canvas._chain.apply_async", side_effect=error),
        patch("celery.canvas.Signature.apply_async", side_effect=error),
        caplog.at_level(logging.WARNING, "sagas.send"),
    ):
        assert not send(SAGA, *ready)
    assert f"Run {ready[0].id}: no message sent ({type(error).__name__})" in caplog.text
    assert "a sweep will send it" in caplog.text


def test_on_commit_is_after_the_commit(ready: Any, post: Post) -> None:
    sent = post.count()
    with transaction.atomic():
        send_on_commit(SAGA, *ready)
        assert post.count() == sent
    assert post.count() == sent + 1


def test_on_commit_is_never_after_a_rollback(ready: Any, post: Post) -> None:
    sent = post.count()
    with transaction.atomic():
        send_on_commit(SAGA, *ready)
        transaction.set_rollback(True)
    assert post.count() == sent


def test_without_a_transaction_it_is_at_once(ready: Any, post: Post) -> None:
    sent = post.count()
    send_on_commit(SAGA, *ready)
    assert post.count() == sent + 1


def test_a_message_that_breaks_does_not_keep_the_callers_other_work_from_being_done(
    ready: Any,
) -> None:
    done: list[str] = []
    with patch("sagas.run.send.reached", side_effect=RuntimeError), transaction.atomic():
        send_on_commit(SAGA, *ready)
        transaction.on_commit(lambda: done.append("mine"))
    assert done == ["mine"]


def test_a_crash_can_be_placed_between_the_commit_and_the_message(ready: Any, post: Post) -> None:
    sent, seen = post.count(), []
    with patch.object(points, "on_reached", lambda *at: seen.append((*at, post.count()))):
        send_on_commit(SAGA, *ready)
    assert seen[0] == ("K7", "", "", sent)


def test_one_who_is_no_worker_carries_nothing() -> None:
    assert not nothing("any", "thing")
