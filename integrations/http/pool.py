"""The connections to partners: one pool per process, bounded by the deadline of each call."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from typing import Any

import httpcore2
import httpx2

from integrations import egress

# At INFO it logs the address of every request, and some partners want their secret in it.
logging.getLogger("httpx2").setLevel(logging.WARNING)


@cache
def client() -> httpx2.Client:
    """This process's client. Use it within `egress.until` only.

    It keeps no cookies: calls of different accounts, and of all threads, share it.
    """
    none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx2.Client(transport=Transport(), cookies=none)


# A connection shared across a fork would mix two processes' answers.
os.register_at_fork(after_in_child=client.cache_clear)


class Transport(httpx2.BaseTransport):
    """A pool of connections that end with the call, and go where `egress` lets them."""

    def __init__(self) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(),
            max_connections=100,
            # Short, so that a connection the partner is about to close is rarely written to.
            keepalive_expiry=4.0,
            network_backend=_Backend(),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host.endswith("."):
            # The dot makes a name absolute for the name server; the partner is known without it.
            host = request.url.copy_with(host=request.url.host.removesuffix("."))
            request.headers["Host"] = host.netloc.decode()
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


class _Backend(httpcore2.NetworkBackend):
    """Connects as `egress` says."""

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any
    ) -> httpcore2.NetworkStream:
        assert timeout is not None, "every request says how long connecting may take"
        with _as(httpcore2.ConnectTimeout, httpcore2.ConnectError):
            return _Stream(egress.connect(host, port, timeout))


class _Stream(httpcore2.NetworkStream):
    def __init__(self, connection: egress.Connection) -> None:
        self._connection = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _as(httpcore2.ReadTimeout, httpcore2.ReadError):
            return self._connection.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _as(httpcore2.WriteTimeout, httpcore2.WriteError):
            self._connection.write(buffer, timeout)

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        assert server_hostname is not None, "a certificate is always that of a host"
        with _as(httpcore2.ConnectTimeout, httpcore2.ConnectError):
            return _Stream(self._connection.over_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """Whether an idle connection has something to read, as one that was closed has."""
        return self._connection.readable if info == "is_readable" else None

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _as(timeout: type[Exception], error: type[Exception]) -> Iterator[None]:
    """What a socket raises, as httpcore2 wants it."""
    try:
        yield
    except TimeoutError as failed:
        raise timeout(str(failed)) from failed
    except OSError as failed:
        raise error(str(failed)) from failed
