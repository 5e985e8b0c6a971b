"""What processes cost: CPU seconds and memory, from the operating system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psutil


class Costs:
    """CPU and memory of groups of process trees: its name, and the processes at their roots."""

    def __init__(self, roots: Mapping[str, Iterable[int]]) -> None:
        self._roots = {name: tuple(pids) for name, pids in roots.items()}

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by group, with those of children that have ended."""
        return {name: sum(map(_tree_cpu, pids)) for name, pids in self._roots.items()}

    def memory(self, name: str) -> int:
        """Bytes that a group holds; what its processes share counts once where that is known."""
        return sum(_memory(p) for pid in self._roots[name] for p in _tree(psutil.Process(pid)))


def engine_root(pid: int, name: str) -> int | None:
    """The root of an engine's tree, given a process of it. None: it is not on this machine."""
    try:
        process = psutil.Process(pid)
        if not process.name().startswith(name):
            return None
        parent = process.parent()
        while parent is not None and parent.name().startswith(name):
            process, parent = parent, parent.parent()
    except psutil.Error:
        return None
    return process.pid


def _tree(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def _tree_cpu(pid: int) -> float:
    total = 0.0
    for process in _tree(psutil.Process(pid)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # it ended just now: its parent's times have it
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _memory(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(full, "pss", 0) or full.rss)
