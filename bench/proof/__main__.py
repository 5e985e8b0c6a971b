"""``python -m bench.proof [NAME ...]``: run proofs at full size one by one, print a table."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.proof.proofs import PROOFS, Proof
from project.environment import VAR

_ROOT = Path(__file__).resolve().parents[2]
#: Where each proof's whole output is kept.
LOGS = VAR / "proof"


@dataclass(frozen=True, slots=True)
class Shown:
    """What became of a proof."""

    proof: Proof
    held: bool
    seconds: float
    last: str  # the last line that it printed


def show(proof: Proof) -> Shown:
    """Run a proof; what it prints goes to a file of its name."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{proof.name}.log"
    began = time.monotonic()
    with log.open("w") as output:
        code = subprocess.run(
            proof.command,
            cwd=_ROOT,
            env={**os.environ, **proof.sizes},
            stdout=output,
            stderr=subprocess.STDOUT,
        ).returncode
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    held = code == proof.ends_with
    return Shown(proof, held, time.monotonic() - began, lines[-1] if lines else "")


def table(shown: Sequence[Shown]) -> str:
    """A row for each proof: whether it held, how long it took, and its last line."""
    rows = ["| Proof | Claim | Held | Minutes | Last line |", "|---|---|---|---|---|"]
    for one in shown:
        held = "yes" if one.held else "NO"
        minutes = f"{one.seconds / 60:.1f}"
        rows.append(f"| {one.proof.name} | {one.proof.claim} | {held} | {minutes} | {one.last} |")
    return "\n".join(rows)


def main(arguments: Sequence[str]) -> int:
    """Run as the command line says; 1 if a proof did not hold."""
    asked = _asked(arguments)
    chosen = [proof for proof in PROOFS if not asked.names or proof.name in asked.names]
    if asked.list:
        for proof in chosen:
            small = f" (small: {proof.small})" if proof.small else ""
            print(f"{proof.name:16} {proof.claim}{small}")
        return 0
    shown = []
    for proof in chosen:
        print(f"{proof.name}: {proof.claim} ...", flush=True)
        shown.append(show(proof))
    print(f"\n{table(shown)}\n\nThe whole output of each is in {LOGS}.")
    return int(any(not one.held for one in shown))


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.proof", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all; see --list")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    given = parser.parse_args(arguments)
    known = [proof.name for proof in PROOFS]
    for name in given.names:
        if name not in known:
            parser.error(f"no proof is named {name!r}; there are: {', '.join(known)}")
    return given


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
