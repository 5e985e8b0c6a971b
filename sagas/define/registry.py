"""The sagas that this process knows, by name and version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

from sagas.define.arguments import refuse, shown
from sagas.define.difference import difference
from sagas.define.fingerprint import fits
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.errors import UnknownSaga

_LISTED = 10  # names in an error that a caller reads
_sagas: dict[str, dict[int, Definition]] = {}


def register(saga: Definition) -> None:
    """Make a saga known.

    Raises:
        DefinitionError: the name and version are taken.
    """
    versions = _sagas.setdefault(saga.name, {})
    if saga.version in versions:
        refuse(
            "sagas.E012",
            f"Saga {saga.name!r}",
            f"version {saga.version} is defined twice.",
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
        raise UnknownSaga(f"No saga is named {shown(name)}.{hint} Known sagas: {_known()}.")
    wanted = max(versions) if version is None else version
    if wanted not in versions:
        listed = ", ".join(map(str, sorted(versions)))
        raise UnknownSaga(f"Saga {name!r} has no version {wanted}; it has {listed}.")
    return versions[wanted]


def _known() -> str:
    names = sorted(_sagas)
    more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more if names else "none"


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


def fitting(name: str, version: int, fingerprint: str) -> Definition | None:
    """As ``pinned``; None where that raises."""
    saga = _sagas.get(name, {}).get(version)
    return saga if saga is not None and fits(fingerprint, saga) else None


def waiting_for(signal: str) -> dict[str, list[Step]]:
    """The steps that declare that they wait for a signal, by saga; the newest version's first."""
    found: dict[str, list[Step]] = {}
    for saga in reversed(all_sagas()):
        for step in saga.steps.values():
            if step.signal == signal:
                found.setdefault(saga.name, []).append(step)
    return found


def versions(name: str) -> list[int]:
    """The versions of a saga, the oldest first; none of one that is gone."""
    return sorted(_sagas.get(name, ()))


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
