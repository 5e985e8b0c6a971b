"""How many changing requests a user may send: counted per minute in the shared cache."""

from __future__ import annotations

import logging
import math
import time

from django.core.cache import cache

from sagas.conf import conf

logger = logging.getLogger("sagas.api")

_WINDOW = 60


class OverQuota(Exception):
    """The user has sent too many changing requests; ``retry_after`` is in whole seconds."""

    def __init__(self, limit: int, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(
            f"More than {limit} changing requests in a minute; try again in {retry_after} s."
        )


def spend(user_pk: object) -> None:
    """Count one changing request of a user.

    Raises:
        OverQuota: this minute's quota is used up.
    """
    now, limit = time.time(), conf().API_WRITES_PER_MINUTE
    window = int(now // _WINDOW)
    if _counted(f"sagas:writes:{user_pk}:{window}") > limit:
        raise OverQuota(limit, math.ceil((window + 1) * _WINDOW - now))


def _counted(key: str) -> int:
    try:
        cache.add(key, 0, timeout=2 * _WINDOW)
        return cache.incr(key)
    except Exception as error:  # whatever the cache's client raises: a quota is no reason to fail
        logger.warning("No quota is counted: %s", type(error).__name__)
        return 0
