"""Events in the inbox, and what handlers do in tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from jsonschema import Draft202012Validator

from integrations.models import WebhookEvent
from integrations.webhooks import handlers, inbox
from integrations.webhooks.handlers import Handler
from integrations.webhooks.received import Event


def an_event(
    kind: str = "a.kind",
    document: Any = None,
    *,
    source: str = "shipping",
    event_id: str = "",
    at: datetime | None = None,
) -> Event:
    body = json.dumps({} if document is None else document)
    return Event(source, event_id or f"msg_{uuid4().hex}", kind, body, at)


def kept(event: Event) -> WebhookEvent:
    """An event that has come in."""
    assert inbox.keep([event]) == 1
    return WebhookEvent.objects.get(source=event.source, event_id=event.id)


def due(row: WebhookEvent) -> None:
    """Let an event that waits for its next try be due."""
    WebhookEvent.objects.filter(pk=row.pk).update(due_at="2020-01-01T00:00:00Z")


@contextmanager
def handling(
    act: Callable[[Event, Any], str | None], kind: str = "a.kind", schema: Any = None
) -> Iterator[None]:
    """Let events of this kind be handled so, for the length of the block."""
    added = {("shipping", kind): Handler(act, Draft202012Validator(schema or {}))}
    with patch.dict(handlers._HANDLERS, added):
        yield
