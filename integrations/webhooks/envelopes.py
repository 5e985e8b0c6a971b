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
from urllib.parse import unquote_to_bytes

from integrations.webhooks.received import Event, Malformed, Received, read_json
from integrations.webhooks.signatures import standard as standard_webhooks

_THIN = "v2.core.event"
_WORD = re.compile(r"[!-~]+")
_LONGEST_ID, _LONGEST_KIND = 200, 120
_MOST = 1000  # HubSpot sends 100 at most


def stripe(source: str, received: Received) -> list[Event]:
    """Stripe's event object, with the object that it is about or thin. Raises Malformed.

    Thin events write their times, with milliseconds: without those, what comes in both ways is of
    one moment.
    """
    text, document = _object(received.body)
    created = document.get("created")
    at = _written(created) if document.get("object") == _THIN else _moment(created)
    at = at and at.replace(microsecond=0)
    return [_event(source, document.get("id"), document.get("type"), text, at)]


def standard(source: str, received: Received) -> list[Event]:
    """What Standard Webhooks advises: the id in a header, and type, timestamp and data in the body.

    Raises Malformed.
    """
    text, document = _object(received.body)
    at = _written(document.get("timestamp"))
    event_id = standard_webhooks.event_id(received)
    return [_event(source, event_id, document.get("type"), text, at)]


def github(source: str, received: Received) -> list[Event]:
    """GitHub's payload, of a kind such as `issues.opened`. Raises Malformed."""
    payload = _payload(received.body)
    text, document = _object(payload)
    kind, action = received.headers.get("x-github-event", ""), document.get("action")
    event_id = f"sha256:{sha256(payload).hexdigest()}"
    whole = f"{kind}.{action}" if kind and isinstance(action, str) else kind
    return [_event(source, event_id, whole, text, None)]


def hubspot(source: str, received: Received) -> list[Event]:
    """HubSpot's list of events, of which each is kept by itself. Raises Malformed."""
    document = read_json(_text(received.body))
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


def _payload(body: bytes) -> bytes:
    """What GitHub tells, which its settings have it send as JSON or as a form with one field.

    The body says which: its header is not signed, and no JSON could be taken for such a form.
    """
    if not body.startswith(_FORM):
        return body
    encoded = body.removeprefix(_FORM)
    if b"&" in encoded:
        raise Malformed("The body is a form with more than a payload.")
    return unquote_to_bytes(encoded.replace(b"+", b" "))


_FORM = b"payload="


def _object(body: bytes) -> tuple[str, Mapping[str, Any]]:
    text = _text(body)
    document = read_json(text)
    if not isinstance(document, dict):
        raise Malformed("The body must be an object.")
    return text, document


def _text(body: bytes) -> str:
    try:
        return body.decode()
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
