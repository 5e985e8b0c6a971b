"""A second try within one call, for the failure that has passed a moment later.

Only of calls that change nothing or carry a key which the partner deduplicates, never beyond the
deadline, never after the gate has shut, and never after a long sleep: further tries are the saga's,
which are durable and hold up no worker.

Keeps no state, so it knows no failing Redis.
"""

from __future__ import annotations

import random
import time

from integrations.call import Call
from integrations.errors import NotAsked, PartnerError, PartnerUnavailable, PartnerUnknown
from integrations.resilience.conf import policies
from integrations.resilience.policy import Answered, Ask, Result, means


def try_again(call: Call, ask: Ask[Result]) -> Result:
    """Ask, and ask once more if that may help. Raises PartnerError for what is to be believed."""
    try:
        return ask(call)
    except (PartnerError, Answered) as error:
        pause = _pause(call, means(error))
        if pause is None:
            raise
        first = error
    time.sleep(pause)
    try:
        return ask(call)
    except (PartnerError, Answered) as second:
        raise _believed(first, second) from None


def _pause(call: Call, error: BaseException | None) -> float | None:
    """Seconds until the second try; None: there shall be none."""
    settings = policies(call.partner).retry
    if settings.tries == 1 or (call.writes and not call.keyed):
        return None
    if isinstance(error, NotAsked) or not isinstance(error, PartnerUnavailable | PartnerUnknown):
        return None
    # Full jitter: Brooker, AWS Architecture Blog, 2015.
    pause = random.uniform(0, settings.base)
    if isinstance(error, PartnerUnavailable) and error.retry_after is not None:
        pause = max(pause, error.retry_after)
    return pause if pause <= settings.longest and pause < call.remaining else None


def _believed(first: Exception, second: Exception) -> Exception:
    """Of two failures the one that is true of the call.

    A try whose effect is unknown stays so, whatever a later one says of itself. And what was not
    asked again was asked once.
    """
    if isinstance(means(first), PartnerUnknown) or isinstance(means(second), NotAsked):
        return first
    return second
