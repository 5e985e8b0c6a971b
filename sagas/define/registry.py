"""The sagas that this process knows, by name and version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

from sagas.define.difference import difference
from sagas.define.fingerprint import fits
from sagas.define.saga import Definition
from sagas.errors import DefinitionError, UnknownSaga

_sagas: dict[str, dict[int, Definition]] = {}


def register(saga: Definition) -> None:
    """Make a saga known.

    Raises:
        DefinitionError: the name and version are taken.
    """
    versions = _sagas.setdefault(saga.name, {})
    if saga.version in versions:
        raise DefinitionError(
            "sagas.E012",
            f"Saga {saga.name!r}: version {saga.version} is defined twice.",
            "Give it another name, or raise its version.",
        )
    versions[saga.version] = saga


def get(name: str, version: int | None = None) -> Definition:
    """The saga of that name, by default its newest version.

    Raises:
        UnknownSaga: there is none; the message names near misses.
    """
    versions = _sagas.get(name)
    if not versions:
        near = get_close_matches(name, _sagas, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        known = ", ".join(sorted(_sagas)) or "none"
        raise UnknownSaga(f"No saga is named {name!r}.{hint} Known sagas: {known}.")
    wanted = max(versions) if version is None else version
    if wanted not in versions:
        listed = ", ".join(map(str, sorted(versions)))
        raise UnknownSaga(f"Saga {name!r} has no version {wanted}; it has {listed}.")
    return versions[wanted]


def find(reference: str) -> Definition | None:
    """The saga that a message names as ``name/version``, if this process knows it."""
    name, _, version = reference.rpartition("/")
    return _sagas.get(name, {}).get(int(version)) if version.isdecimal() else None


def pinned(name: str, version: int, fingerprint: str) -> Definition:
    """The saga that a run was started with, as it is now.

    Raises:
        UnknownSaga: it is gone, or has changed so that the run cannot go on with it.
    """
    saga = get(name, version)
    if not fits(fingerprint, saga):
        raise UnknownSaga(
            f"{saga!r} has other steps than when this run started. Bring them back, and give "
            "the new ones a version of their own."
        )
    return saga


def mismatch(name: str, version: int, fingerprint: str, started: Sequence[str]) -> str:
    """Why the code cannot continue a run, in words; empty if it can.

    Args:
        started: the names of the run's forward steps, by position.
    """
    try:
        saga = get(name, version)
    except UnknownSaga as error:
        return f"{error}{_against_newest(name, fingerprint, started)}"
    if fits(fingerprint, saga):
        return ""
    words = difference(started, fingerprint, saga)
    return f"{saga!r} has other steps than when this run started: {words}."


def _against_newest(name: str, fingerprint: str, started: Sequence[str]) -> str:
    versions = _sagas.get(name)
    newest = versions[max(versions)] if versions else None
    words = difference(started, fingerprint, newest) if newest else ""
    return f" Compared with {newest!r}: {words}." if words else ""


def all_sagas() -> list[Definition]:
    """Every saga and version, by name."""
    return [v for _, versions in sorted(_sagas.items()) for _, v in sorted(versions.items())]


@contextmanager
def isolated() -> Iterator[None]:
    """Forget on leaving whatever was registered inside: for tests."""
    kept = {name: dict(versions) for name, versions in _sagas.items()}
    try:
        yield
    finally:
        _sagas.clear()
        _sagas.update(kept)
