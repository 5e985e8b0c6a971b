"""Nothing that a step's code leaves behind reaches what runs next in this process.

The engine speaks on the same connection as the steps, so that an atomic step can commit together
with its outcome. What their code does to it is noticed without asking the server: libpq knows the
state of the transaction and the settings that the server reports, and cursors note the statements
that change a session. A connection that is not as it was opened is closed: a new one has all of
what the project sets up, which no list of RESETs could know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from decimal import DefaultContext, setcontext
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from django.core.cache import caches
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils import timezone, translation
from psycopg.pq import PipelineStatus, TransactionStatus

from sagas import db

A = TypeVar("A")
T = TypeVar("T")


# --- what Python keeps ---------------------------------------------------------------------


def call(code: Callable[[A], T], argument: A) -> T:
    """Call a step's code in a context of its own.

    Context variables, Django's language and time zone and the decimal context end with it. What
    tracing has set for this task is seen inside.
    """
    if not _has_caches.get():
        with suppress(Exception):  # a cache that cannot be had is for the step to complain of
            caches.all()  # they live in the context too, and should outlive the step
            _has_caches.set(True)
    return copy_context().run(_begin, code, argument)


_has_caches: ContextVar[bool] = ContextVar("sagas_has_caches", default=False)


def _begin(code: Callable[[A], T], argument: A) -> T:
    translation.deactivate()
    timezone.deactivate()
    setcontext(DefaultContext)
    return code(argument)


# --- what connections keep -----------------------------------------------------------------


def fresh() -> None:
    """Close what whoever ran in this thread before has left in disorder.

    For the beginning of a task, where nobody has a transaction open by right.
    """
    _watch_new_connections()
    for wrapper in connections.all(initialized_only=True):
        if not _of_a_test(wrapper) and not _as_opened(wrapper):
            _drop(wrapper)


def _of_a_test(wrapper: BaseDatabaseWrapper) -> bool:
    """Whether it is in the transaction of a test case, which performs tasks in its own process."""
    return any(getattr(b, "_from_testcase", False) for b in wrapper.atomic_blocks[:1])


@contextmanager
def isolated() -> Iterator[None]:
    """Close what the code inside leaves in disorder.

    A connection on which a caller of the engine has a transaction open, as in a test, is left.
    """
    _watch_new_connections()
    known = {wrapper.alias: _Found(wrapper) for wrapper in connections.all(initialized_only=True)}
    try:
        yield
    finally:
        for wrapper in connections.all(initialized_only=True):
            found = known.get(wrapper.alias)
            if found is not None and found.in_use:
                continue
            if not _as_opened(wrapper):
                _drop(wrapper)
            elif found is not None:
                found.restore(wrapper)


def take_back_settings() -> None:
    """Run what follows in this transaction as the connection's own role, and without hurry.

    Costs a statement only after code that has changed settings, be it with SET LOCAL.
    """
    watch = _watched.get(connection.connection)
    if watch is not None and watch.settings:
        role = connection.settings_dict["OPTIONS"].get("assume_role")
        role = connection.ops.quote_name(role) if role else "NONE"
        db.execute(f"SET LOCAL ROLE {role}")
        db.execute("SET LOCAL statement_timeout TO DEFAULT")
        db.execute("SET LOCAL lock_timeout TO DEFAULT")
        watch.settings = False


def transaction_ended() -> bool:
    """Whether the code of an atomic step has ended its transaction by itself."""
    watch = _watched.get(connection.connection)
    return watch is not None and watch.ended


class _Found:
    """A connection as it was found, and what Django keeps beside it."""

    def __init__(self, wrapper: BaseDatabaseWrapper) -> None:
        self.in_use = wrapper.in_atomic_block
        self._wrappers = list(wrapper.execute_wrappers)
        self._debug = wrapper.force_debug_cursor
        if isinstance(raw := wrapper.connection, psycopg.Connection):
            if raw not in _watched:
                _watch(raw)
            _watched[raw].settings = _watched[raw].ended = False

    def restore(self, wrapper: BaseDatabaseWrapper) -> None:
        wrapper.execute_wrappers[:] = self._wrappers
        wrapper.force_debug_cursor = self._debug


def _as_opened(wrapper: BaseDatabaseWrapper) -> bool:
    """Whether a connection has no transaction open, and its session nothing that was set in it."""
    raw = wrapper.connection
    if wrapper.in_atomic_block or raw is None:
        return not wrapper.in_atomic_block
    if not isinstance(raw, psycopg.Connection):
        return bool(wrapper.get_autocommit() == wrapper.settings_dict["AUTOCOMMIT"])
    watch = _watched.get(raw)
    idle = raw.pgconn.transaction_status == TransactionStatus.IDLE
    return watch is not None and idle and not watch.session and watch.posture == _posture(raw)


def _drop(wrapper: BaseDatabaseWrapper) -> None:
    """Close a connection, whatever state it is in, and forget what Django knew of it."""
    if isinstance(raw := wrapper.connection, psycopg.Connection):
        with suppress(Exception):  # before Django, which would give it back to its pool as it is
            raw.close()
    with suppress(Exception):
        wrapper.close()
    del connections[wrapper.alias]


# --- what a session is changed by ----------------------------------------------------------


@dataclass(slots=True)
class _Watch:
    """What is known of a connection since it was opened."""

    posture: tuple[Any, ...]
    session: bool = False  # a statement has changed what lasts longer than a transaction
    settings: bool = False  # ... or a setting, be it until the transaction ends
    ended: bool = False  # ... or has ended its transaction


_watched: WeakKeyDictionary[psycopg.Connection[Any], _Watch] = WeakKeyDictionary()
#: Settings whose value the server tells by itself whenever it changes (some of them lately).
_REPORTED = tuple(
    name.encode()
    for name in (
        *("TimeZone", "DateStyle", "IntervalStyle", "client_encoding", "search_path"),
        *("session_authorization", "is_superuser", "standard_conforming_strings"),
        "default_transaction_read_only",
    )
)


@cache
def _watch_new_connections() -> None:
    """Watch each connection from its birth, after those who set it up have had their turn."""
    connection_created.connect(_created, dispatch_uid="sagas.isolation")


def _created(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if isinstance(connection.connection, psycopg.Connection):
        _watch(connection.connection)


def _watch(raw: psycopg.Connection[Any]) -> None:
    if isinstance(raw.cursor_factory, type):
        raw.cursor_factory = _noting_cursor(raw.cursor_factory)
    _watched[raw] = _Watch(_posture(raw))


def _posture(raw: psycopg.Connection[Any]) -> tuple[Any, ...]:
    return (
        raw.autocommit,
        raw.isolation_level,
        raw.read_only,
        raw.deferrable,
        raw.row_factory,
        raw.pgconn.pipeline_status == PipelineStatus.OFF,
        *map(raw.pgconn.parameter_status, _REPORTED),
    )


class _Noting:
    """Notes which statements of a cursor change the session."""

    connection: psycopg.Connection[Any]

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        _note(self.connection, query)
        return super().execute(query, *args, **options)  # type: ignore[misc]

    def executemany(self, query: Any, *args: Any, **options: Any) -> Any:
        _note(self.connection, query)
        return super().executemany(query, *args, **options)  # type: ignore[misc]


_cursors: dict[type[Any], type[Any]] = {}  # those that note, by the one that they are made of


def _noting_cursor(factory: type[Any]) -> type[Any]:
    if issubclass(factory, _Noting):
        return factory
    if factory not in _cursors:
        _cursors[factory] = type(factory.__name__, (_Noting, factory), {})
    return _cursors[factory]


def _note(raw: psycopg.Connection[Any], query: Any) -> None:
    if (watch := _watched.get(raw)) is not None:
        text = _text(raw, query).lower()
        parts = text.split(";") if ";" in text else (text,)
        watch.session |= any(map(_SESSION.match, parts)) or _calls(text)
        watch.settings |= any(map(_SETTINGS.match, parts)) or "set_config" in text
        watch.ended |= any(map(_ENDS, parts))


def _text(raw: psycopg.Connection[Any], query: Any) -> str:
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    return query if isinstance(query, str) else str(query.as_string(raw))


def _calls(text: str) -> bool:
    return any(word in text for word in _WORDS) and _CALLS.search(text) is not None


_BLANK = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
# Not what ends with its transaction.
_SESSION = re.compile(
    _BLANK + r"(?:set\s+(?!local\b|constraints\b|transaction\b)|reset\b|discard\b|listen\b|load\b"
    r"|prepare\s+(?!transaction\b)|create\s+(?:(?:local|global)\s+)?temp)",
    re.DOTALL,
)
_SETTINGS = re.compile(_BLANK + r"(?:set|reset)\s", re.DOTALL)
_ENDS = re.compile(
    _BLANK + r"(?:commit|end|abort|prepare\s+transaction|rollback(?!.*\bto\b))\b", re.DOTALL
).match
_CALLS = re.compile(
    r"\bset_config\s*\((?![^()]*,\s*true\s*\))|\bpg_(?:try_)?advisory_lock|\bsetseed\s*\("
    r"|\binto\s+(?:(?:local|global)\s+)?temp|\bwith\s+hold\b"
)
_WORDS = ("set_config", "advisory_lock", "setseed", " temp", "with hold")
