"""The access token of one account: read while it is valid, else renewed by one caller for all."""

from __future__ import annotations

import logging
from typing import Literal, NoReturn

from django.core.exceptions import ImproperlyConfigured

from integrations.call import Call
from integrations.errors import NotAsked, PartnerUnavailable, PartnerUnknown
from integrations.oauth import flows, store
from integrations.oauth.exchange import Access
from integrations.oauth.flows import Client, Denied, Grant
from integrations.oauth.models import Token
from integrations.oauth.sealing import Unreadable

logger = logging.getLogger("integrations.oauth")

WAIT = 2.0
"""Seconds to wait for somebody else who is renewing the token: a token endpoint that hangs must not
hold all workers ..."""
AGAIN = 5.0
"""... and seconds until another try, if that was too short."""
PATIENCE = 300.0
"""Seconds until another try when a person is needed first."""


class Tokens:
    """Where an account's access token comes from: its row, which all processes share.

    `grant`: what it is renewed by. Each method raises PartnerUnavailable if there is no token to be
    had: nothing was asked of the partner's own service. It is a NotAsked where only a person or
    another process can help.
    """

    def __init__(
        self, client: Client, grant: Literal["client_credentials", "refresh_token"]
    ) -> None:
        self._client = client
        self._grant = grant

    def current(self, call: Call) -> Access:
        """A valid access token, renewed if it has to be."""
        token = store.read(self._client.partner, self._client.client_id)
        if token is not None and token.is_fresh:
            return self._opened(call, token)
        return self._renewed(call, token.generation if token else 0)

    def renewed(self, call: Call, refused: Access) -> Access:
        """Another one than the partner refused, asked for unless somebody else did meanwhile."""
        return self._renewed(call, refused.generation)

    def _renewed(self, call: Call, generation: int) -> Access:
        call.check_time()
        client = self._client
        failure: Exception | None = None
        try:
            patience = min(call.remaining, WAIT)
            with store.locked(client.partner, client.client_id, patience) as token:
                if not token.is_fresh or token.generation == generation:
                    try:
                        token = self._ask(call, token)
                    except (PartnerUnavailable, PartnerUnknown, Denied) as error:
                        # Raised once the block has committed what is known about it.
                        failure = error
        except store.Busy:
            self._refuse(call, "another process is still asking for an access token", AGAIN)
        except ImproperlyConfigured as error:
            self._refuse(call, str(error), PATIENCE)
        if failure is not None:
            self._fail(call, failure)
        return self._opened(call, token)

    def _ask(self, call: Call, token: Token) -> Token:
        """A renewed token; else the row says what it has to, and an error what happened."""
        refreshes = self._grant == "refresh_token"
        if token.attention and refreshes:
            raise Denied(token.attention)
        try:
            return store.replace(token, self._granted(call, token))
        except PartnerUnknown:
            store.note_unanswered(token)
            raise
        except Denied as denied:
            if denied.code in _USED_UP and refreshes:
                store.need_attention(token, _why(token))
                logger.error("%s: %s", self._client.partner, _why(token))
            raise

    def _granted(self, call: Call, token: Token) -> Grant:
        if self._grant == "client_credentials":
            return flows.by_credentials(self._client, call.remaining)
        if token.refresh is None:
            raise Denied("no refresh token is stored; `manage.py oauth authorize` takes one")
        try:
            refresh = token.refresh.open()
        except Unreadable as error:
            raise Denied(str(error)) from None
        return flows.by_refresh_token(self._client, refresh, call.remaining)

    def _opened(self, call: Call, token: Token) -> Access:
        assert token.access is not None, "what is fresh or was just renewed has one"
        try:
            return Access(token.access.open(), token.generation)
        except (Unreadable, ImproperlyConfigured) as error:
            self._refuse(call, str(error), PATIENCE)

    def _fail(self, call: Call, failure: Exception) -> NoReturn:
        if isinstance(failure, Denied):
            cure = _CURES.get(failure.code, "") if self._grant == "client_credentials" else ""
            self._refuse(call, f"no access token: {failure.code}{cure}", PATIENCE)
        if isinstance(failure, NotAsked):
            raise failure
        wait = getattr(failure, "retry_after", None)
        raise call.unavailable(f"no access token: {failure}", wait) from failure

    def _refuse(self, call: Call, why: str, wait: float) -> NoReturn:
        raise NotAsked(call.partner, call.operation, why, wait)


_USED_UP = {"invalid_grant", "BAD_REFRESH_TOKEN"}
"""Codes that say of a refresh token that it is good no more: only a person can get another."""
_CURES = {
    "invalid_grant": ": see there that the user whom our client id runs as is active and may sign "
    "in from here; it is asked again in five minutes",
    "invalid_client": ": compare our client id and secret with those there",
}
"""What to do about a refusal of our id and secret, with which no refresh token has to do."""


def _why(token: Token) -> str:
    if token.unanswered_at is None:
        reason = "the partner takes the refresh token no more"
    else:
        when = token.unanswered_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        reason = f"the answer of {when} to a refresh token was lost, and with it the next one"
    return f"{reason}: authorize us anew and store the new one with `manage.py oauth authorize`"
