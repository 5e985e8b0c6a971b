"""What each sender wraps its events in: where their ids, kinds and times stand.

What identifies an event must be signed: else whoever has seen one could send it under another id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from integrations.webhooks.received import Event, Malformed, Received, read_json
from integrations.webhooks.signatures import standard as standard_webhooks

_WORD = re.compile(r"[!-~]+")
_LONGEST_ID, _LONGEST_KIND = 200, 120
_MOST = 1000  # HubSpot sends 100 at most


def stripe(source: str, received: Received) -> list[Event]:
    """Stripe's event object. Raises Malformed."""
    text, document = _object(received)
    at = _moment(document.get("created"))
    return [_event(source, document.get("id"), document.get("type"), text, at)]


def standard(source: str, received: Received) -> list[Event]:
    """What Standard Webhooks advises: the id in a header, and type, timestamp and data in the body.

    Raises Malformed.
    """
    text, document = _object(received)
    at = _written(document.get("timestamp"))
    event_id = received.headers.get(standard_webhooks.ID)
    return [_event(source, event_id, document.get("type"), text, at)]


def github(source: str, received: Received) -> list[Event]:
    """GitHub's payload, of a kind such as `issues.opened`. Raises Malformed."""
    text, document = _object(received)
    kind, action = received.headers.get("x-github-event", ""), document.get("action")
    event_id = f"sha256:{sha256(received.body).hexdigest()}"
    whole = f"{kind}.{action}" if kind and isinstance(action, str) else kind
    return [_event(source, event_id, whole, text, None)]


def hubspot(source: str, received: Received) -> list[Event]:
    """HubSpot's list of events, of which each is kept by itself. Raises Malformed."""
    document = read_json(_text(received))
    if not isinstance(document, list) or not 0 < len(document) <= _MOST:
        raise Malformed(f"The body must be a list of 1 to {_MOST} events.")
    return list(_listed(source, document))


def _listed(source: str, document: list[Any]) -> Iterator[Event]:
    for told in document:
        if not isinstance(told, dict):
            raise Malformed("Each event must be an object.")
        # HubSpot does not promise that an eventId is used once, and counts its attempts within.
        same = {name: value for name, value in told.items() if name != "attemptNumber"}
        digest = sha256(_dumped(same).encode()).hexdigest()[:32]
        event_id = f"{str(told.get('eventId', ''))[:40]}:{digest}"
        at = _moment(told.get("occurredAt"), per_second=1000)
        yield _event(source, event_id, told.get("subscriptionType"), _dumped(told), at)


def _dumped(document: Mapping[str, Any]) -> str:
    """ASCII, so that half a surrogate pair stays what it was sent as."""
    try:
        return json.dumps(document, sort_keys=True)
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None


def _event(source: str, event_id: Any, kind: Any, body: str, at: datetime | None) -> Event:
    for name, value, limit in (("an id", event_id, _LONGEST_ID), ("a kind", kind, _LONGEST_KIND)):
        if not isinstance(value, str) or len(value) > limit or not _WORD.fullmatch(value):
            raise Malformed(
                f"The event needs {name} of 1 to {limit} printable characters without spaces."
            )
    return Event(source, event_id, kind, body, at)


def _object(received: Received) -> tuple[str, Mapping[str, Any]]:
    text = _text(received)
    document = read_json(text)
    if not isinstance(document, dict):
        raise Malformed("The body must be an object.")
    return text, document


def _text(received: Received) -> str:
    try:
        return received.body.decode()
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.") from None


def _moment(number: Any, per_second: int = 1) -> datetime | None:
    """A time in seconds, or in parts of them; None if there is none, or one that cannot be."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(number / per_second, UTC)
    return None


def _written(text: Any) -> datetime | None:
    with suppress(TypeError, ValueError, OverflowError):
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return None
