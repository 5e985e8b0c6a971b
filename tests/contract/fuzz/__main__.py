"""`python -m tests.contract.fuzz`: fuzz our API or the sandbox for longer than the tests do.

Everything runs on engines of its own, which are thrown away.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from schemathesis.schemas import BaseSchema

from integrations.sandbox.process import running_sandbox
from project.world import World, exit_on_sigterm
from tests.contract.fuzz import fuzz

_ENGINES = ("DATABASE_URL", "BROKER_URL", "REDIS_URL")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz as the command line says, print what came of it, and give the exit code."""
    asked = _parser().parse_args(arguments)
    exit_on_sigterm()
    with _SUBJECTS[asked.subject](asked.examples, asked.seed) as schema:
        report = fuzz(schema)
    print(report)
    return 1 if report.findings else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.contract.fuzz", description=__doc__)
    parser.add_argument("subject", choices=sorted(_SUBJECTS))
    parser.add_argument("--examples", type=int, default=200, metavar="N", help="default 200")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default 1")
    return parser


@contextmanager
def _api(examples: int, seed: int) -> Iterator[BaseSchema]:
    environment = {name: value for name, value in os.environ.items() if name not in _ENGINES}
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as folder,
        open(os.devnull, "w") as silence,
        World(Path(folder), environment, silence) as world,
    ):
        world.partners()
        world.manage("migrate", "--verbosity=0")
        os.environ |= {**world.environment, "DJANGO_SETTINGS_MODULE": "project.settings"}
        import django

        django.setup()
        from tests.contract.fuzz.api import our_api

        yield our_api(world, examples, seed)


@contextmanager
def _sandbox(examples: int, seed: int) -> Iterator[BaseSchema]:
    from tests.contract.fuzz.sandbox import sandbox

    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as folder,
        running_sandbox(Path(folder) / "ledger.sqlite3") as running,
    ):
        yield sandbox(running, examples, seed)


_SUBJECTS = {"api": _api, "sandbox": _sandbox}


if __name__ == "__main__":
    sys.exit(main())
