"""`python -m bench.webhooks`: a burst of webhooks on the real server, and what became of each.

Gunicorn, PostgreSQL, Redis and workers are this project's own, of a world that is made for it and
gone afterwards; everything goes over loopback. Ends with 1 if any was answered or kept wrongly.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import psycopg

from integrations.sandbox.webhooks import stripe
from project.world import World

_SECRET, _OTHER = "whsec_of_the_bench_0123456789", "whsec_of_somebody_else_01234"
_PATH = "/webhooks/payments"
_PER_SUBSCRIPTION = 20
_MEGABYTE = 1_000_000
_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Letter:
    """One request, and how it must be answered."""

    what: str
    body: bytes
    headers: dict[str, str]
    status: int


@dataclass(frozen=True, slots=True)
class Answered:
    """How one request was answered, and in how many seconds."""

    letter: Letter
    status: int
    seconds: float


def main() -> None:
    """Send, drain, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000, help="valid ones (default 10,000)")
    parser.add_argument("--connections", type=int, default=8, help="at once (default 8)")
    asked = parser.parse_args()
    environment = {n: v for n, v in os.environ.items() if n not in _ENGINES} | {
        "INTEGRATIONS_WEBHOOKS_PAYMENTS_SECRETS": _SECRET
    }
    with (
        tempfile.TemporaryDirectory(prefix="webhooks-") as folder,
        (Path(folder) / "log").open("w") as log,
        World(Path(folder), environment, log) as world,
    ):
        wrong = _measure(world, asked.events, asked.connections)
    sys.exit(1 if wrong else 0)


_ENGINES = {"DATABASE_URL", "BROKER_URL", "REDIS_URL"}


def _measure(world: World, events: int, connections: int) -> list[str]:
    world.manage("migrate", "--verbosity=0")
    address = world.web(0)
    letters = _letters(events)
    quiet = [letter for letter in letters if letter.what == "valid"][: events // 20]
    _say(f"{events:,} events, {len(letters):,} requests, {connections} connections at once\n")
    alone, _ = _send(address, quiet, 1)
    answers, seconds = _send(address, letters, connections)
    with psycopg.connect(world.environment["DATABASE_URL"], autocommit=True) as database:
        _say(_table(answers))
        _say(_line("one at a time", alone))
        _say(_line("in the burst", answers))
        _say(f"{len(answers) / seconds:,.0f} requests answered in a second\n")
        kept = _one(database, "SELECT count(*) FROM integrations_webhookevent")
        world.workers()
        drained = _drain(database)
        _say(f"{kept:,} rows in the inbox; workers had them handled within {drained:,.1f} s")
        wrong = [*_wrong_answers(answers), *_wrong_rows(database, events)]
    _say("\n".join(wrong) or "Each was answered as it must be, and handled exactly once.")
    return wrong


# --- what is sent ----------------------------------------------------------------------------


def _letters(events: int) -> list[Letter]:
    """Events of subscriptions in any order, with what should not be there between them."""
    valid = [_signed("valid", _event(number), 202) for number in range(events)]
    tenth, hundredth = events // 10, max(1, events // 100)
    doubled = [
        Letter("sent again", each.body, each.headers, 202) for each in random.sample(valid, tenth)
    ]
    anew = [
        _signed("signed anew", each.body, 202, at=time.time() - 60)
        for each in random.sample(valid, tenth)
    ]
    bad = [letter for number in range(hundredth) for letter in _bad(number)]
    letters = [*valid, *doubled, *anew, *bad]
    random.shuffle(letters)
    return letters


def _bad(number: int) -> Iterator[Letter]:
    body = _event(-1 - number)
    yield _signed("forged", body, 403, secret=_OTHER)
    yield _signed("stale", body, 403, at=time.time() - 3600)
    whole = _signed("truncated", body, 403)
    yield Letter("truncated", body[: len(body) // 2], whole.headers, 403)
    yield _signed("no JSON", body[:-1], 400)
    if number % 10 == 0:
        yield _signed("1 MB", body + b" " * _MEGABYTE, 413)


def _signed(
    what: str, body: bytes, status: int, *, secret: str = _SECRET, at: float | None = None
) -> Letter:
    when = time.time() + _AHEAD if at is None else at
    return Letter(what, body, stripe(secret, "", body, when, ""), status)


_AHEAD = 240  # signed before it is sent: a long burst must not make it stale


def _event(number: int) -> bytes:
    subscription, version = divmod(number, _PER_SUBSCRIPTION)
    told = {
        "id": f"sub_{subscription}",
        "object": "subscription",
        "customer": "cus_1",
        "status": f"version_{_word(version)}",
        "description": "x" * 1000,  # theirs have some thousand bytes
    }
    event = {
        "id": f"evt_{number}",
        "type": "customer.subscription.updated",
        "created": 1_700_000_000 + version,
        "data": {"object": told},
    }
    return json.dumps(event).encode()


def _word(version: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(version))


# --- how it is sent --------------------------------------------------------------------------


def _send(
    address: str, letters: Sequence[Letter], connections: int
) -> tuple[list[Answered], float]:
    place, lock, numbers = urlsplit(address), Lock(), count()
    answers: list[Answered] = []

    def sender() -> None:
        connection = HTTPConnection(str(place.hostname), place.port or 80, timeout=60)
        own: list[Answered] = []
        while (number := next(numbers)) < len(letters):
            own.append(_sent(connection, letters[number]))
        connection.close()
        with lock:
            answers.extend(own)

    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        for done in [pool.submit(sender) for _ in range(connections)]:
            done.result()
    return answers, time.perf_counter() - began


def _sent(connection: HTTPConnection, letter: Letter) -> Answered:
    began = time.perf_counter()
    headers = {"Content-Type": "application/json", **letter.headers}
    connection.request("POST", _PATH, letter.body, headers)
    answer = connection.getresponse()
    answer.read()
    return Answered(letter, answer.status, time.perf_counter() - began)


# --- what became of it -----------------------------------------------------------------------


def _drain(database: psycopg.Connection[Any]) -> float:
    began = time.perf_counter()
    while _one(database, "SELECT count(*) FROM integrations_webhookevent WHERE status='received'"):
        if time.perf_counter() - began > _PATIENCE:
            raise SystemExit(f"The inbox was not empty after {_PATIENCE:.0f} s.")
        time.sleep(0.2)
    return time.perf_counter() - began


def _wrong_answers(answers: Sequence[Answered]) -> list[str]:
    wrong = Counter((a.letter.what, a.status) for a in answers if a.status != a.letter.status)
    return [f"WRONG: {n:,} {what} were answered {status}" for (what, status), n in wrong.items()]


def _wrong_rows(database: psycopg.Connection[Any], events: int) -> list[str]:
    """Every valid event is done once, at its first attempt, and the newest of each counts."""
    found = {
        "rows": _one(database, "SELECT count(*) FROM integrations_webhookevent"),
        "done at once": _one(
            database,
            "SELECT count(*) FROM integrations_webhookevent WHERE status='done' AND attempts=1",
        ),
        "subscriptions as last told": sum(
            state == f"version_{_word(min(_PER_SUBSCRIPTION, events - _PER_SUBSCRIPTION * n) - 1)}"
            for n, state in _states(database)
        ),
    }
    subscriptions = -(-events // _PER_SUBSCRIPTION)
    wanted = {
        "rows": events,
        "done at once": events,
        "subscriptions as last told": subscriptions,
    }
    return [
        f"WRONG: {found[n]:,} {n} instead of {wanted[n]:,}" for n in wanted if found[n] != wanted[n]
    ]


def _states(database: psycopg.Connection[Any]) -> list[tuple[int, str]]:
    rows = database.execute(
        "SELECT substr(subject, 5)::int, state->>'status' FROM integrations_partnerobject"
    )
    return rows.fetchall()


def _one(database: psycopg.Connection[Any], query: str) -> int:
    row = database.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _table(answers: Sequence[Answered]) -> str:
    heads = f"{'sent':<14}{'requests':>10}{'must be':>10}{'answered':>14}"
    groups: dict[tuple[str, int], Counter[int]] = {}
    for each in answers:
        groups.setdefault((each.letter.what, each.letter.status), Counter())[each.status] += 1
    rows = [
        f"{what:<14}{sum(got.values()):>10,}{status:>10}"
        f"{', '.join(f'{code}: {n:,}' for code, n in sorted(got.items())):>14}"
        for (what, status), got in sorted(groups.items(), key=lambda g: (g[0][1], g[0][0]))
    ]
    return "\n".join([heads, *rows, ""])


def _line(what: str, answers: Sequence[Answered]) -> str:
    times = sorted(a.seconds * 1000 for a in answers)
    p50, p95, p99 = (times[int(len(times) * share)] for share in (0.5, 0.95, 0.99))
    return f"{what:<14} p50 {p50:6.1f} ms   p95 {p95:6.1f} ms   p99 {p99:6.1f} ms"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
