"""An embedded PostgreSQL: data under one directory, the only door a socket that we alone open."""

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import psycopg

from project.engines import binaries, leftover, unprivileged


class Postgres:
    """One server in `directory`, made there when it is new. `command` runs it, `url` reaches it."""

    name = "postgres"
    stop_signal = signal.SIGINT  # ends sessions; SIGTERM would wait for them

    def __init__(self, directory: Path) -> None:
        self._data = directory.resolve() / "data"
        leftover.end(self._data / "postmaster.pid", self._data)
        if not self._data.exists():
            _initialise(self._data)
        _refuse_other_version(self._data)
        self._link = directory.resolve() / "socket"
        self.forget()  # what a killed starter left
        #: What it keeps outside of `directory`: the folder of its socket.
        self.outside: Path | None = _socket_folder(self._link)
        self.url = f"postgresql://postgres@/postgres?host={quote(str(self.outside), safe='')}"
        self.command = _command(self._data, self.outside)

    def ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def forget(self) -> None:
        """Remove what is left outside the directory; the server must have been stopped."""
        if self._link.is_symlink():
            shutil.rmtree(self._link.readlink(), ignore_errors=True)
            self._link.unlink()


def _socket_folder(link: Path) -> Path:
    """A folder, remembered by `link`, with a short path: a socket's has 100 characters at most."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    unprivileged.give(folder)
    link.symlink_to(folder)
    return folder


def _command(data: Path, socket: Path) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket),
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return unprivileged.command([binaries.postgres("postgres"), "-D", str(data), *options], data)


def _initialise(data: Path) -> None:
    """Make the cluster beside its place and move it there whole: a crash leaves no half of one."""
    fresh = data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    unprivileged.give(fresh)
    arguments = [binaries.postgres("initdb"), "--pgdata", str(fresh), *_INITDB]
    made = subprocess.run(unprivileged.command(arguments, fresh), capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(
            f"initdb could not make {fresh}; mend that, or set DATABASE_URL: {made.stderr.strip()}"
        )
    fresh.rename(data)


_INITDB = (
    "--username=postgres",
    "--auth-local=trust",  # the socket's folder is closed to other users
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
)  # fmt: skip


def _refuse_other_version(data: Path) -> None:
    version = (data / "PG_VERSION").read_text().strip()
    if version != binaries.POSTGRES_VERSION:
        raise RuntimeError(
            f"{data} was made by PostgreSQL {version}; this is {binaries.POSTGRES_VERSION}; "
            "move it away to start afresh, or set DATABASE_URL"
        )
