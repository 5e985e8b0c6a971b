"""All that one machine needs to run sagas, started and stopped together."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

from integrations.sandbox.ledger import Ledger
from integrations.sandbox.process import RunningSandbox
from project.child import Program
from project.engines import Engines
from project.environment import VAR
from project.probe import answers
from project.queues import WORKER_GROUPS
from project.supervisor import Supervisor

_ROOT = Path(__file__).resolve().parent.parent
_HOST = "127.0.0.1"
_PRIVATE = "INTEGRATIONS_PRIVATE_HOSTS"


class World:
    """Engines, partners, web and workers under one supervisor: a context manager that ends all.

    `environment` is what its processes run with: the given one (default: ours) and the addresses
    of what was started. Engines and partners that it names already are used as they are.
    """

    def __init__(
        self,
        var: Path = VAR,
        environment: Mapping[str, str] | None = None,
        echo: IO[str] | None = None,
    ) -> None:
        self.var = var
        self.environment = dict(os.environ if environment is None else environment)
        self._supervisor = Supervisor(echo)
        self._engines: Engines | None = None
        self._names: list[str] = []

    def __enter__(self) -> Self:
        self._engines = Engines(self.var, self.environment, self._supervisor)
        self.environment |= self._engines.addresses
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._engines is not None
        self.stop(*self._names)
        self._engines.stop()

    def manage(self, *arguments: str) -> str:
        """Run `manage.py` with `arguments`; give what it printed. Raises CalledProcessError."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=_ROOT,
            env=self.environment,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout

    def partners(self) -> RunningSandbox:
        """Start stand-ins for the partners, used for each that the environment does not name."""
        self.var.mkdir(parents=True, exist_ok=True)
        ledger = self.var.resolve() / "partners.sqlite3"
        port, smtp_port = _free_port(), _free_port()
        ports = [f"--port={port}", f"--smtp-port={smtp_port}"]
        self._start("partners", [*_SANDBOX, f"--ledger={ledger}", *ports])
        self._supervisor.wait_ready("partners", lambda: _listens(port) and _listens(smtp_port))
        sandbox = RunningSandbox(
            address=f"http://{_HOST}:{port}",
            smtp=(_HOST, smtp_port),
            ledger=Ledger(ledger),
            pid=self._supervisor.pid("partners"),
        )
        self.environment |= _unnamed(sandbox.environment(), self.environment)
        if _HOST not in self.environment[_PRIVATE].split(","):
            self.environment[_PRIVATE] += f",{_HOST}"
        return sandbox

    def web(self, port: int = 8000) -> str:
        """Start the site on `port`, or on a free one when that is taken; give its address."""
        port = _free_port(port)
        address = f"http://{_HOST}:{port}"
        self._start("web", [*GUNICORN, f"--bind={_HOST}:{port}"])
        self._supervisor.wait_ready("web", lambda: answers(f"{address}/readyz", self.environment))
        return address

    def workers(self, groups: Mapping[str, list[str]] = WORKER_GROUPS, processes: int = 2) -> None:
        """Start a Celery worker of so many processes for each group: its name and its queues."""
        for name, queues in groups.items():
            self._start(name, _worker(name, queues, processes), {"REMAP_SIGTERM": "SIGQUIT"})

    def pid(self, name: str) -> int:
        """The process group of that child, as it runs now."""
        return self._supervisor.pid(name)

    def stop(self, *names: str) -> None:
        """Stop those children, by the names they print under, side by side."""
        if names:
            self._supervisor.stop(*names)
        self._names = [name for name in self._names if name not in names]

    def _start(self, name: str, command: list[str], more: Mapping[str, str] | None = None) -> None:
        environment = {"PYTHONUNBUFFERED": "1", **(more or {}), **self.environment}
        self._supervisor.start(Program(name, command, environment))
        self._names.append(name)


def exit_on_sigterm() -> None:
    """Let SIGTERM end the main thread as Ctrl-C does, so that a World stops all in order."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


_SANDBOX = [sys.executable, "-m", "integrations.sandbox"]
#: The site's server on this machine; the image's has more processes.
GUNICORN = [
    *(sys.executable, "-m", "gunicorn", "project.wsgi", "--worker-class=project.server.Worker"),
    *("--workers=1", "--threads=8", "--graceful-timeout=5", "--no-control-socket"),
]


def _worker(name: str, queues: list[str], processes: int) -> list[str]:
    return [
        *(sys.executable, "-m", "celery", "--app=project.celery", "--quiet", "worker"),
        *(f"--hostname={name}@%h", f"--queues={','.join(queues)}", f"--concurrency={processes}"),
        *("--loglevel=INFO", "--without-gossip", "--without-mingle"),
    ]


def _unnamed(stand_ins: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of those partners of which `environment` names nothing."""
    # One variable of a partner makes it real: a live key must never be sent to a stand-in.
    named = {_partner(variable) for variable in environment}
    return {name: value for name, value in stand_ins.items() if _partner(name) not in named}


def _partner(variable: str) -> str | None:
    """The PAYMENTS in INTEGRATIONS_PAYMENTS_API_KEY."""
    words = variable.split("_")
    return words[1] if words[0] == "INTEGRATIONS" and len(words) > 2 else None


def _free_port(preferred: int = 0) -> int:
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no free port on {_HOST}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0
