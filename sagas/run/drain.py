"""A worker that is being shut down finishes the steps in flight and carries no further ones."""

from __future__ import annotations

import mmap

#: Shared with the pool's processes, which are forks: they are not told of a warm shutdown.
_flag = mmap.mmap(-1, 1)


def drain() -> None:
    """Let every process of this worker hand its chain back after the step at hand."""
    _flag[0] = 1


def draining() -> bool:
    """Whether this worker is being shut down."""
    return _flag[0] == 1


def reopen() -> None:
    """Take that back: a worker begins."""
    _flag[0] = 0
