from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied

from integrations.models import WebhookEvent
from integrations.webhooks import hint
from integrations.webhooks import replay as module
from integrations.webhooks.handlers import Unfit
from integrations.webhooks.replay import replay
from integrations.webhooks.work import work
from sagas.errors import VerbRefused
from sagas.models import AuditEntry
from tests.integrations.webhooks.inboxes import an_event, handling, kept

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> User:
    user = User.objects.create_user("olga", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="replay_webhookevent"))
    return user


def dead(event_id: str = "") -> WebhookEvent:
    def unfit(*_: Any) -> None:
        raise Unfit("no order")

    row = kept(an_event(event_id=event_id))
    with handling(unfit):
        work()
    row.refresh_from_db()
    assert row.status == "dead"
    return row


def test_a_dead_letter_is_handled_again_and_the_audit_says_so(operator: User) -> None:
    row = dead("msg_1")
    assert replay([row.pk], by=operator, reason="the order is there now") == 1
    with handling(lambda *_: "now it worked"):
        assert work() == 1
    row.refresh_from_db()
    assert (row.status, row.attempts, row.note) == ("done", 1, "now it worked")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.reason) == ("olga", "replay", "the order is there now")
    assert (entry.subject, entry.details) == (
        "webhook shipping msg_1",
        {"events": ["shipping msg_1"]},
    )


def test_what_nobody_handled_can_be_handled_when_somebody_does(operator: User) -> None:
    row = kept(an_event())
    work()
    replay([row.pk], by=operator, reason="there is a handler now")
    with handling(lambda *_: None):
        work()
    row.refresh_from_db()
    assert row.status == "done"


def test_what_is_done_or_waits_stays_as_it_is(operator: User) -> None:
    done, waits = kept(an_event()), kept(an_event("another.kind"))
    with handling(lambda *_: None):
        work(seconds=20)
    WebhookEvent.objects.filter(pk=waits.pk).update(status="received", finished_at=None)
    assert replay([done.pk, waits.pk], by=operator, reason="why not") == 0
    assert not AuditEntry.objects.exists()


def test_it_needs_the_permission_and_a_reason(operator: User) -> None:
    row = dead()
    with pytest.raises(PermissionDenied, match="replay_webhookevent"):
        replay([row.pk], by=User.objects.create_user("eve"), reason="because")
    with pytest.raises(VerbRefused, match="needs a reason"):
        replay([row.pk], by=operator, reason="  ")
    with pytest.raises(ValueError, match="too many"):
        replay(list(range(module.MOST + 1)), by=operator, reason="because")
    row.refresh_from_db()
    assert row.status == "dead"


def test_workers_are_told_when_it_is_committed(
    operator: User,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    sent: list[None] = []
    monkeypatch.setattr(hint, "send", lambda: sent.append(None))
    with django_capture_on_commit_callbacks(execute=True):
        replay([dead().pk], by=operator, reason="because")
        assert sent == []
    assert len(sent) == 1
