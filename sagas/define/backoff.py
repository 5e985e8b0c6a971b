"""How often and how soon a step is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from sagas.define.arguments import ATTEMPTS, DELAY, TOTAL, checked, refuse


@checked("Retry", attempts=ATTEMPTS, base=DELAY, cap=DELAY, total=TOTAL)
@dataclass(frozen=True, slots=True)
class Retry:
    """A retry budget with capped exponential backoff and full jitter.

    Full jitter draws the delay evenly from zero to the exponential bound, which spreads
    colliding clients best (Marc Brooker, "Exponential Backoff And Jitter", AWS, 2015).

    Args:
        attempts: how many times the step is tried in all; ``None`` means until it works.
        base: bound of the first delay in seconds; it doubles with each try.
        cap: largest delay in seconds of its own; a partner that asks for more gets it.
        total: seconds from the first try after which no new one is made; ``None``: no limit.
            Time in which no try could be made does not count: the step was held, its partner was
            not asked, or no worker was free.
    """

    attempts: int | None = 5
    base: float = 1.0
    cap: float = 60.0
    total: float | None = None

    def __post_init__(self) -> None:
        if self.base > self.cap:
            refuse(
                "sagas.E017",
                "Retry()",
                f"its first delay, base={self.base}, is above its largest, cap={self.cap}.",
                "Raise cap= too, or lower base=.",
            )

    @property
    def gives_up(self) -> bool:
        """Whether the budget can be spent."""
        return self.attempts is not None or self.total is not None

    def spent(self, tries: int, elapsed: float) -> bool:
        """Whether no try is left after ``tries``, in ``elapsed`` seconds that count."""
        if self.attempts is not None and tries >= self.attempts:
            return True
        return self.total is not None and elapsed >= self.total

    def delay(self, tries: int, asked: float | None = None) -> float:
        """Seconds until the next try: full jitter, or more if the partner asked for more.

        What it asks for is believed up to a day: a try before then would be wasted. A partner
        that asks for no pause at all gets the jitter, since a step after the pivot would else
        call it in a tight loop.
        """
        bound = min(self.cap, self.base * 2.0 ** min(tries - 1, 60))
        return max(random.uniform(0.0, bound), min(asked or 0.0, _LONGEST_ASKED))


def comeback(asked: float | None) -> float:
    """Seconds until a partner that was not even asked may be asked; as told, within bounds.

    Since it costs no attempt it must not come at once; and those who were turned away together
    should not come back together.
    """
    told = _COMEBACK if asked is None else min(max(asked, _SOONEST), _LATEST)
    return told * random.uniform(1.0, 1.2)


_LONGEST_ASKED = 86_400.0
_COMEBACK, _SOONEST, _LATEST = 5.0, 1.0, 300.0

FORWARD = Retry()
#: After the point of no return a step must succeed in the end.
FOREVER = Retry(attempts=None, cap=300.0)
#: Undoing has a larger budget than doing, since giving up costs a person's night.
COMPENSATION = Retry(attempts=20, cap=300.0)
#: So has asking whether something happened.
VERIFY = Retry(attempts=20, cap=300.0)
