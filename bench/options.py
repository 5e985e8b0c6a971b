"""What the command line may ask for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import CONTENDERS, Contender


@dataclass(frozen=True)
class Options:
    """How much to measure, of which contenders, and where the figures go besides the screen."""

    rounds: int
    runs: int
    stored: int
    contenders: tuple[Contender, ...] = CONTENDERS
    json: Path | None = None


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line. Raises SystemExit when it is wrong, as argparse does."""
    given = _parser().parse_args(arguments)
    rounds, runs, stored = (1, 60, 2_000) if given.quick else (3, 600, 200_000)
    return Options(
        rounds=given.rounds or rounds,
        runs=given.runs or runs,
        stored=given.stored or stored,
        contenders=tuple(c for c in CONTENDERS if not given.only or c.name in given.only),
        json=given.json,
    )


_NUMBERS = {
    "rounds": "interleaved rounds (default 3)",
    "runs": "runs of one bulk measurement (default 600)",
    "stored": "finished runs stored (default 200000)",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure side by side.")
    for name, what in _NUMBERS.items():
        parser.add_argument(f"--{name}", type=_positive, metavar="N", help=what)
    parser.add_argument("--quick", action="store_true", help="one small round, to see it work")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[c.name for c in CONTENDERS],
        metavar="NAME",
        help=f"measure only these: {', '.join(c.name for c in CONTENDERS)}",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number
