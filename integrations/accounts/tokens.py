"""The access token of a service account, got for a signed assertion (RFC 7523)."""

from __future__ import annotations

import threading
import time
from urllib.parse import urlencode

from integrations import http
from integrations.accounts.credentials import ServiceAccount
from integrations.call import Call
from integrations.errors import NotAsked
from integrations.oauth.exchange import Access
from integrations.oauth.flows import Grant

PATIENCE = 300.0
"""Seconds until another try when a person is needed first."""

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class AssertedTokens:
    """One token for this process, until it expires; it is a `Source` of `integrations.oauth`.

    It is kept in memory only: Google gives out as many as it is asked for and takes none back, so
    processes need not share one. A single thread asks; the others wait for its answer.
    """

    def __init__(self, account: ServiceAccount, url: str) -> None:
        self._account = account
        self._url = url
        self._lock = threading.Lock()
        self._access = Access("")
        self._until = 0.0

    def current(self, call: Call) -> Access:
        """A valid access token. Raises PartnerUnavailable."""
        return self._other_than(call, None)

    def renewed(self, call: Call, refused: Access) -> Access:
        """Another one than Google refused. Raises PartnerUnavailable."""
        return self._other_than(call, refused)

    def _other_than(self, call: Call, refused: Access | None) -> Access:
        if not self._lock.acquire(timeout=max(call.remaining, 0.0)):
            raise call.unavailable("no time was left to wait for an access token")
        try:
            stale = refused is not None and refused.generation == self._access.generation
            if stale or time.monotonic() >= self._until:
                self._ask(call)
            return self._access
        finally:
            self._lock.release()

    def _ask(self, call: Call) -> None:
        call.check_time()
        asking = Call.within(
            call.remaining, call.partner, "ask_for_token", writes=False, keyed=True
        )
        form = {
            "grant_type": _GRANT,
            "assertion": self._account.assertion(self._url, time.time()),
        }
        asked_at = time.monotonic()
        reply = http.send(
            asking,
            "POST",
            self._url,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            content=urlencode(form).encode(),
        )
        if reply.status in (400, 401, 403):
            # Only a person can mend a key or a clock.
            raise NotAsked(
                call.partner,
                call.operation,
                f"no access token: {http.word(reply, 'error') or reply.status}",
                PATIENCE,
            )
        if reply.status != 200:
            raise asking.failure(reply.status, reply.headers)
        grant = asking.shape(Grant, http.parse(asking, reply))
        self._access = Access(grant.access_token.get_secret_value(), self._access.generation + 1)
        self._until = asked_at + (grant.lifetime or 0.0)
