"""What Google's APIs say of their quotas: in the body of an error, which all of them have alike.

See "Errors" of Google's API design guide: a status such as RESOURCE_EXHAUSTED, and among the
details perhaps a RetryInfo.
"""

from __future__ import annotations

import re

from integrations.call import MAX_QUOTA, Call, retry_after
from integrations.errors import PartnerError
from integrations.http.exchange import Reply, text, word

A_MINUTE = 60.0
"""Seconds that a quota is taken to last of which nothing else is said: most are a minute's."""
_MOST_DETAILS = 10


def failure(call: Call, reply: Reply, code: str = "") -> PartnerError:
    """The error that an answer means; `code` is its own word for it, if it has another."""
    status = word(reply, "error", "status")
    if status == "RESOURCE_EXHAUSTED":
        return spent(call, reply, code or status)
    return call.failure(reply.status, reply.headers, code or status)


def spent(call: Call, reply: Reply, code: str) -> PartnerError:
    """A rate or a quota, for which Google has one word: how long it lasts tells them apart."""
    detail, told = f"answered {reply.status} {code}", _told(reply)
    if told is None:
        return call.quota_spent(detail, {}, A_MINUTE)
    return call.over_limit(detail, told)


def _told(reply: Reply) -> float | None:
    """The Retry-After, else the retryDelay of a RetryInfo, which is written like 30s or 3.5s."""
    if (asked := retry_after(reply.headers, MAX_QUOTA)) is not None:
        return asked
    for number in range(_MOST_DETAILS):
        said = text(reply, "error", "details", number, "retryDelay")
        if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?s", said):
            return float(said[:-1])
    return None
