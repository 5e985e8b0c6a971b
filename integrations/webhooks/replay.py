"""Replay: have events handled again that were given up or ignored, by order of a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models.functions import Now

from integrations.webhooks import hint
from integrations.webhooks.models import EventStatus, WebhookEvent
from sagas.operate import audit
from sagas.operate.verb import because

RIGHT = "integrations.replay_webhookevent"
MOST = 1000  #: events at once
AGAIN = (EventStatus.DEAD, EventStatus.IGNORED)
"""What can be handled again."""


class Operator(Protocol):
    """Who asks for it."""

    def has_perm(self, perm: str) -> bool: ...

    def get_username(self) -> str: ...


def replay(ids: Sequence[int], *, by: Operator, reason: str) -> int:
    """Have these events handled again, with all their attempts; in the audit. Gives how many.

    Those that are done, or wait anyway, stay as they are.

    Raises:
        django.core.exceptions.PermissionDenied: the person may not.
        sagas.errors.VerbRefused: there is no reason.
        ValueError: there are too many.
    """
    if not by.has_perm(RIGHT):
        raise PermissionDenied(
            f"This needs the permission {RIGHT!r}; an administrator can grant it."
        )
    why = because("replay", reason)
    if len(ids) > MOST:
        raise ValueError(f"{len(ids):,} events are too many: {MOST:,} at once.")
    with transaction.atomic():
        rows = WebhookEvent.objects.select_for_update().filter(pk__in=ids, status__in=AGAIN)
        again = [(row.pk, str(row)) for row in rows.order_by("pk").only("source", "event_id")]
        if again:
            _revive([number for number, _ in again])
            _note([name for _, name in again], by, why)
            transaction.on_commit(hint.send, robust=True)
    return len(again)


def _revive(ids: Sequence[int]) -> None:
    WebhookEvent.objects.filter(pk__in=ids).update(
        status=EventStatus.RECEIVED, attempts=0, due_at=Now(), finished_at=None, note=""
    )


def _note(names: Sequence[str], by: Operator, why: str) -> None:
    subject = f"webhook {names[0]}" if len(names) == 1 else f"{len(names)} webhook events"
    audit.append(
        actor=by,
        verb="replay",
        reason=why,
        subject=subject,
        details={"events": list(names)},
    )
