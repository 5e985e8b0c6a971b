"""Asking a token endpoint for an access token: the client-credentials and refresh-token grants.

RFC 6749, sections 4.4 and 6, with the client's secret in the body, as both HubSpot and Salesforce
take it (section 2.3.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from integrations import http
from integrations.call import Call
from integrations.errors import PartnerError

TIMEOUT = 10.0
"""Seconds that a token endpoint may take: others wait for the answer."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at a partner, and where it gives out tokens."""

    partner: str
    client_id: str
    client_secret: SecretStr
    token_url: str


class Denied(Exception):
    """The token endpoint said no: `code` is one of RFC 6749, section 5.2, or the status."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _sendable(token: SecretStr) -> SecretStr:
    """Fit for a header: visible ASCII (RFC 6749, appendix A.12)."""
    if not re.fullmatch(r"[!-~]{1,10000}", token.get_secret_value()):
        raise ValueError("is no token")
    return token


_Token = Annotated[SecretStr, AfterValidator(_sendable)]


class Grant(BaseModel):
    """What a token endpoint gives. Without `refresh_token` the one that was used stays valid."""

    token_type: Annotated[str, Field(pattern="^(?i:bearer)$")]
    access_token: _Token
    refresh_token: _Token | None = None
    expires_in: Annotated[float, Field(ge=0, le=10 * 365 * 86400)] | None = None

    @property
    def lifetime(self) -> float | None:
        """Seconds for which it is used: a little less than it is valid."""
        if self.expires_in is None:
            return None
        return self.expires_in - min(30.0, self.expires_in / 10)


def by_credentials(client: Client, within: float) -> Grant:
    """Ask with our id and secret alone. Raises Denied or PartnerError; repeats are harmless."""
    call = Call.within(min(within, TIMEOUT), client.partner, "ask_for_token", writes=False)
    return _ask(call, client, grant_type="client_credentials")


def by_refresh_token(client: Client, refresh: str, within: float) -> Grant:
    """Ask with a refresh token, which may be used up by that.

    Raises Denied, PartnerUnavailable (surely nothing was used up) or PartnerUnknown.
    """
    call = Call.within(min(within, TIMEOUT), client.partner, "refresh_token")
    return _ask(call, client, grant_type="refresh_token", refresh_token=refresh)


def _ask(call: Call, client: Client, **asked: str) -> Grant:
    secret = client.client_secret.get_secret_value()
    form = urlencode({**asked, "client_id": client.client_id, "client_secret": secret})
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    reply = http.send(call, "POST", client.token_url, headers=headers, content=form.encode())
    if reply.status != 200:
        raise _failure(call, reply)
    return call.shape(Grant, http.parse(call, reply))


_TRY_LATER = (408, 425, 429)
_AT_WORK = ("token request is already being processed", "expired authorization code")
"""Descriptions of Salesforce's `invalid_grant` while another request with the same refresh token is
at work: the token is good. The second is what it said before September 2024."""


def _failure(call: Call, reply: http.Reply) -> PartnerError | Denied:
    # The `error` of RFC 6749, section 5.2, or HubSpot's `status`.
    code = http.word(reply, "error") or http.word(reply, "status")
    if reply.status in _TRY_LATER or reply.status >= 500:
        return call.failure(reply.status, reply.headers, code)
    if code == "unknown_error":  # Salesforce's, of status 400: its own trouble
        return call.unknown(f"answered {reply.status} {code}")
    if http.text(reply, "error_description").lower() in _AT_WORK:
        return call.unavailable(f"answered {reply.status} {code}: another request is at work")
    return Denied(code or f"status {reply.status}")
