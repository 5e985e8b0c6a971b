"""Addresses of hosts, looked up without holding up a call.

`getaddrinfo` takes no time limit and no signal interrupts it: a name server that is silent would
hold a process until its watchdog ends it. So it runs in threads of its own, of which there are few;
who asks waits for as long as it can and goes. What is found serves for a short time, and for longer
while the name server is silent (RFC 8767).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

AT_ONCE = 16
"""Look-ups at a time, one for each name: a thread that is stuck takes the place of no other."""
FRESH = 30.0
"""Seconds for which an answer is believed. Its own time to live is not told by `getaddrinfo`."""
STALE = 600.0
"""Seconds for which it serves when there is no newer one ..."""
SILENCE = 1.0
"""... which is waited for as long as this."""
KEPT = 256
"""Names whose addresses are kept."""


Answer = tuple[str, ...] | Exception


class Unreachable(OSError):
    """Nothing was sent. The text says why, in words of ours."""


def addresses(host: str, within: float) -> tuple[str, ...]:
    """The addresses of `host`, in the order in which to try them.

    Raises:
        Unreachable: the name server did not answer within so many seconds.
        OSError: the host has no address.
    """
    return (host,) if _is_address(host) else _names.addresses(host.lower(), within)


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: tuple[str, ...]
    at: float

    def serves(self, seconds: float) -> bool:
        return time.monotonic() < self.at + seconds


class _Names:
    """The names that this process knows, and those that it looks up."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._known: dict[str, _Known] = {}
        self._under_way: dict[str, _LookUp] = {}

    def addresses(self, host: str, within: float) -> tuple[str, ...]:
        known = self._known.get(host)
        if known is not None and known.serves(FRESH):
            return known.addresses
        spare = known if known is not None and known.serves(STALE) else None
        try:
            return self._news(host, within, patient=spare is None)
        except OSError as error:
            if spare is None or _says_no(error):
                raise
            return spare.addresses

    def _news(self, host: str, within: float, *, patient: bool) -> tuple[str, ...]:
        """What the name server says; who is not patient waits until it has been silent a while."""
        ends = time.monotonic() + within
        with self._changed:
            look_up = self._look_up(host, within if patient else min(within, SILENCE))
            if not patient:
                ends = min(ends, look_up.began + SILENCE)
            wait = max(0.0, ends - time.monotonic())
            self._changed.wait_for(lambda: look_up.answer is not None, wait)
        match look_up.answer:
            case None:
                raise Unreachable(f"the name server does not answer for {host}")
            case Exception() as error:
                raise error
            case found:
                return found

    def _look_up(self, host: str, within: float) -> _LookUp:
        """The one that is under way, or else a new one as soon as there is room for it."""
        if not self._changed.wait_for(lambda: self._has_room(host), within):
            raise Unreachable(f"{AT_ONCE} other names wait for the name server before {host}")
        if host not in self._under_way:
            look_up = _LookUp(host, self._ended)
            try:
                look_up.start()
            except RuntimeError:  # the system gives no more threads
                raise Unreachable(f"no thread can be started to look {host} up") from None
            self._under_way[host] = look_up
        return self._under_way[host]

    def _has_room(self, host: str) -> bool:
        return host in self._under_way or len(self._under_way) < AT_ONCE

    def _ended(self, look_up: _LookUp, answer: Answer) -> None:
        with self._changed:
            look_up.answer = answer
            self._under_way.pop(look_up.host, None)
            if isinstance(answer, tuple):
                self._keep(look_up.host, answer)
            elif _says_no(answer):
                self._known.pop(look_up.host, None)
            self._changed.notify_all()

    def _keep(self, host: str, found: tuple[str, ...]) -> None:
        self._known.pop(host, None)  # so that the oldest comes first
        self._known[host] = _Known(found, time.monotonic())
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]


class _LookUp(threading.Thread):
    """One question to the name server. A daemon: no process waits for it to end."""

    def __init__(self, host: str, ended: Callable[[_LookUp, Answer], None]) -> None:
        super().__init__(name=f"look-up of {host}", daemon=True)
        self.host = host
        self.began = time.monotonic()
        self.answer: Answer | None = None
        self._ended = ended

    def run(self) -> None:
        self._ended(self, _asked(self.host))


def _asked(host: str) -> Answer:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty or too long
        return socket.gaierror(socket.EAI_NONAME, "no name of a host")
    except Exception as error:
        return error
    return tuple(dict.fromkeys(str(address[4][0]) for address in found))


def _says_no(error: Exception) -> bool:
    """Whether the name server has answered that there is no such name, or no address of it."""
    no = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
    return isinstance(error, socket.gaierror) and error.errno in no


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _renew() -> None:
    """Begin anew: a process that was forked has none of the threads, and may have a held lock."""
    global _names
    _names = _Names()


_names = _Names()
os.register_at_fork(after_in_child=_renew)
