"""The ways in which senders sign, one file each.

Each has `key`, which makes of a secret as it is written down the one that signs, and `verify`,
which lets pass only what was signed with one of the keys, and lately. A list of keys is how one is
replaced: the old and the new hold side by side for a while.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Protocol

from integrations.webhooks.received import Forged, Received, Stale

WINDOW = 300
"""Seconds that a signature may be old, or ahead: what the schemes that have a time advise."""


class Scheme(Protocol):
    """One way to sign."""

    def key(self, secret: str) -> bytes:
        """What signs, from the secret as the sender shows it. Raises ValueError if it is none."""

    def verify(self, received: Received, keys: Sequence[bytes], now: float) -> None:
        """Let pass what was signed with one of `keys` about `now`. Raises Forged or Stale."""


def demand_one_of(given: Iterable[str], right: Iterable[bytes]) -> None:
    """Let pass if a given signature is a right one.

    Every pair is compared, each in a time that does not depend on what differs.

    Raises:
        Forged: none is.
    """
    shown = [text.encode("utf-8", "replace") for text in given]
    equal = [hmac.compare_digest(one, other) for other in right for one in shown]
    if not any(equal):
        raise Forged("The signature is not one of ours.")


def demand_recent(seconds: float, now: float) -> None:
    """Let pass what was signed within the window.

    Raises:
        Stale: it was signed before it, or after.
    """
    if abs(now - seconds) > WINDOW:
        raise Stale(f"The signature is of another time; it holds for {WINDOW} s. Sign it anew.")


def whole_number(text: str) -> int:
    """The number that a header holds.

    Raises:
        Forged: it holds none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise Forged("The signature's time is no number.")
    return int(text)


_DIGITS = 15
