"""`python -m bench.console`: what the console's pages cost with a long history, and with none.

The time is the server's, without a network and a browser; each page is asked for by a viewer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from project.engines import Engines
from project.supervisor import Supervisor

_ROUNDS = 9
_PAGEFUL = 60
_LARGE = UUID("01900000-0000-7000-a000-000000000001")
_LIST = "/admin/sagas/run/"
_PAGES = {
    "list": _LIST,
    "list, last page": f"{_LIST}?p=last",
    "list, saga": f"{_LIST}?saga=refund",
    "list, succeeded": f"{_LIST}?status=succeeded",
    "list, needs attention": f"{_LIST}?status=needs_attention",
    "list, compensated": f"{_LIST}?status=compensated",
    "list, unfinished": f"{_LIST}?status=unfinished",
    "list, held": f"{_LIST}?status=held",
    "list, stuck": f"{_LIST}?status=stuck",
    "list, step": f"{_LIST}?step=capture_payment",
    "list, step and saga": f"{_LIST}?step=capture_payment&saga=payout",
    "list, error group": f"{_LIST}?error_group=charge:+card+c+refused+with+%E2%80%A6",
    "list, error group and attention": (
        f"{_LIST}?error_group=charge:+card+c+refused+with+%E2%80%A6&status=needs_attention"
    ),
    "list, frequent tag": f"{_LIST}?tag=priority",
    "list, rare tag": f"{_LIST}?tag=launch",
    "list, owner": f"{_LIST}?owner=ann",
    "list, nobody's": f"{_LIST}?owner=@nobody&status=needs_attention",
    "list, older than 1 d": f"{_LIST}?age=1d",
    "list, days": f"{_LIST}?since={{since}}&until={{until}}",
    "list, rare key": f"{_LIST}?q=order:123456",
    "list, frequent key": f"{_LIST}?q=order:1",
    "list, no such key": f"{_LIST}?q=nothing",
    "errors grouped": f"{_LIST}errors/",
    "overview": "/admin/sagas/",
    "run of 200 steps, 2,000 attempts": f"{_LIST}{_LARGE}/change/",
}


@dataclass(frozen=True)
class Cost:
    """What one page costs: the median of its times in seconds, and its statements."""

    seconds: float
    statements: list[tuple[str, Any]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stored", type=int, default=1_000_000, help="runs (default 1,000,000)")
    parser.add_argument("--explain", action="store_true", help="print plans of the lists, too")
    parser.add_argument("--only", default="", help="only pages whose name has this part")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="console-") as folder:
        engines = Engines(Path(folder), {}, Supervisor())
        try:
            os.environ |= engines.addresses | {"DJANGO_SETTINGS_MODULE": "project.settings"}
            _compare(asked.stored, asked.only, explain=asked.explain)
        finally:
            engines.stop()


def _compare(stored: int, only: str, *, explain: bool) -> None:
    import django

    django.setup()
    from django.test import Client
    from django.test.utils import setup_test_environment

    setup_test_environment(debug=False)
    client = Client()
    histories = _histories(client, stored)
    pages = {name: page for name, page in _PAGES.items() if only in name}
    costs = _measure(client, pages, histories)
    _print(stored, costs)
    if explain:
        _use(histories[-1])
        _explain(costs)


def _histories(client: Any, stored: int) -> list[Any]:
    """A connection each to a database with one run, with a page of runs, and with so many."""
    from django.core.management import call_command

    from bench import history

    call_command("migrate", verbosity=0)
    history.store_large(_LARGE)
    client.force_login(_viewer())
    one = _connection().info.dbname
    _copy("console_few", of=one)
    history.store(_PAGEFUL)
    _copy("console_full", of="console_few")
    history.store(stored, first=_PAGEFUL + 1)
    return [_reopened(name) for name in (one, "console_few", "console_full")]


def _connection() -> Any:
    from django.db import connection

    connection.ensure_connection()
    return connection.connection


def _copy(name: str, of: str) -> None:
    """Go on in a copy of a database, which nobody may be connected to meanwhile."""
    import psycopg
    from django.db import connection

    address = _connection().info.dsn
    connection.close()
    with psycopg.connect(address, dbname="template1", autocommit=True) as another:
        another.execute(f"CREATE DATABASE {name} TEMPLATE {of}")
    _reopened(name)


def _reopened(name: str) -> Any:
    """Django's own connection, to another database."""
    from django.db import connection

    connection.connection = None  # kept open by whoever holds it
    connection.settings_dict["NAME"] = name
    return _connection()


def _use(raw: Any) -> None:
    from django.db import connection

    connection.connection = raw
    connection.settings_dict["NAME"] = raw.info.dbname


def _measure(client: Any, pages: Mapping[str, str], histories: list[Any]) -> dict[str, list[Cost]]:
    """For each page what it costs with each history, in turns: a noisy machine then slows all."""
    costs = {}
    for name, page in pages.items():
        times: list[list[float]] = [[] for _ in histories]
        statements: list[Any] = [None for _ in histories]
        for _ in range(_ROUNDS + 1):
            for number, history in enumerate(histories):
                _use(history)
                address = _address(client, page)
                times[number].append(_seconds(client, address))
                statements[number] = statements[number] or _statements(client, address)
        costs[name] = [
            Cost(statistics.median(spent[1:]), seen)
            for spent, seen in zip(times, statements, strict=True)
        ]
    return costs


def _seconds(client: Any, page: str) -> float:
    began = time.perf_counter()
    response = client.get(page)
    spent = time.perf_counter() - began
    assert response.status_code == 200, f"{page}: {response.status_code}"
    return spent


def _viewer() -> Any:
    from django.contrib.auth.models import Permission, User

    user, _ = User.objects.get_or_create(username="viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="sagas"))
    return user


def _address(client: Any, page: str) -> str:
    from datetime import timedelta

    from django.utils import timezone

    if page.endswith("p=last"):
        paginator = client.get(_LIST).context["cl"].paginator
        return page.replace("last", str(paginator.num_pages))
    until = timezone.now() - timedelta(days=10)
    since = until - timedelta(days=2)
    return page.format(since=since.date(), until=until.date())


def _statements(client: Any, page: str) -> list[tuple[str, Any]]:
    """The statements of one more request."""
    from unittest.mock import patch

    import psycopg

    seen: list[tuple[str, Any]] = []
    execute = psycopg.Cursor.execute

    def noting(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
        seen.append((str(query), params))
        return execute(cursor, query, params, **options)

    with patch.object(psycopg.Cursor, "execute", noting):
        client.get(page)
    return seen


def _print(stored: int, costs: Mapping[str, list[Cost]]) -> None:
    print(f"Pages of the console with {stored:,} runs, with {_PAGEFUL} and with one")
    print(f"{'page':>34} {'statements':>10} {'ms':>7} {'to 1':>6} {f'to {_PAGEFUL}':>6}")
    for name, (one, few, full) in costs.items():
        print(
            f"{name:>34} {len(full.statements):>10} {1000 * full.seconds:>7.1f} "
            f"{full.seconds / one.seconds:>6.2f} {full.seconds / few.seconds:>6.2f}"
        )


def _explain(costs: Mapping[str, list[Cost]]) -> None:
    from django.db import connection

    for name, (_, _, full) in costs.items():
        print(f"\n=== {name}")
        for sql, params in full.statements:
            if "sagas_run" not in sql or sql.lstrip().startswith(("INSERT", "UPDATE")):
                continue
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params)
                plan = "\n".join(line for (line,) in cursor.fetchall())
            print(f"--- {' '.join(sql.split())[:160]}\n{plan}")


if __name__ == "__main__":
    main()
