"""A story of floods: slow bodies and sign-ups of strangers beside paying orders, on real processes.

``FLOOD_SECONDS=120 pytest tests/stories/test_floods.py -s`` is the long form, with the limits of
issue and docs: there times are measured, here only what comes before what.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest
from django.db.models import QuerySet

from project.queues import WORKER_GROUPS
from project.world import World
from sagas.models import Run, Worker
from sagas.states import RunStatus
from tests.stories.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = float(os.environ.get("FLOOD_SECONDS", "0"))
SLOW, SIGN_UPS_A_MINUTE, ORDERS_A_SECOND = 40, 400, 1
ORDER = {
    "sku": "mug",
    "quantity": "1",
    "email": "ann@example.com",
    "address": "1 Long Street",
    "payment_method": "pm_card_visa",
}


@pytest.fixture
def world(process_environment: dict[str, str], tmp_path: Path) -> Iterator[World]:
    """Behind one proxy, so that each stranger can have an address of their own."""
    environment = {**process_environment, "TRUSTED_PROXIES": "1"}
    with World(tmp_path, environment) as world:
        yield world


@pytest.fixture
def site(world: World) -> str:
    world.partners().set_stock("mug", 100_000)
    return urlsplit(world.web(0)).netloc


def test_orders_go_on_while_bodies_dawdle_and_sign_ups_wait(world: World, site: str) -> None:
    """Nobody works on sign-ups here, so that all of them wait; and orders end all the same."""
    groups = {name: queues for name, queues in WORKER_GROUPS.items() if name != "anonymous"}
    world.workers(groups, processes=1)
    with _Dawdlers(site):
        statuses = Counter(_sign_up(site, number) for number in range(220))
        assert statuses == {302: 200, 503: 20}, "the backlog is not limited as the saga says"
        orders = [_order(site, number) for number in range(5)]
        assert orders == [302] * 5, "a paying customer is refused for others' sake"
        assert _asked(site, "GET", "/healthz")[0] == 200
        until(lambda: _ended("order-fulfilment") == 5, 120)
    assert Run.objects.filter(saga="customer-registration", status=RunStatus.PENDING).count() == 200


@pytest.mark.skipif(not SECONDS, reason="it measures: make proof NAMES=floods")
def test_floods_delay_neither_health_nor_orders(world: World, site: str) -> None:
    world.workers(processes=2)
    until(lambda: Worker.objects.count() == len(WORKER_GROUPS))
    _run_for(5.0, _Every(1 / ORDERS_A_SECOND, lambda number: _order(site, number)))  # it is warm
    alone = _measured(site, SECONDS / 2)
    with _Dawdlers(site) as dawdlers:
        pressed = _measured(site, SECONDS, _Every(60 / SIGN_UPS_A_MINUTE, _sign_up_at(site)))
    print(
        f"{dawdlers.cut_off} slow bodies were cut off; sign-ups: {dict(pressed.flood)}; "
        f"healthz p99 {pressed.health.p(99):.3f} s (alone {alone.health.p(99):.3f}); "
        f"orders p50 {pressed.orders.p(50):.3f} s (alone {alone.orders.p(50):.3f}), "
        f"p95 {pressed.orders.p(95):.3f} s (alone {alone.orders.p(95):.3f}); "
        f"first step p95 {pressed.first.p(95):.3f} s (alone {alone.first.p(95):.3f})"
    )
    assert set(pressed.placed) == {302}
    assert pressed.flood.total() >= 0.9 * SIGN_UPS_A_MINUTE * SECONDS / 60
    assert pressed.health.p(99) <= 1.0
    for percent in (50, 95):
        assert pressed.orders.p(percent) <= 2 * alone.orders.p(percent)


# --- what is measured ----------------------------------------------------------------------


@dataclass
class _Times:
    seconds: list[float] = field(default_factory=list)

    def p(self, percent: int) -> float:
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1]


@dataclass
class _Measured:
    health: _Times = field(default_factory=_Times)
    orders: _Times = field(default_factory=_Times)  # from their start to their end
    first: _Times = field(default_factory=_Times)  # from their start to their first step
    placed: Counter[int] = field(default_factory=Counter)
    flood: Counter[int] = field(default_factory=Counter)


class _Every:
    """Something done each so many seconds, in threads, and what came of it."""

    def __init__(self, pause: float, action: Callable[[int], int]) -> None:
        self.pause = pause
        self.action = action
        self.answers: list[tuple[int, float]] = []

    def __call__(self, ends: float) -> None:
        with ThreadPoolExecutor(16) as threads:
            number, due = 0, time.monotonic()
            while due < ends:
                time.sleep(max(0.0, due - time.monotonic()))
                threads.submit(self._once, number)
                number, due = number + 1, due + self.pause

    def _once(self, number: int) -> None:
        began = time.monotonic()
        try:
            status = self.action(number)
        except OSError:
            status = 0
        self.answers.append((status, time.monotonic() - began))


def _measured(site: str, seconds: float, *flood: _Every) -> _Measured:
    known = set(_orders().values_list("id", flat=True))
    health = _Every(0.1, lambda _: _asked(site, "GET", "/healthz")[0])
    orders = _Every(1 / ORDERS_A_SECOND, lambda number: _order(site, number))
    _run_for(seconds, health, orders, *flood)
    until(lambda: not _orders().filter(finished_at=None).exists(), 300)
    found = _Measured()
    assert {status for status, _ in health.answers} == {200}
    found.health.seconds = [took for _, took in health.answers]
    found.placed.update(status for status, _ in orders.answers)
    for one in flood:
        found.flood.update(status for status, _ in one.answers)
    for run in _orders().exclude(id__in=known):
        assert run.status == RunStatus.SUCCEEDED
        assert run.finished_at is not None
        assert run.started_at is not None
        found.orders.seconds.append((run.finished_at - run.created_at).total_seconds())
        found.first.seconds.append((run.started_at - run.created_at).total_seconds())
    return found


def _run_for(seconds: float, *doing: _Every) -> None:
    ends = time.monotonic() + seconds
    with ThreadPoolExecutor(len(doing)) as threads:
        for done in [threads.submit(one, ends) for one in doing]:
            done.result()


def _orders() -> QuerySet[Run]:
    return Run.objects.filter(saga="order-fulfilment")


def _ended(saga: str) -> int:
    return Run.objects.filter(saga=saga, status=RunStatus.SUCCEEDED).count()


# --- who asks ------------------------------------------------------------------------------


class _Dawdlers:
    """Connections that send a body byte by byte; each that is cut off is opened again."""

    def __init__(self, site: str) -> None:
        host, port = site.split(":")
        self._site = (host, int(port))
        self._sockets: list[socket.socket] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._dawdle)
        self.cut_off = 0

    def __enter__(self) -> _Dawdlers:
        self._sockets = [self._connected() for _ in range(SLOW)]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for one in self._sockets:
            one.close()

    def _dawdle(self) -> None:
        while not self._over.wait(0.5):
            for place, one in enumerate(self._sockets):
                if _is_over(one):
                    one.close()
                    self._sockets[place] = self._connected()
                    self.cut_off += 1

    def _connected(self) -> socket.socket:
        one = socket.create_connection(self._site, timeout=60)
        one.sendall(
            b"POST /webhooks/payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n"
        )
        return one


def _is_over(slow: socket.socket) -> bool:
    """Whether it was answered, or cut off; else one more byte is sent."""
    try:
        slow.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        with suppress(OSError):
            slow.sendall(b"x")
        return False
    except OSError:
        return True
    return True


def _sign_up_at(site: str) -> Callable[[int], int]:
    return lambda number: _sign_up(site, number)


def _sign_up(site: str, number: int) -> int:
    """Sign up from an address of one's own, as somebody whom nobody knows."""
    entries = {"name": "Ann Smith", "email": f"ann.{uuid4().hex}@example.com"}
    return _posted(site, "/sign-up/", entries, f"10.1.{number // 250 % 250}.{number % 250}")


def _order(site: str, number: int) -> int:
    return _posted(site, "/", ORDER, f"10.2.0.{number % 250}")


def _posted(site: str, path: str, entries: dict[str, str], address: str) -> int:
    token = "x" * 32
    form = {**entries, "submission": str(uuid4()), "csrfmiddlewaretoken": token}
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": f"csrftoken={token}",
        "X-Forwarded-For": address,
    }
    return _asked(site, "POST", path, urlencode(form), headers)[0]


def _asked(
    site: str, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
) -> tuple[int, str]:
    connection = HTTPConnection(site, timeout=60)
    try:
        connection.request(method, path, body or None, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
