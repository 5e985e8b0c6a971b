"""What a failed call to a partner means: one of three answers, which a caller must tell apart."""

from __future__ import annotations


class PartnerError(Exception):
    """A call to a partner failed; the leaf class says what may be believed about its effect.

    The message names partner, operation and detail. The detail carries codes and reasons, never
    a body, a secret or personal data, since it is stored in the run's history.
    """

    def __init__(self, partner: str, operation: str, detail: str) -> None:
        super().__init__(partner, operation, detail)
        self.partner = partner
        self.operation = operation
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.partner} {self.operation}: {self.detail}"


class PartnerRefused(PartnerError):
    """Nothing happened, and asking the same again will not help."""


class PartnerUnavailable(PartnerError):
    """Nothing happened, and the same call may work later: in `retry_after` seconds, if it says."""

    def __init__(
        self,
        partner: str,
        operation: str,
        detail: str,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(partner, operation, detail)
        self.retry_after = retry_after
        self.args = (partner, operation, detail, retry_after)


class OverLimit(PartnerUnavailable):
    """Nothing happened, because we ask more often than the partner allows. It is well otherwise."""


class NotAsked(PartnerUnavailable):
    """We did not even ask, to spare the partner or ourselves: come back in `retry_after` seconds.

    No answer of the partner, so it is no attempt: sagas map it to a wait.
    """


class QuotaSpent(NotAsked):
    """We asked, and what we may ask for in some hours or days is used up: nothing happened.

    The partner is well, and is held until there is more: no attempt, either. Only if it could not
    be held `retry_after` says when.
    """


class PartnerUnknown(PartnerError):
    """It may or may not have happened: ask the partner, or repeat with the same idempotency key."""
