"""`python -m bench`: measure, print a table and the ratios. Nothing passes or fails by time."""

import json
import sys
from collections.abc import Sequence

from bench import options, report, rounds
from bench.finish import NotFinished
from bench.place import Place, Unsuitable
from bench.starter import StarterFailed
from project.world import exit_on_sigterm


def main(arguments: Sequence[str]) -> int:
    """Measure as the command line says; give the exit code."""
    asked = options.parse(arguments)
    exit_on_sigterm()
    try:
        with Place() as place:
            measured = rounds.measure(asked, place)
    except (Unsuitable, NotFinished, StarterFailed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\n{report.text(asked, measured)}")
    if asked.json:
        asked.json.write_text(json.dumps(report.document(asked, measured), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
