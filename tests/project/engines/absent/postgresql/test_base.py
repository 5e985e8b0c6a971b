import os
import subprocess
import sys

from tests.project.processes import ROOT

UNNAMED = {"DATABASE_URL": "", "BROKER_URL": "", "REDIS_URL": ""}
# The project's own `var` may hold running engines; a test must not depend on it.
NOWHERE = """
import sys
from pathlib import Path
from project import environment
environment.load.__defaults__ = (Path("/nowhere"),)
import manage
sys.argv = ["manage.py", *sys.argv[1:]]
manage.main()
"""


def manage(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", NOWHERE, *arguments],
        cwd=ROOT,
        env={**os.environ, **UNNAMED},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_database_a_command_says_how_to_get_one() -> None:
    refused = manage("showmigrations")
    assert refused.returncode == 1
    assert refused.stderr == (
        "No database is named and none runs: start one with `make run`, or set DATABASE_URL.\n"
    )


def test_without_a_database_the_code_can_be_checked() -> None:
    checked = manage("check")
    assert checked.returncode == 0, checked.stderr


def test_without_a_database_migrations_can_be_written() -> None:
    written = manage("makemigrations", "--dry-run")
    assert written.returncode == 0, written.stderr
