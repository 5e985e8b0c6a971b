"""A connection of which no wait outlasts the call that uses it."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Let no connection wait beyond `deadline`, on the monotonic clock, in this block."""
    token = _deadline.set(min(deadline, _deadline.get(deadline)))
    try:
        yield
    finally:
        _deadline.reset(token)


_deadline: ContextVar[float] = ContextVar("_deadline")


def left(timeout: float | None = None) -> float:
    """Seconds until the deadline of `until`, or `timeout` if that is less.

    Raises TimeoutError if there are none.
    """
    seconds = _deadline.get() - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the step's time is over")
    return seconds if timeout is None else min(timeout, seconds)


class Connection:
    """A connected socket that bounds every single wait: a peer that drips outlasts nothing.

    Use it within `until` only. All its methods raise OSError.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    @classmethod
    def to(cls, address: str, port: int) -> Connection:
        """A connection to an address, which is no name."""
        connected = socket.create_connection((address, port), left())
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(connected)

    def read(self, most: int, timeout: float | None = None) -> bytes:
        """Read some bytes; none if there are no more."""
        self._socket.settimeout(left(timeout))
        return self._socket.recv(most)

    def write(self, data: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(left(timeout))
            rest = rest[self._socket.send(rest) :]

    def over_tls(
        self, context: ssl.SSLContext, host: str, timeout: float | None = None
    ) -> Connection:
        """The same connection, encrypted for `host`."""
        self._socket.settimeout(left(timeout))
        # Neither certificates nor SNI know the dot that ends an absolute name (RFC 6066).
        name = host.removesuffix(".")
        return Connection(context.wrap_socket(self._socket, server_hostname=name))

    @property
    def readable(self) -> bool:
        """Whether there is something to read, or the end."""
        if self._socket.fileno() < 0:
            return True
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(0))

    @property
    def here(self) -> str:
        """Our own address on it."""
        return str(self._socket.getsockname()[0])

    def close(self) -> None:
        self._socket.close()
