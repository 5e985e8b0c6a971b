"""A name server in the place of `getaddrinfo`, which can be silent and takes no time limit."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from integrations.egress import names

PATIENCE = 20.0
"""Seconds after which silence ends by itself: a test of code that waits for it fails, not hangs."""


class Resolver:
    """What names resolve to, and which of them get no answer."""

    def __init__(self) -> None:
        self.book: dict[str, list[str] | OSError] = {}
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.waited_for = False
        self._speaks = threading.Event()
        self._really = socket.getaddrinfo

    def speak(self) -> None:
        """Answer all that were not."""
        self.silent.clear()
        self._speaks.set()

    def getaddrinfo(self, host: str, port: Any, *more: Any, **named: Any) -> list[Any]:
        if host not in self.book and host not in self.silent:
            return self._really(host, port, *more, **named)
        self.asked.append(host)
        if host in self.silent:
            self.waited_for |= not self._speaks.wait(PATIENCE)
        found = self.book.get(host, [])
        if isinstance(found, OSError):
            raise found
        return [(0, 0, 0, "", (address, port)) for address in found]


@contextmanager
def resolving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """A resolver with an empty book: names that it does not know are really looked up."""
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver.getaddrinfo)
    names._renew()
    yield resolver
    resolver.speak()
    names._renew()
    assert not resolver.waited_for, "somebody waited for the end of the silence"


def look_ups() -> list[threading.Thread]:
    """The threads that wait for a name server."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("look-up of ")]
