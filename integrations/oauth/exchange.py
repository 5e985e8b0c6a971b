"""Requests that carry an access token.

Nothing here needs Django; `tokens`, whose rows do, is imported where a real client is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from integrations import http
from integrations.call import Call

PAUSE = 30.0
"""Seconds until another try when even a new token was refused: each try costs the token endpoint a
request, and steps that wait for the same partner may be many."""


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """An access token, for a header and nothing else. `generation` tells it from later ones."""

    secret: str
    generation: int = 0

    def __repr__(self) -> str:
        return f"<access token {self.generation}>"


class Source(Protocol):
    """Where access tokens come from: `tokens.Tokens`, or one that never changes."""

    def current(self, call: Call) -> Access:
        """One to send. Raises PartnerUnavailable."""

    def renewed(self, call: Call, refused: Access) -> Access:
        """One for a token that the partner refused: another one, if there is any."""


class FixedToken:
    """A token that is renewed by nobody, such as that of a HubSpot private app."""

    def __init__(self, secret: SecretStr) -> None:
        self._access = Access(secret.get_secret_value())

    def current(self, call: Call) -> Access:
        return self._access

    def renewed(self, call: Call, refused: Access) -> Access:
        return refused


def send(
    call: Call,
    source: Source,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    failure: http.Failure | None = None,
) -> http.Reply:
    """Send a request with a valid access token; one that is refused is renewed once.

    A 401 changed nothing, so the request may be sent again. Raises PartnerUnavailable also if the
    partner refuses the new token too, and what `http.send` raises.
    """

    def ask(access: Access) -> http.Reply:
        bearer = {"Authorization": f"Bearer {access.secret}", **(headers or {})}
        return http.send(call, method, url, headers=bearer, content=content, failure=failure)

    access = source.current(call)
    reply = ask(access)
    if reply.status == 401:
        newer = source.renewed(call, access)
        reply = reply if newer.generation == access.generation else ask(newer)
    if reply.status == 401:
        raise call.unavailable("answered 401: it takes our access token no more", PAUSE)
    return reply
