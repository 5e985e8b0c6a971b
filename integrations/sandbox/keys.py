"""Idempotency keys, as Stripe documents them: one key, one request, one stored answer."""

from __future__ import annotations

import time
from dataclasses import dataclass

from integrations.sandbox.service import Answer


@dataclass(slots=True)
class _Entry:
    fingerprint: str
    made_at: float
    ready_at: float
    answer: Answer | None


class InUse(Exception):
    """The first request with this key is still at work."""


class OtherRequest(Exception):
    """This key was first used for another request."""


KEPT = 24 * 3600.0
"""Seconds that a key is remembered, unless a test says otherwise."""


class Keys:
    """The keys of one service. `lifetime` is how many seconds it remembers one."""

    def __init__(self) -> None:
        self.lifetime = KEPT
        self._entries: dict[str, _Entry] = {}
        self._ahead = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds

    def stored(self, key: str, fingerprint: str) -> Answer | None:
        """The answer to replay, or None for a key not seen. Raises InUse or OtherRequest."""
        entry = self._entries.get(key)
        if not key or entry is None or self._now() - entry.made_at > self.lifetime:
            return None
        if entry.fingerprint != fingerprint:
            raise OtherRequest
        if entry.answer is None or self._now() < entry.ready_at:
            raise InUse
        return entry.answer

    def store(
        self, key: str, fingerprint: str, answer: Answer | None, busy_for: float = 0.0
    ) -> None:
        """Remember the answer, in use for the first seconds; None: in use until stored again."""
        if key:
            now = self._now()
            self._entries[key] = _Entry(fingerprint, now, now + busy_for, answer)

    def _now(self) -> float:
        return time.monotonic() + self._ahead

    def clear(self) -> None:
        self._entries.clear()
