"""A quota that is spent: the partner is held until there is more of it.

Such as the calls of a day. To fail, to be tried again and to be undone are all wrong answers to it:
nothing happened, nothing will until a moment that is known, and then all is well. So the first call
that is told of it has the partner held until then, for all workers; the steps that wait for it
spend no attempt. Some worker lifts the hold, and the runs go on at the partner's rate. If the quota
is still spent then, or when a person lifts the hold before, the next call that asks holds it again.

What a vendor says of its quotas is for its connector to read (`Call.quota_spent`). A 429 whose
Retry-After is longer than a rate's can be is one, too.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import Error as DatabaseError
from django.utils import timezone

from integrations.call import Call
from integrations.errors import OverLimit, PartnerError, QuotaSpent
from integrations.resilience.conf import policies
from integrations.resilience.policy import Answered, Ask, Result, means

logger = logging.getLogger("integrations.resilience")

SOURCE = "quota"
LONGEST_RATE = 60.0
"""Seconds of a 429's Retry-After up to which it is about a rate, for which calls wait in the gate:
rates are counted by the minute at most."""


def hold_while_spent(call: Call, ask: Ask[Result]) -> Result:
    """Ask; if the answer is that a quota is spent, hold the partner. Raises QuotaSpent then."""
    began = timezone.now()
    try:
        return ask(call)
    except (PartnerError, Answered) as error:
        spent = _spent(means(error))
        if spent is None:
            raise
    if _held(spent, began):
        spent.retry_after = 0.0  # the step is due at once, and waits under the hold with others
    raise spent


def _spent(error: BaseException | None) -> QuotaSpent | None:
    if isinstance(error, QuotaSpent):
        return error
    if not isinstance(error, OverLimit):
        return None
    lasts = error.retry_after or 0.0
    told = (error.partner, error.operation, error.detail, lasts)
    return QuotaSpent(*told) if lasts > LONGEST_RATE else None


def _held(spent: QuotaSpent, began: datetime) -> bool:
    """Hold the partner, unless another who was told the same has done so.

    Args:
        began: when the call did. A person who has lifted the hold since knows better than its
            answer, and the next call finds out.

    Returns:
        False: it cannot be held.
    """
    from sagas.api import hold_partner  # its rows need Django's apps
    from sagas.operate.holding import partners

    try:
        hold_partner(
            spent.partner,
            source=SOURCE,
            reason=f"its quota is spent: {spent.detail}",
            seconds=spent.retry_after,
            per_second=policies(spent.partner).rate.per_second,
            since=began,
        )
    except DatabaseError as error:  # the partner's answer counts all the same
        logger.warning("%s cannot be held (%s).", spent.partner, type(error).__name__)
        return False
    return spent.partner in partners()
