"""A TCP proxy that can fall silent: what is sent stays unanswered, and no connection closes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Passes connections to `target` on until `stall`; `port` is where it listens."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._passing = threading.Event()
        self._passing.set()
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        _background(self._accept)

    def stall(self) -> None:
        """Pass nothing on any more, in either direction."""
        self._passing.clear()

    def heal(self) -> None:
        """Pass on again, first what has piled up."""
        self._passing.set()

    def close(self) -> None:
        """Close every connection and the port."""
        self._passing.set()
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            self._ends += [client, server]
            _background(self._pump, client, server)
            _background(self._pump, server, client)

    def _pump(self, source: socket.socket, drain: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._passing.wait()
                drain.sendall(data)
            drain.shutdown(socket.SHUT_WR)


@contextmanager
def proxy(host: str, port: int) -> Iterator[Proxy]:
    """A proxy to that server, closed after the block."""
    proxy = Proxy((host, port))
    try:
        yield proxy
    finally:
        proxy.close()


def _background(target: object, *arguments: object) -> None:
    assert callable(target)
    threading.Thread(target=target, args=arguments, daemon=True).start()
