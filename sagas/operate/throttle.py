"""How often the same caller may try something: a password, a changing request, a stranger's form.

Counted in the database, which what is asked for needs anyway: so it holds with Redis away. A count
begins anew some time after its first attempt, and what is refused meanwhile prolongs nothing, so
nobody is locked out for ever.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from sagas import db
from sagas.conf import conf

A_MINUTE, AN_HOUR = 60, 3600
QUARTER = 15 * A_MINUTE
_LONGEST = AN_HOUR

# Counted before anything is done: of many who try at once none passes uncounted.
_COUNT = """
INSERT INTO sagas_loginattempts AS a (key, attempts, since)
SELECT key, 1, clock_timestamp() FROM unnest(%(keys)s::text[]) AS key ORDER BY key
ON CONFLICT (key) DO UPDATE SET
  attempts = CASE WHEN a.since < clock_timestamp() - %(seconds)s * interval '1 second'
    THEN 1 ELSE least(a.attempts + 1, 1000000) END,
  since = CASE WHEN a.since < clock_timestamp() - %(seconds)s * interval '1 second'
    THEN clock_timestamp() ELSE a.since END
RETURNING key, attempts,
  extract(epoch FROM since - clock_timestamp())::float8 + %(seconds)s::float8"""
_PRUNE = """
WITH old AS (
  SELECT key FROM sagas_loginattempts
  WHERE since < clock_timestamp() - %(longest)s * interval '1 second'
  ORDER BY since LIMIT 100 FOR UPDATE SKIP LOCKED)
DELETE FROM sagas_loginattempts WHERE key IN (SELECT key FROM old)"""
_FORGIVE = """
UPDATE sagas_loginattempts SET attempts = greatest(attempts - 1, 0) WHERE key = ANY(%(keys)s)"""
_OVER = """
SELECT extract(epoch FROM since - clock_timestamp())::float8 + %(seconds)s::float8
FROM sagas_loginattempts WHERE key = ANY(%(keys)s) AND attempts >= %(most)s
  AND since >= clock_timestamp() - %(seconds)s * interval '1 second'"""


class Throttled(Exception):
    """Too many attempts; ``retry_after`` is in whole seconds, ``first`` whether this began it."""

    def __init__(self, what: str, wait: float, *, first: bool = False, instead: str = "") -> None:
        self.retry_after, self.first = max(1, math.ceil(wait)), first
        minutes = math.ceil(self.retry_after / 60)
        plural = "" if minutes == 1 else "s"
        super().__init__(f"Too many {what}. Try again in {minutes} minute{plural}{instead}.")


@dataclass(frozen=True, slots=True)
class Door:
    """A door for callers whom nobody knows: how often what is behind it may be asked for.

    Attributes:
        name: what is asked for there, as in ``sign-ups``; counted by itself.
        per_address: from one address, in 15 minutes. Behind it there may be a whole office.
        in_all: from all addresses together, in a minute; None: any number.
        mails: to one person's mail address, in an hour, by all doors with such a limit together.
    """

    name: str
    per_address: int
    in_all: int | None = None
    mails: int | None = None

    def look(self, request: HttpRequest, mail: str = "") -> None:
        """Refuse somebody who would be refused, without a write: a flood costs little here.

        Raises:
            Throttled: there were too many.
        """
        prune()
        for limits, seconds, what in self._limits(request, mail):
            for key, most in limits.items():
                if (wait := left([key], most, seconds)) is not None:
                    raise Throttled(what, wait)

    def enter(self, request: HttpRequest, mail: str = "") -> None:
        """Count somebody who asks for something.

        Called in the transaction in which it is begun, as its last statement, it counts just what
        is begun: who sends the same again begins nothing.

        Args:
            mail: the address that a mail will go to.

        Raises:
            Throttled: there were too many. Who is refused by a limit of their own does not count
                for all: one caller shuts the door on nobody else.
        """
        for limits, seconds, what in self._limits(request, mail):
            count(limits, seconds, what=what)

    def _limits(
        self, request: HttpRequest, mail: str
    ) -> Iterator[tuple[Mapping[str, int], int, str]]:
        place = f"door {self.name}"
        mine = {hashed(place, network): self.per_address for network in networks(request)}
        yield mine, QUARTER, f"{self.name} from your address"
        if self.mails is not None and mail:
            person = hashed("mail", _mailbox(mail))
            yield {person: self.mails}, AN_HOUR, "requests for this e-mail address"
        if self.in_all is not None:
            yield {hashed("door", self.name): self.in_all}, A_MINUTE, f"{self.name} at present"


def count(limits: Mapping[str, int], seconds: int, *, what: str, instead: str = "") -> None:
    """Count an attempt by some keys, each of which has its limit.

    Args:
        limits: how many there may be, by keys that ``hashed`` made.
        seconds: from the first attempt of a count until it begins anew; an hour at most.
        what: what there would be too many of.
        instead: what else one can do, for the message.

    Raises:
        Throttled: there were too many by one of them.
    """
    if not limits:
        return
    rows = db.execute(_COUNT, {"keys": list(limits), "seconds": seconds})
    over = [
        (attempts - limits[key], left) for key, attempts, left in rows if attempts > limits[key]
    ]
    if over:
        wait, began = max(left for _, left in over), any(by == 1 for by, _ in over)
        raise Throttled(what, wait, first=began, instead=instead)


def prune() -> None:
    """Remove counts that are over, a hundred at a time.

    Not where attempts are counted, which may be in a caller's transaction: others would wait there
    for the rows that it has removed, and it for theirs.
    """
    db.execute(_PRUNE, {"longest": _LONGEST})


def forgive(keys: Sequence[str]) -> None:
    """Take back an attempt that was counted by these keys."""
    db.execute(_FORGIVE, {"keys": list(keys)})


def left(keys: Sequence[str], most: int, seconds: int) -> float | None:
    """Until when one of these keys has had its attempts, in seconds; None: none has. No write."""
    over = db.execute(_OVER, {"keys": list(keys), "most": most, "seconds": seconds})
    return max((wait for (wait,) in over), default=None)


def hashed(kind: str, value: str) -> str:
    """The key to count a value by. Not the value itself: it may be personal, or a password."""
    return salted_hmac("sagas.throttle", f"{kind}:{value}", algorithm="sha256").hexdigest()


def client_address(request: HttpRequest) -> str:
    """Where a request comes from: as our own proxies say, of which ``SAGAS`` tells how many.

    Each adds the address that it was called from to ``X-Forwarded-For``; whatever stands before
    what ours have added, anybody may have written.
    """
    direct = str(request.META.get("REMOTE_ADDR", ""))
    proxies = conf().TRUSTED_PROXIES
    told = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    named = told[-proxies].strip() if 0 < proxies <= len(told) else ""
    return named if _address(named) is not None else direct


def networks(request: HttpRequest) -> list[str]:
    """Where it comes from: of IPv6 the network, of which one person has all addresses."""
    address = _address(client_address(request))
    if address is None:  # as behind a socket
        return []
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return [str(ip_network((address, 64), strict=False))]
    return [str(getattr(address, "ipv4_mapped", None) or address)]


def _address(named: str) -> object | None:
    try:
        return ip_address(named)
    except ValueError:
        return None


def _mailbox(address: str) -> str:
    """The person behind it: in small letters, without what stands after a plus."""
    name, _, domain = address.strip().casefold().rpartition("@")
    return f"{name.partition('+')[0]}@{domain}"
