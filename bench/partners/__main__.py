"""`python -m bench.partners`: measure what bad days of partners do; exit 1 if a claim fails."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from bench.partners import adaptive, breaker, isolation, outage, rate
from bench.partners.claims import Findings, text
from project.world import exit_on_sigterm

_MEASUREMENTS: dict[str, Callable[[], Findings]] = {
    "breaker": breaker.measure,
    "isolation": isolation.measure,
    "rate": rate.measure,
    "outage": outage.measure,
    "adaptive": adaptive.measure,
}


def main(arguments: Sequence[str]) -> int:
    """Measure what the command line names, or everything; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.partners", description=__doc__)
    parser.add_argument("measurements", nargs="*", metavar="NAME", help=", ".join(_MEASUREMENTS))
    asked = parser.parse_args(arguments).measurements or list(_MEASUREMENTS)
    if unknown := set(asked) - set(_MEASUREMENTS):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    exit_on_sigterm()
    holds = True
    for name in asked:
        findings = _MEASUREMENTS[name]()
        print(f"{text(findings)}\n", flush=True)
        holds = holds and findings.hold
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
