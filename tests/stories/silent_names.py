"""Settings of workers whose name server is the test's own, asked as the C library asks.

That is: no signal gets through meanwhile, a question is asked again every five seconds, and given
up after thirty, as with three name servers in resolv.conf. Only names of `.example` are its own.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Any

from tests.stories.settings import *  # noqa: F403

_really = socket.getaddrinfo


def _asking(host: str, *more: Any, **named: Any) -> list[Any]:
    if not host.endswith(".example"):
        return _really(host, *more, **named)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        return _really(_asked(host), *more, **named)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _asked(host: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("127.0.0.1", int(os.environ["NAME_SERVER_PORT"])))
        asking.settimeout(5)
        for _ in range(6):
            asking.send(host.encode())
            try:
                return asking.recv(100).decode()
            except TimeoutError:
                continue
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


class NameServer(threading.Thread):
    """What is asked over UDP: silent until it speaks, and then all are at 127.0.0.1."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.asked = 0
        self._speaks = threading.Event()
        self.start()

    def speak(self) -> None:
        """Answer from now on."""
        self._speaks.set()

    def run(self) -> None:
        while True:
            _, who = self._socket.recvfrom(1000)
            self.asked += 1
            if self._speaks.is_set():
                self._socket.sendto(b"127.0.0.1", who)


if "NAME_SERVER_PORT" in os.environ:
    socket.getaddrinfo = _asking  # type: ignore[assignment]
