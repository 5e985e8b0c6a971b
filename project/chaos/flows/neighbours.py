"""A saga whose steps leave behind, in turn, all that a step's code can leave behind.

Each deed is what code of ordinary projects does: to the session of the database, to Django, to
Python and to the process. None of it may reach a step of another saga, or the engine. Not found by
itself, since only those who ask for bad neighbours should have them: import this module.
"""

from __future__ import annotations

import decimal
import gc
import locale
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import psycopg
from django.db import connection, transaction
from django.utils import timezone, translation
from psycopg.rows import dict_row
from pydantic import BaseModel

from sagas.api import Retry, Run, Saga, Step, step

LEFT = ContextVar("LEFT", default="")
_PARKED: list[Any] = []


def execute(sql: str) -> None:
    """Run a statement as most code does."""
    with connection.cursor() as cursor:
        cursor.execute(sql)


def unseen(sql: str) -> None:
    """Run a statement past Django and past the connection's own cursors."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(sql)


# --- transactions --------------------------------------------------------------------------


def autocommit_off() -> None:
    """Turn autocommit off and begin a transaction with it."""
    connection.set_autocommit(False)
    execute("SELECT 1")


def atomic_entered() -> None:
    """Enter a transaction and leave it to nobody."""
    block = transaction.atomic()
    block.__enter__()
    execute("SELECT 1")
    _PARKED.append(block)


def begun() -> None:
    """Begin a transaction of which Django knows nothing."""
    execute("BEGIN")
    execute("SELECT 1")


def failed() -> None:
    """Leave a transaction that has failed."""
    execute("BEGIN")
    with suppress(Exception):
        execute("SELECT 1/0")


def closed() -> None:
    """Close the connection."""
    connection.close()


def copying() -> None:
    """Leave the connection in the middle of an answer."""
    connection.ensure_connection()
    connection.connection.pgconn.send_query(b"SELECT generate_series(1, 100000)")


# --- the session ---------------------------------------------------------------------------

SETTINGS = (
    "default_transaction_read_only = on",
    "search_path = pg_catalog",
    "statement_timeout = 1",
    "lock_timeout = 1",
    "default_transaction_isolation = 'serializable'",
    "TimeZone = 'Asia/Tokyo'",
    "DateStyle = 'SQL, DMY'",
    "IntervalStyle = 'sql_standard'",
    "app.tenant = 'neighbour'",
    "role = pg_monitor",
)


def settings() -> None:
    """Change all that a session has to change, as most code does."""
    for setting in SETTINGS:
        with suppress(Exception):  # a role that may not be taken; a statement that had no time
            execute(f"SET {setting}")


def settings_unseen() -> None:
    """Change what the engine's own statements need, so that nobody is told."""
    for name, value in (("search_path", "pg_catalog"), ("statement_timeout", "1")):
        unseen(f"SELECT set_config('{name}', '{value}', false)")


def role_unseen() -> None:
    """Become somebody who may not write, so that nobody is told."""
    with suppress(Exception):
        unseen("SET ROLE pg_monitor")


def characteristics() -> None:
    """Make every later transaction read-only and serializable."""
    execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY")


def shadows() -> None:
    """Lay temporary tables over the engine's own."""
    for table in ("sagas_run", "sagas_step", "sagas_event", "sagas_worker", "sagas_hold"):
        execute(f"CREATE TEMP TABLE IF NOT EXISTS {table} (id text)")


def session_state() -> None:
    """Prepare, listen, hold an advisory lock and a cursor."""
    execute("PREPARE neighbour AS SELECT 1")
    execute("LISTEN neighbour")
    execute("SELECT pg_advisory_lock_shared(7365)")
    execute("DECLARE neighbour CURSOR WITH HOLD FOR SELECT 1")


def driver() -> None:
    """Change what the driver gives and how it begins."""
    connection.ensure_connection()
    raw = connection.connection
    raw.row_factory, raw.isolation_level, raw.read_only = dict_row, 4, True


def wrappers() -> None:
    """Refuse every later query of Django's, and keep a list of them."""

    def refuse(*_: Any) -> Any:
        raise RuntimeError("a neighbour's wrapper")

    connection.execute_wrappers.append(refuse)
    connection.force_debug_cursor = True


# --- Django, Python and the process --------------------------------------------------------


def django() -> None:
    """Speak another language in another time zone."""
    translation.activate("de")
    timezone.activate("Asia/Tokyo")


def python() -> None:
    """Change contexts, and what belongs to all."""
    LEFT.set("neighbour")
    decimal.getcontext().prec = 2
    random.seed(1)
    gc.collect()


def process() -> None:
    """Change the process: its signals, its directory, its environment, its locale."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.alarm(1)
    os.chdir("/")
    os.environ["NEIGHBOUR"] = "1"
    with suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
    threading.Thread(target=time.sleep, args=(1,), daemon=True).start()


DEEDS: dict[str, Callable[[], None]] = {
    deed.__name__: deed
    for deed in (
        *(autocommit_off, atomic_entered, begun, failed, closed, copying),
        *(settings, settings_unseen, role_unseen, characteristics, shadows, session_state),
        *(driver, wrappers, django, python, process),
    )
}
#: What an atomic step can do, and still be recorded.
ATOMIC = ("settings_locally", "shadows", "session_state", "django", "python")


def settings_locally() -> None:
    """Change what ends with the transaction, as careful code does."""
    for setting in ("search_path = pg_catalog", "role = pg_monitor", "statement_timeout = 1"):
        execute("SAVEPOINT neighbour")
        try:
            execute(f"SET LOCAL {setting}")
        except Exception:
            execute("ROLLBACK TO SAVEPOINT neighbour")


class Neighbour(BaseModel):
    """``number`` tells runs apart, as of every saga here."""

    number: int = 0


def _step(name: str, deed: Callable[[], None], **options: Any) -> Step:
    @step(name=name, harmless=True, timeout=25, retry=Retry(attempts=12, base=0.2), **options)
    def action(run: Run[Neighbour]) -> None:
        deed()

    return action


neighbour = Saga(
    "chaos-neighbour",
    payload=Neighbour,
    steps=[
        *(_step(name, deed) for name, deed in DEEDS.items()),
        *(
            _step(f"atomic_{n}", {**DEEDS, "settings_locally": settings_locally}[n], atomic=True)
            for n in ATOMIC
        ),
    ],
)
