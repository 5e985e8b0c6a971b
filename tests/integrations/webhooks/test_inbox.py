from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from integrations.models import WebhookEvent
from integrations.webhooks import inbox
from integrations.webhooks.models import EventStatus
from tests.integrations.webhooks.inboxes import an_event, due, kept

pytestmark = pytest.mark.django_db


def test_a_known_event_stays_as_it_is() -> None:
    row = kept(an_event(event_id="msg_1"))
    assert inbox.keep([an_event("another.kind", {"a": 1}, event_id="msg_1")]) == 0
    row.refresh_from_db()
    assert (row.kind, row.body) == ("a.kind", "{}")


def test_what_a_source_says_of_time_is_kept() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert kept(an_event(at=at)).occurred_at == at
    claim = inbox.claim()
    assert claim is not None
    assert claim.event.occurred_at == at


def test_a_claim_holds_until_its_lease_is_over() -> None:
    row = kept(an_event())
    first = inbox.claim()
    assert inbox.claim() is None
    due(row)
    second = inbox.claim()
    assert first is not None
    assert second is not None
    assert (first.attempt, second.attempt) == (1, 2)
    assert not inbox.finish(first, EventStatus.DONE)
    assert inbox.finish(second, EventStatus.DONE)
    assert not inbox.finish(second, EventStatus.DEAD, "twice")


def test_an_event_is_late_when_nobody_takes_it_for_some_seconds() -> None:
    assert not inbox.late()
    row = kept(an_event())
    assert not inbox.late()
    due(row)
    assert inbox.late()
    inbox.claim()
    assert not inbox.late()


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "lost"},
        {"status": "done"},
        {"finished_at": "2026-01-01T00:00:00Z"},
        {"status": "dead", "finished_at": "2026-01-01T00:00:00Z", "note": ""},
    ],
)
def test_the_database_refuses_what_makes_no_sense(wrong: dict[str, str]) -> None:
    row = kept(an_event())
    with pytest.raises(IntegrityError), transaction.atomic():
        WebhookEvent.objects.filter(pk=row.pk).update(**wrong)


def test_looking_for_work_reads_an_index_of_what_waits() -> None:
    inbox.keep([an_event(event_id=f"msg_{number}") for number in range(3000)])
    WebhookEvent.objects.filter(event_id__contains="1").update(status="done", finished_at=Now())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE integrations_webhookevent")
        for statement in (inbox._CLAIM, inbox._LATE):
            cursor.execute(f"EXPLAIN {statement}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Index" in plan.split("integrations_event_due")[0].rsplit("\n", 1)[-1], plan
            assert "Seq Scan" not in plan
