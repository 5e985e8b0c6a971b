"""Where anchors are kept: outside the database, where its users cannot change them.

A store of your own, such as a bucket with an object lock, is a class that can be made without
arguments, or an object, with the two methods of ``Store``; ``SAGAS["AUDIT_ANCHOR"]`` is its path.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from django.utils.module_loading import import_string

from sagas.conf import conf
from sagas.errors import SagaError

logger = logging.getLogger("sagas.anchor")


class Store(Protocol):
    """Keeps lines of text and never changes one."""

    def append(self, line: str) -> None:
        """Keep a line for good. An exception means that it may not have been kept."""

    def read(self) -> Iterable[str]:
        """Every line that was kept, the oldest first."""


class FileStore:
    """Appends to a file. Put it where whoever may write to the database may not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, line: str) -> None:
        """Write a line and wait until it is on the disk."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(file).st_size
            torn = size and os.pread(file, 1, size - 1) != b"\n"  # power was lost half-way
            os.write(file, ("\n" if torn else "").encode() + f"{line}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)

    def read(self) -> Iterable[str]:
        """Every line; none if nothing was ever written."""
        try:
            return self._path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []


class LogStore:
    """Writes to the log ``sagas.anchor``, for systems that collect logs where nobody edits them."""

    def append(self, line: str) -> None:
        """Log a line at level INFO."""
        logger.info("%s", line)

    def read(self) -> Iterable[str]:
        """Cannot be done: the lines are in another system.

        Raises:
            SagaError: always.
        """
        raise SagaError(
            "The anchors are in the logs of 'sagas.anchor'. Collect them in a file and give it as "
            "--anchors FILE."
        )


def store() -> Store | None:
    """What ``SAGAS["AUDIT_ANCHOR"]`` names; None: nothing.

    Raises:
        ImportError: there is nothing of that name.
    """
    named = conf().AUDIT_ANCHOR
    if not named:
        return None
    if named.startswith("/"):
        return FileStore(Path(named))
    found = import_string(named)
    made: Store = found() if isinstance(found, type) else found
    return made
