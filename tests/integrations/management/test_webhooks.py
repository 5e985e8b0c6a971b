from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from integrations.models import WebhookEvent
from integrations.webhooks.handlers import Unfit
from integrations.webhooks.work import work
from sagas.models import AuditEntry
from sagas.operate.asker import Shell
from tests.integrations.webhooks.inboxes import an_event, handling, kept

pytestmark = pytest.mark.django_db


def said(*words: Any) -> str:
    out = StringIO()
    call_command("webhooks", *map(str, words), stdout=out)
    return out.getvalue().strip()


def dead(kind: str = "a.kind", source: str = "shipping") -> WebhookEvent:
    def unfit(*_: Any) -> None:
        raise Unfit("no such order")

    row = kept(an_event(kind, source=source))
    with handling(unfit, kind):
        work()
    return row


def test_events_are_counted_and_dead_letters_listed() -> None:
    kept(an_event("truck.washed", source="leads"))
    row = dead()
    assert [line.split() for line in said().splitlines()][1:] == [
        ["leads", "ignored", "1"],
        ["shipping", "dead", "1"],
    ]
    assert f"{row.pk}" in said("dead")
    assert "no such order" in said("dead", "--source", "shipping")
    assert "no such order" not in said("dead", "--source", "leads")


def test_dead_letters_are_replayed_by_number_or_all() -> None:
    rows = [dead() for _ in range(3)]
    one = said("replay", rows[0].pk, 2**40, "--reason", "mended")
    assert one == "1 will be handled again. 1 are not there, done, or waiting anyway."
    assert said("replay", "--dead", "--source", "leads", "--reason", "mended").startswith("0 will")
    assert said("replay", "--dead", "--reason", "mended") == "2 will be handled again."
    assert AuditEntry.objects.filter(verb="replay", actor__startswith="shell:").count() == 2
    with handling(lambda *_: None):
        assert said("work") == "3 handled."
    assert set(WebhookEvent.objects.values_list("status", flat=True)) == {"done"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["replay", "--reason", "x"], "by their numbers, or all"),
        (["replay", "1", "--dead", "--reason", "x"], "by their numbers, or all"),
        (["replay", "1", "--source", "leads", "--reason", "x"], "goes with --dead"),
        (["replay", "--dead"], "--reason"),
        (["replay", "0", "--reason", "x"], "'0' is no whole number from 1"),
        (["dead", "--limit", "x"], "'x' is no whole number from 1"),
        (["prune", "--older-than", "1h"], "kept for 7 days"),
        (["prune", "--older-than", "soon"], "no length of time"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        said(*words)


def test_what_is_long_over_is_removed_and_dead_letters_stay() -> None:
    lost, old, fresh, waits = dead(), kept(an_event()), kept(an_event()), kept(an_event())
    work()
    WebhookEvent.objects.filter(pk=waits.pk).update(status="received", finished_at=None)
    WebhookEvent.objects.filter(pk__in=[old.pk, lost.pk]).update(
        finished_at=F("finished_at") - timedelta(days=40)
    )
    assert said("prune", "--older-than", "30d") == "1 removed."
    entry = AuditEntry.objects.latest("number")
    assert (entry.verb, entry.details["events"]) == ("prune", 1)
    assert entry.actor == Shell().get_username()
    left = set(WebhookEvent.objects.values_list("pk", flat=True))
    assert left == {fresh.pk, lost.pk, waits.pk}
