from __future__ import annotations

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from integrations.egress import names
from integrations.egress.names import AT_ONCE, Unreachable, addresses
from tests.integrations.egress.resolver import Resolver, look_ups
from tests.stories.waiting import until


@pytest.fixture
def outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is known is no longer fresh."""
    monkeypatch.setattr(names, "FRESH", 0.0)
    monkeypatch.setattr(names, "SILENCE", 0.01)


def test_who_asks_a_silent_name_server_goes_when_its_time_is_over(resolver: Resolver) -> None:
    resolver.silent.add("api.example")
    with pytest.raises(Unreachable, match=r"the name server does not answer for api\.example"):
        addresses("api.example", 0.05)


def test_a_name_server_that_is_silent_for_one_name_holds_up_no_other(resolver: Resolver) -> None:
    resolver.silent.add("stuck.example")
    resolver.book["api.example"] = ["192.0.2.1"]
    for _ in range(2 * AT_ONCE):
        with pytest.raises(Unreachable):
            addresses("stuck.example", 0.001)
    assert len(look_ups()) == 1
    assert addresses("api.example", 5) == ("192.0.2.1",)


def test_however_many_names_are_stuck_the_threads_stay_few(resolver: Resolver) -> None:
    hosts = [f"{number}.example" for number in range(3 * AT_ONCE)]
    resolver.silent.update(hosts)
    with ThreadPoolExecutor(len(hosts)) as callers:
        asked = [callers.submit(addresses, host, 0.3) for host in hosts]
        told = [str(one.exception()) for one in asked]
    assert len(look_ups()) == AT_ONCE
    assert sum("other names wait for the name server" in words for words in told) == 2 * AT_ONCE

    resolver.book |= {host: ["192.0.2.1"] for host in hosts}
    resolver.speak()
    assert addresses(hosts[-1], 5) == ("192.0.2.1",)
    until(lambda: not look_ups())


def test_what_is_known_is_not_asked_for_again(resolver: Resolver) -> None:
    resolver.book["api.example"] = ["192.0.2.1"]
    for host in ("api.example", "API.example"):
        assert addresses(host, 5) == ("192.0.2.1",)
    assert resolver.asked == ["api.example"]


def test_what_is_no_longer_fresh_is_asked_for_again(resolver: Resolver, outdated: None) -> None:
    for address in ("192.0.2.1", "192.0.2.2"):
        resolver.book["api.example"] = [address]
        assert addresses("api.example", 5) == (address,)


def test_while_the_name_server_is_silent_the_last_answer_serves(
    resolver: Resolver, outdated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver.book["api.example"] = ["192.0.2.1"]
    addresses("api.example", 5)
    resolver.silent.add("api.example")
    for _ in range(3):
        assert addresses("api.example", 5) == ("192.0.2.1",)
    assert len(look_ups()) == 1
    monkeypatch.setattr(names, "STALE", 0.0)
    with pytest.raises(Unreachable):
        addresses("api.example", 0.05)


def test_when_the_name_server_cannot_say_the_last_answer_serves(
    resolver: Resolver, outdated: None
) -> None:
    resolver.book["api.example"] = ["192.0.2.1"]
    addresses("api.example", 5)
    resolver.book["api.example"] = socket.gaierror(socket.EAI_AGAIN, "try again")
    assert addresses("api.example", 5) == ("192.0.2.1",)


def test_a_name_that_is_gone_is_gone_at_once(resolver: Resolver, outdated: None) -> None:
    resolver.book["api.example"] = ["192.0.2.1"]
    addresses("api.example", 5)
    resolver.book["api.example"] = socket.gaierror(socket.EAI_NONAME, "no such name")
    with pytest.raises(socket.gaierror):
        addresses("api.example", 5)
    resolver.book["api.example"] = socket.gaierror(socket.EAI_AGAIN, "try again")
    with pytest.raises(socket.gaierror):
        addresses("api.example", 5)


def test_only_so_many_names_are_kept(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "KEPT", 2)
    resolver.book |= {f"{number}.example": ["192.0.2.1"] for number in range(3)}
    for number in (0, 1, 2, 2, 0):
        addresses(f"{number}.example", 5)
    assert resolver.asked == ["0.example", "1.example", "2.example", "0.example"]


@pytest.mark.parametrize("host", [f"{'a' * 64}.example", "a..example", ".example"])
def test_what_is_no_name_at_all_has_no_address(host: str) -> None:
    with pytest.raises(socket.gaierror):
        addresses(host, 5)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_address_needs_no_name_server(resolver: Resolver, address: str) -> None:
    resolver.silent.add(address)
    assert addresses(address, 0.001) == (address,)


def test_where_no_thread_can_be_started_nothing_was_sent(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver.book["api.example"] = ["192.0.2.1"]

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Unreachable, match="no thread"):
            addresses("api.example", 5)
    assert addresses("api.example", 5) == ("192.0.2.1",)


# The parent's thread is stuck, and holds the lock, at the moment of the fork.
FORK = """
import os, socket, sys, threading
from integrations.egress import names

stuck = threading.Event()
def silent(*_, **__):
    stuck.set()
    threading.Event().wait()
really, socket.getaddrinfo = socket.getaddrinfo, silent
for number in range(names.AT_ONCE):
    try:
        names.addresses("localhost" if number == 0 else f"{number}.example", 0.001)
    except names.Unreachable:
        stuck.wait()
names._names._changed.acquire()
child = os.fork()
if child == 0:
    socket.getaddrinfo = really
    found = names.addresses("localhost", 30)
    os._exit(0 if "127.0.0.1" in found and threading.active_count() == 1 else 1)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_process_looks_up_for_itself_and_no_process_waits_for_its_threads() -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=60
    )
    assert (finished.returncode, finished.stderr) == (0, "")
