"""What all workers share, in Redis: small scripts, which see its clock and run one at a time."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

Answer = TypeVar("Answer")

logger = logging.getLogger("integrations.resilience")

PATIENCE = 0.25
"""Seconds to wait for Redis. Calls wait for it, and each policy knows what to do without."""
AWAY = 1.0
"""Seconds for which a Redis that failed is not asked, so that it costs one timeout and not one a
call."""


class Script:
    """A script in Redis's Lua, sent whole once and by its hash from then on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._hash = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(self, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """What it returns. Raises Away."""
        return shared().run(self._hash, self._text, keys, arguments)


class Away(Exception):
    """Redis does not answer, or did not a moment ago."""


class Shared:
    """The Redis at one address, for this process. Any thread may use it."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._asked_again_at = 0.0

    def run(self, hash_: str, text: str, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """Run a script. Raises Away."""
        return self.do(lambda redis: _evaluate(redis, hash_, text, keys, arguments))

    def do(self, ask: Callable[[Redis], Answer]) -> Answer:
        """What `ask` makes of the client. Raises Away."""
        if time.monotonic() < self._asked_again_at:
            raise Away
        try:
            return ask(self._redis)
        except RedisError as error:
            self._asked_again_at = time.monotonic() + AWAY
            logger.warning(
                "The state that workers share about partners cannot be reached (%s: %s).",
                type(error).__name__,
                error,
            )
            raise Away from None


def shared() -> Shared:
    """The Redis that the settings name."""
    return _shared(settings.REDIS_URL)


def forget() -> None:
    """Begin anew, with connections of one's own: for a process that was forked, and for tests."""
    _shared.cache_clear()


def name(key: str) -> str:
    """A key's whole name: this application's, and within it the policies'."""
    return f"{settings.REDIS_PREFIX}partners:{key}"


@cache
def _shared(url: str) -> Shared:
    return Shared(url)


# The client would see the fork itself, but not give up a lock that another thread held then.
os.register_at_fork(after_in_child=forget)


def _evaluate(
    redis: Redis, hash_: str, text: str, keys: Sequence[str], arguments: Sequence[str]
) -> Any:
    try:
        return redis.evalsha(hash_, len(keys), *keys, *arguments)
    except NoScriptError:
        return redis.eval(text, len(keys), *keys, *arguments)
