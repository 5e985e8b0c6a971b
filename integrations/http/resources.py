"""How our own partners' JSON services are spoken to: make a thing, undo it, find it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from integrations.call import Call
from integrations.http.exchange import Reply, parse, send, word


def make(call: Call, url: str, fields: Mapping[str, object], *, key: str) -> dict[str, Any]:
    """Ask for a thing with these fields; returns it as answered. Raises PartnerError."""
    content = json.dumps(fields).encode()
    reply = send(call, "POST", url, headers=_headers(key), content=content, tell_time=True)
    return _accepted(call, reply)


def undo(call: Call, url: str, thing_id: str, verb: str, *, key: str) -> None:
    """Ask for `verb` on a thing; one that is not there needs none. Raises PartnerError."""
    target = f"{url}/{quote(thing_id, safe='')}/{verb}"
    reply = send(call, "POST", target, headers=_headers(key), content=b"{}", tell_time=True)
    if reply.status != 404:
        _accepted(call, reply)


def find(
    call: Call, url: str, query: Mapping[str, str | None], *, status: str | None = None
) -> dict[str, Any] | None:
    """The newest thing that matches `query` and, if given, is in `status`. Raises PartnerError."""
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    things = _accepted(call, send(call, "GET", f"{url}?{asked}", tell_time=True)).get("data")
    if not isinstance(things, list) or not all(isinstance(thing, dict) for thing in things):
        raise call.unknown("answered with no list of things")
    found = [thing for thing in things if status in (None, thing.get("status"))]
    return found[-1] if found else None


def _headers(key: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "Idempotency-Key": key}


def _accepted(call: Call, reply: Reply) -> dict[str, Any]:
    if not 200 <= reply.status < 300:
        raise call.failure(reply.status, reply.headers, word(reply, "error", "code"))
    return parse(call, reply)
