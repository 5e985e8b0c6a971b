"""What the seed says of a run and of a call: the same in every process, to be checked by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

REFUSED = 0.04  #: of all runs: a step up to the pivot is refused
STUCK = 0.25  #: of those: their first step cannot be undone
BLOCKED = 0.4  #: of the runs with two branches past the pivot: both are refused at first
BROKEN = 0.3  #: of the same runs: a condition raises
CANCELLED = 0.05  #: of all runs: cancelled while they run
DOUBLED = 0.02  #: of all starts: sent twice at once
ROLLED_BACK = 0.02  #: of all starts: their caller's transaction does not commit

#: What happens to a call, by share; the rest goes well.
FAULTS = (
    ("done and lost", 0.05),
    ("not done and lost", 0.04),
    ("late", 0.01),
    ("busy", 0.05),
    ("slow", 0.02),
    ("garbage", 0.01),
)
_CLEAN_FROM = 4  # a step's fourth call goes well, so that every run can end


@dataclass(frozen=True, slots=True)
class Fate:
    """What a seed has in store."""

    seed: int

    def refused(self, business: str, steps: list[str]) -> str | None:
        """The step of that run that its partner refuses, if any; `steps` are those that may be."""
        if not steps or self._draw("refused", business) >= REFUSED:
            return None
        return steps[int(self._draw("which", business) * len(steps))]

    def stuck(self, business: str) -> bool:
        """Whether undoing the run's first step fails for ever."""
        return self._draw("refused", business) < REFUSED * STUCK

    def blocked(self, business: str) -> bool:
        """Whether both branches of the run are refused until an operator has them done again."""
        return self._draw("blocked", business) < BLOCKED

    def broken(self, business: str) -> bool:
        """Whether a condition of the run raises."""
        return self._draw("broken", business) < BROKEN

    def cancelled(self, business: str) -> bool:
        """Whether the run is cancelled, if that comes in time."""
        return self._draw("cancelled", business) < CANCELLED

    def doubled(self, business: str) -> bool:
        """Whether its start is sent twice at once."""
        return self._draw("doubled", business) < DOUBLED

    def rolled_back(self, business: str) -> bool:
        """Whether a transaction that starts it is rolled back."""
        return self._draw("rolled back", business) < ROLLED_BACK

    def fault(self, step: str, nth: int) -> str | None:
        """What happens to the nth call of a run's step, counted from 1; ``step`` names both."""
        if nth >= _CLEAN_FROM:
            return None
        drawn = self._draw("fault", step, str(nth))
        for name, share in FAULTS:
            if drawn < share:
                return name
            drawn -= share
        return None

    def seconds(self, step: str, nth: int) -> float:
        """How long that call takes: 0.05 to 0.5 s."""
        return 0.05 + 0.45 * self._draw("seconds", step, str(nth))

    def _draw(self, *words: str) -> float:
        digest = hashlib.sha256("\0".join([str(self.seed), *words]).encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64
