"""Ends a server that outlived all that watched it, and removes its stale pid file."""

from pathlib import Path

import psutil

_GRACE = 20.0


def end(pid_file: Path, directory: Path) -> None:
    """Kill the process in `pid_file` if it works in `directory`, and remove the file."""
    for process in _named(pid_file):
        if _works_in(process, directory):
            _end(process)
    pid_file.unlink(missing_ok=True)


def _named(pid_file: Path) -> list[psutil.Process]:
    try:
        return [psutil.Process(int(pid_file.read_text().split()[0]))]
    except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
        return []


def _works_in(process: psutil.Process, directory: Path) -> bool:
    # Both servers make their data directory their working directory; a stranger does not.
    try:
        return Path(process.cwd()) == directory.resolve()
    except psutil.Error:
        return False


def _end(process: psutil.Process) -> None:
    process.terminate()
    try:
        process.wait(_GRACE)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(_GRACE)
