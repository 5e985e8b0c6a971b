"""The tokens of a stand-in: what its token endpoint gives out, and which it still takes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - opens nothing but a stand-in


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
        self.lifetime = 1800.0
        self.rotates = False
        self._ends: dict[str, float] = {}
        self._refresh: set[str] = set()

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
