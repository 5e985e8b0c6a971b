"""The tokens of a stand-in: what its token endpoint gives out, and which it still takes."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from integrations.sandbox.describe import FORM, TEXT, About, Schema, record

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - opens nothing but a stand-in


DENIAL = record({"error": TEXT, "error_description": TEXT})
"""How RFC 6749, section 5.2, says no."""


def token_about(errors: Schema) -> About:
    """What a token endpoint takes; `errors` is the form of its own."""
    client = {"client_id": TEXT, "client_secret": TEXT}
    takes = record({"grant_type": TEXT}, {**client, "refresh_token": TEXT})
    gives = {200: record({"access_token": TEXT, "token_type": TEXT})}
    return About("Give an access token.", gives, takes, errors=errors, media=FORM, open=True)


def basic(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The client that a header names, as RFC 6749, section 2.3.1, lets it; empty if none does."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return {}
    with suppress(ValueError):
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        return {"client_id": unquote(client_id), "client_secret": unquote(secret)}
    return {}


class Denied(Exception):
    """No token, and which error of RFC 6749, section 5.2, says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Granted:
    """A new access token, and the refresh token to use from now on, if there is one."""

    access: str
    refresh: str | None
    lifetime: float


class Grants:
    """Access tokens that expire after `lifetime` seconds; refresh tokens that may be replaced.

    `rotates`: a refresh token is good for one use, and its answer brings the next one.
    """

    def __init__(self) -> None:
        self.behave_as_usual()
        self._ends: dict[str, float] = {}
        self._refresh: set[str] = set()

    def behave_as_usual(self) -> None:
        """New tokens live for half an hour, and refresh tokens for ever."""
        self.lifetime = 1800.0
        self.rotates = False

    def authorize(self) -> str:
        """A refresh token, as a person's consent gives one."""
        token = f"refresh-{secrets.token_hex(16)}"
        self._refresh.add(token)
        return token

    def grant(self, params: Mapping[str, Any], kinds: tuple[str, ...]) -> Granted:
        """Answer a request for a token by one of the grants in `kinds`. Raises Denied."""
        kind = params.get("grant_type")
        if kind not in kinds:
            raise Denied("unsupported_grant_type")
        known = (params.get("client_id"), params.get("client_secret"))
        if known != (CLIENT_ID, CLIENT_SECRET):
            raise Denied("invalid_client")
        if kind == "client_credentials":
            return Granted(self._access(), None, self.lifetime)
        return self._refreshed(str(params.get("refresh_token", "")))

    def takes(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes with an access token that is still valid."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and time.monotonic() < self._ends.get(token, 0.0)

    def expire(self) -> None:
        """Take no access token any more that was given out until now."""
        self._ends.clear()

    def _refreshed(self, used: str) -> Granted:
        if used not in self._refresh:
            raise Denied("invalid_grant")
        if not self.rotates:
            return Granted(self._access(), used, self.lifetime)
        self._refresh.remove(used)
        return Granted(self._access(), self.authorize(), self.lifetime)

    def _access(self) -> str:
        token = f"access-{secrets.token_hex(16)}"
        self._ends[token] = time.monotonic() + self.lifetime
        return token
