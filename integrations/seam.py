"""Where code that needs a partner gets its connector, and where a test puts a fake instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Generic, TypeVar

Connector = TypeVar("Connector")


class Seam(Generic[Connector]):
    """One partner's connector for the whole process: made once by `connect`, replaced by `use`.

    The replacement is seen by every thread, because sagas run their steps in worker threads.
    """

    def __init__(self, connect: Callable[[], Connector]) -> None:
        self._connected = cache(connect)
        self._replacement: Connector | None = None

    def connector(self) -> Connector:
        """The replacement while one is in use, else the real one."""
        return self._replacement if self._replacement is not None else self._connected()

    @contextmanager
    def use(self, replacement: Connector) -> Iterator[Connector]:
        """Put `replacement` in the real one's place for the length of the block."""
        before, self._replacement = self._replacement, replacement
        try:
            yield replacement
        finally:
            self._replacement = before
