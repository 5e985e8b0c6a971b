"""`python -m bench.partners.caller SECONDS`: asks a partner again and again, whatever it is told.

Unlike a saga it does not wait when it is told to: so it is seen that nobody gets past the breaker.
"""

from __future__ import annotations

import sys
import time
from uuid import uuid4

import django

_PAUSE = 0.02


def main(seconds: float) -> None:
    """Ask the warehouse for so many seconds; print how often it was asked, and how often not."""
    django.setup()
    from integrations import inventory
    from integrations.errors import NotAsked, PartnerError

    warehouse = inventory.connector()
    asked = spared = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            warehouse.reserve("tea", 1, f"caller:{uuid4()}", key=str(uuid4()), timeout=1.0)
            asked += 1
        except NotAsked:
            spared += 1
        except PartnerError:
            asked += 1
        time.sleep(_PAUSE)
    print(asked, spared)


if __name__ == "__main__":
    main(float(sys.argv[1]))
