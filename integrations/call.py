"""One call to a partner: how long it may take, and what its failures mean."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from integrations.errors import (
    OverLimit,
    PartnerError,
    PartnerRefused,
    PartnerUnavailable,
    PartnerUnknown,
    QuotaSpent,
)

MAX_RETRY_AFTER = 3600.0
"""Seconds of a partner's Retry-After that are believed ..."""
MAX_QUOTA = 24 * 3600.0
"""... and of a spent quota: one that lasts longer is told again."""
KEY_USED = frozenset({"idempotency_key_in_use", "idempotency_key_reused"})
"""Codes that prove a use of our key: by a request that is at work, or by one with other parameters,
as before a deployment. Whatever that one did may be there, or may yet come."""
TRY_LATER = frozenset({408, 425, 429, 503})
"""Statuses of which the same request may succeed later, since nothing happened."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a partner: who is asked for what, until when, and whether it changes anything.

    A failed read changed nothing, so all its failures are PartnerUnavailable.

    Attributes:
        deadline: when it must end, on the monotonic clock.
        writes: whether it changes anything at the partner.
        keyed: whether the partner makes of the same key one effect, so that it may be repeated.
        critical: whether a customer waits for it or money hangs on it; the rest makes room.
        credential: a short name of the account that the partner counts it on; never a secret.
        once: whether a repeat does it twice, and nobody can be asked whether it happened.
    """

    partner: str
    operation: str
    deadline: float
    writes: bool = True
    keyed: bool = False
    critical: bool = True
    credential: str = ""
    once: bool = False

    @classmethod
    def within(
        cls,
        timeout: float,
        partner: str,
        operation: str,
        *,
        writes: bool = True,
        keyed: bool = False,
        critical: bool = True,
        credential: str = "",
        once: bool = False,
    ) -> Call:
        """A call that must end `timeout` seconds from now."""
        deadline = time.monotonic() + timeout
        return cls(partner, operation, deadline, writes, keyed, critical, credential, once)

    @property
    def remaining(self) -> float:
        return self.deadline - time.monotonic()

    def check_time(self) -> None:
        """Raise PartnerUnavailable if there is no time left to ask anything."""
        if self.remaining <= 0:
            raise self.unavailable("no time was left to ask")

    def refused(self, detail: str) -> PartnerError:
        if not self.writes:
            return self.unavailable(detail)
        return PartnerRefused(self.partner, self.operation, detail)

    def unknown(self, detail: str) -> PartnerError:
        if not self.writes:
            return self.unavailable(detail)
        return PartnerUnknown(self.partner, self.operation, detail)

    def unavailable(self, detail: str, retry_after: float | None = None) -> PartnerError:
        return PartnerUnavailable(self.partner, self.operation, detail, retry_after)

    def over_limit(self, detail: str, retry_after: float | None = None) -> PartnerError:
        return OverLimit(self.partner, self.operation, detail, retry_after)

    def quota_spent(self, detail: str, headers: Mapping[str, str], guess: float) -> PartnerError:
        """What we may ask for is used up until its Retry-After, else for `guess` seconds."""
        told = retry_after(headers, MAX_QUOTA)
        return QuotaSpent(self.partner, self.operation, detail, guess if told is None else told)

    def shape(self, model: type[Model], data: object) -> Model:
        """`data` as a `model`; an answer that does not fit is as good as none."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
            raise self.unknown(f"answered with a {model.__name__} whose {wrong} is wrong") from None

    def failure(self, status: int, headers: Mapping[str, str], reason: str = "") -> PartnerError:
        """The error that an answer of `status` means; `reason` is the partner's own code for it."""
        detail = f"answered {status} {reason}".rstrip()
        if status == 429:
            return self.over_limit(detail, retry_after(headers, MAX_QUOTA))
        if status == 503 and self.once:
            # A proxy says so even after it has passed the request on.
            return self.unknown(detail)
        if status in TRY_LATER:
            return self.unavailable(detail, retry_after(headers))
        if reason in KEY_USED:
            return self.unknown(detail)
        return self.refused(detail) if 400 <= status < 500 else self.unknown(detail)


def retry_after(headers: Mapping[str, str], most: float = MAX_RETRY_AFTER) -> float | None:
    """Seconds that a Retry-After header asks for, at most `most`; None without a sensible one.

    Of several values, as proxies add them, the longest.
    """
    # Counted on the partner's own clock where it shows one.
    now = _seconds_since_epoch(headers.get("date", "")) or time.time()
    values = _VALUE.findall(headers.get("retry-after", ""))
    asked = [seconds for value in values if (seconds := _asked(value.strip(), now)) is not None]
    return min(max(asked), most) if asked else None


_VALUE = re.compile(r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,)?[^,]+")


def _asked(value: str, now: float) -> float | None:
    """Seconds, whole as RFC 9110 has them or not, or a date."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value, re.ASCII):
        return float(value)
    until = _seconds_since_epoch(value)
    return None if until is None else max(until - now, 0.0)


def _seconds_since_epoch(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
