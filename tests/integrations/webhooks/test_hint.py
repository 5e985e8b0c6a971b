from __future__ import annotations

from unittest.mock import patch

import pytest
from celery import current_app

from integrations.tasks import handle_webhooks
from integrations.webhooks import hint, inbox
from integrations.webhooks.work import work
from sagas.signals import swept
from tests.integrations.webhooks.inboxes import an_event, due, handling, kept


@pytest.fixture(autouse=True)
def _no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hint, "_next_try", 0.0)


def test_the_task_of_that_name_is_ours() -> None:
    assert current_app.tasks[hint.TASK].name == handle_webhooks.name


def test_a_broker_that_is_away_holds_up_one_request_and_not_the_next() -> None:
    with patch.object(current_app, "send_task", side_effect=OSError("away")) as send_task:
        assert not hint.send()
        assert not hint.send()
    assert send_task.call_count == 1


def test_after_a_while_the_broker_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with patch.object(current_app, "send_task", side_effect=OSError("away")):
        hint.send()
    monkeypatch.setattr(hint, "_next_try", hint._next_try - hint._SILENT)
    with patch.object(current_app, "send_task") as send_task:
        assert hint.send()
    assert send_task.call_args.args == (hint.TASK,)


@pytest.mark.django_db
def test_a_message_that_was_lost_is_sent_again() -> None:
    row = kept(an_event())
    with patch.object(current_app, "send_task") as send_task:
        assert not hint.send_if_late()
        due(row)
        assert hint.send_if_late()
        assert send_task.call_count == 1
        inbox.claim()
        assert not hint.send_if_late()


@pytest.mark.django_db
def test_every_sweep_of_a_worker_looks_after_messages_that_were_lost() -> None:
    due(kept(an_event()))
    with patch.object(current_app, "send_task") as send_task:
        swept.send(sender=None)
    assert send_task.call_args.args == (hint.TASK,)


@pytest.mark.django_db
def test_the_task_handles_what_is_due() -> None:
    row = kept(an_event())
    with handling(lambda *_: None):
        handle_webhooks()
    row.refresh_from_db()
    assert row.status == "done"
    assert work() == 0
