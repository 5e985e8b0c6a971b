"""The connections to partners: one pool per process, bounded by the deadline of each call."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore2
import httpx2

from integrations import egress

# At INFO it logs the address of every request, and some partners want their secret in it.
logging.getLogger("httpx2").setLevel(logging.WARNING)


@cache
def client() -> httpx2.Client:
    """This process's client. Use it within `until` only.

    It keeps no cookies: calls of different accounts, and of all threads, share it.
    """
    none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx2.Client(transport=Transport(), cookies=none)


# A connection shared across a fork would mix two processes' answers.
os.register_at_fork(after_in_child=client.cache_clear)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Let no read or write in this block outlast `deadline`, on the monotonic clock."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


_deadline: ContextVar[float] = ContextVar("_deadline")


class Transport(httpx2.BaseTransport):
    """A pool whose reads and writes end at the deadline of the call, however slowly bytes drip."""

    def __init__(self) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(),
            max_connections=100,
            # Short, so that a connection the partner is about to close is rarely written to.
            keepalive_expiry=4.0,
            network_backend=_BoundedBackend(),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=str(request.url),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        self._pool.close()

    @property
    def connections(self) -> list[str]:
        """The connections of the pool, each described in a line."""
        return [connection.info() for connection in self._pool.connections]


class _Body(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


def _clipped(timeout: float | None, expired: type[Exception]) -> float:
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise expired("the step's time is over")
    return left if timeout is None else min(timeout, left)


class _BoundedBackend(httpcore2.SyncBackend):
    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> httpcore2.NetworkStream:
        try:
            addresses = egress.resolved(host, port)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        for address in addresses[:-1]:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return self._connected(address, port, timeout, *args, **kwargs)
        return self._connected(addresses[-1], port, timeout, *args, **kwargs)

    def _connected(
        self, address: str, port: int, timeout: float | None, *args: Any, **kwargs: Any
    ) -> httpcore2.NetworkStream:
        within = _clipped(timeout, httpcore2.ConnectTimeout)
        return _BoundedStream(super().connect_tcp(address, port, within, *args, **kwargs))


class _BoundedStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _clipped(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _clipped(timeout, httpcore2.WriteTimeout))

    def start_tls(self, *args: Any, **kwargs: Any) -> httpcore2.NetworkStream:
        return _BoundedStream(self._stream.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()
