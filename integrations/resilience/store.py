"""What all workers share, in Redis: small scripts, which see its clock and run one at a time."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.connection import Connection, SSLConnection
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from integrations.egress import names

Answer = TypeVar("Answer")

logger = logging.getLogger("integrations.resilience")

PATIENCE = 0.25
"""Seconds to wait for Redis. Calls wait for it, and each policy knows what to do without."""
AWAY = 1.0
"""Seconds for which a Redis that failed is not asked, so that it costs one timeout and not one a
call."""
_CLOCK = "clock"


class Script:
    """A script in Redis's Lua, sent whole once and by its hash from then on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._hash = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(self, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """What it returns. Raises Away."""
        return shared().run(self._hash, self._text, keys, arguments)


class TimedScript(Script):
    """A script that knows what common.lua says; its own keys come after the clock's."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{lua('common')}\n{text}")

    def run(self, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """What it returns. Raises Away."""
        return super().run([name(_CLOCK), *keys], arguments)


def clock(pipeline: Pipeline) -> Callable[[Sequence[Any]], float]:
    """Have a pipeline read the clock that timed scripts see; take it from its first answers.

    As common.lua, in two commands.
    """
    pipeline.time()
    pipeline.hmget(name(_CLOCK), "last", "ahead")

    def now(answers: Sequence[Any]) -> float:
        (seconds, micros), (kept, ahead) = answers[:2]
        wall, last = float(seconds) + float(micros) / 1_000_000, float(kept or 0)
        return max(last, wall + float(ahead or 0)) if wall < last else wall

    return now


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
            **_BOUNDED.get(urlsplit(url).scheme, {}),
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


class _Bounded(Connection):
    """Looks its host up within a time limit, as all that a call waits for."""

    def _connect(self) -> Any:
        host, failed = self.host, OSError("it has no address")
        try:
            for self.host in names.addresses(host, PATIENCE):
                try:
                    return super()._connect()  # type: ignore[no-untyped-call]
                except OSError as error:
                    failed = error
        finally:
            self.host = host
        raise failed


class _BoundedOverTls(SSLConnection, _Bounded):
    """The same, encrypted: for its host's name and not for the address."""


_BOUNDED: dict[str, dict[str, Any]] = {
    "redis": {"connection_class": _Bounded},
    "rediss": {"connection_class": _BoundedOverTls},
}


def shared() -> Shared:
    """The Redis that the settings name."""
    return _shared(settings.REDIS_URL)


def forget() -> None:
    """Begin anew, with connections of one's own: for a process that was forked, and for tests."""
    _shared.cache_clear()


def lua(name: str) -> str:
    """The text of the file of that name beside this one."""
    return (Path(__file__).parent / f"{name}.lua").read_text()


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
