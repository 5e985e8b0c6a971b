"""`python -m bench.load`: load the API and the shop of a world of its own, and print a table.

Everything is on this machine's loopback, the users too: they take their share of its cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.load import report
from bench.load.run import Failed, Options, run
from project.world import exit_on_sigterm

_MOST_USERS, _LONGEST = 500, 600


def main(arguments: Sequence[str] | None = None) -> int:
    """Load as the command line says, print what came of it, and give the exit code."""
    asked = _options(arguments)
    exit_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="load-") as folder:
            print(report.text(asked, run(asked, Path(folder))))
    except (Failed, subprocess.CalledProcessError) as error:
        print(f"bench.load: {error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--users", type=_up_to(_MOST_USERS), default=20, metavar="N")
    parser.add_argument("--seconds", type=_up_to(_LONGEST), default=30, metavar="N")
    given = parser.parse_args(arguments)
    return Options(given.users, given.seconds)


class _up_to:  # noqa: N801  # argparse shows its name in errors
    def __init__(self, most: int) -> None:
        self._most = most

    def __call__(self, text: str) -> int:
        number = int(text)
        if not 1 <= number <= self._most:
            raise argparse.ArgumentTypeError(f"must be 1 to {self._most}, got {number}")
        return number

    def __repr__(self) -> str:
        return "number"


if __name__ == "__main__":
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    sys.exit(main())
