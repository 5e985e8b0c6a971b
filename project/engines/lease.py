"""Who runs the engines of a directory, and at which addresses they answer.

The starter and the guards of its engines hold the lock, so it is free only when all are gone.
"""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

_PATIENCE = 30.0  # seconds for the engines of a starter that was killed to end


class EnginesBusy(Exception):
    """Another process runs the engines of this directory."""


class Lease:
    """The right to run the engines under `var`. Raises EnginesBusy when a living process has it."""

    def __init__(self, var: Path) -> None:
        var.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._addresses = _addresses_file(var)
        self.descriptor = os.open(_lock_file(var), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _acquire(self.descriptor, var)
        except BaseException:
            os.close(self.descriptor)
            raise
        self._addresses.unlink(missing_ok=True)
        os.pwrite(self.descriptor, str(os.getpid()).encode(), 0)

    def publish(self, addresses: Mapping[str, str]) -> None:
        """Tell other processes (`manage.py` in another terminal) where the engines answer."""
        written = self._addresses.with_suffix(".new")
        with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(dict(addresses), file, indent=2)
        written.replace(self._addresses)

    def release(self) -> None:
        """Give the right back; the engines must have been stopped."""
        self._addresses.unlink(missing_ok=True)
        os.ftruncate(self.descriptor, 0)
        os.close(self.descriptor)


def running(var: Path) -> dict[str, str]:
    """The addresses of the engines that run under `var`, by variable name; empty when none run."""
    try:
        descriptor = os.open(_lock_file(var), os.O_RDONLY)
    except OSError:
        return {}
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(_addresses_file(var))
    else:
        return {}
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, var: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _refuse_if_held_for_good(descriptor, var, late=time.monotonic() > deadline)
            time.sleep(0.1)


def _refuse_if_held_for_good(descriptor: int, var: Path, *, late: bool) -> None:
    holder = os.pread(descriptor, 32, 0).decode()
    alive = holder.isdigit() and psutil.pid_exists(int(holder))
    if alive or late:
        raise EnginesBusy(
            f"the engines under {var} are run by another process ({holder or 'unknown'}); "
            "stop it first, or set DATABASE_URL, BROKER_URL and REDIS_URL to use other ones"
        )


def _read(path: Path) -> dict[str, str]:
    try:
        addresses = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return {str(name): str(address) for name, address in addresses.items()}


def _lock_file(var: Path) -> Path:
    return var / "engines.lock"


def _addresses_file(var: Path) -> Path:
    return var / "engines.json"
