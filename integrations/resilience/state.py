"""How the partners' breakers stand, for people and for the hold: to be read, and to be forced."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from redis import Redis

from integrations.resilience import store
from integrations.resilience.breaker import BUCKETS, TROUBLED, key
from integrations.resilience.conf import policies


class State(StrEnum):
    """What a breaker does with calls."""

    CLOSED = "closed"  # it lets them pass
    OPEN = "open"  # it lets none pass, until it has cooled down
    HALF_OPEN = "half-open"  # it lets one pass, to see
    FORCED = "forced open"  # it lets none pass, until somebody closes it


@dataclass(frozen=True, slots=True)
class Standing:
    """One partner's breaker.

    Attributes:
        since: when it came into this state; None: it has always been closed.
        probe_in: seconds until a probe may go; None unless it is open or half-open.
        probe_at: the same as a time.
        why: why it opened, or was forced.
        calls: how many it has counted in its window; of them `failed` and `slow`.
    """

    partner: str
    state: State = State.CLOSED
    generation: int = 0
    since: datetime | None = None
    probe_in: float | None = None
    why: str = ""
    calls: int = 0
    failed: int = 0
    slow: int = 0
    probe_at: datetime | None = None

    @property
    def failure_rate(self) -> float:
        return self.failed / self.calls if self.calls else 0.0


def troubled() -> frozenset[str]:
    """The partners whose breakers have opened and whose steps may still be held: one cheap read.

    Raises store.Away.
    """
    found = store.shared().do(lambda redis: redis.smembers(store.name(TROUBLED)))
    return frozenset(map(str, found))


def standings(partners: Iterable[str]) -> list[Standing]:
    """How the breakers of some partners stand, in one round trip. Raises store.Away."""
    names = sorted(set(partners))
    if not names:
        return []

    def ask(redis: Redis) -> tuple[float, list[Any]]:
        with redis.pipeline(transaction=False) as pipeline:
            now = store.clock(pipeline)
            for name in names:
                pipeline.hgetall(store.name(key(name)))
            answers = pipeline.execute()
        return now(answers), answers[-len(names) :]

    now, found = store.shared().do(ask)
    return [_standing(name, fields, now) for name, fields in zip(names, found, strict=True)]


def force_open(partner: str, why: str) -> None:
    """Let no call pass until somebody closes the breaker. Raises store.Away."""
    _forced("forced", partner, why)


def force_closed(partner: str, why: str, *, generation: int | None = None) -> None:
    """Let calls pass from now on, with an empty window. Raises store.Away.

    Args:
        generation: only if it has not moved on from this one.
    """
    _forced("closed", partner, why, "" if generation is None else str(generation))


def settle(partner: str) -> None:
    """Note that nothing is held for a partner any more. Raises store.Away."""
    _SETTLE.run([store.name(key(partner)), store.name(TROUBLED)], [partner])


# --- helpers -------------------------------------------------------------------------------


_FORCE = store.TimedScript(store.lua("breaker_force"))
_SETTLE = store.Script(store.lua("breaker_settle"))


def _forced(state: str, partner: str, why: str, only: str = "") -> None:
    keys = [store.name(key(partner)), store.name(TROUBLED)]
    _FORCE.run(keys, [state, partner, why, only])


def _standing(partner: str, fields: Mapping[str, str], now: float) -> Standing:
    counted = _counted(partner, fields, now)
    probe_in = float(fields["until"]) - now if "until" in fields else None
    return Standing(
        partner,
        _state(fields.get("state", "closed"), probe_in),
        int(fields.get("generation", 0)),
        datetime.fromtimestamp(float(fields["since"]), UTC) if "since" in fields else None,
        None if probe_in is None else max(0.0, probe_in),
        fields.get("why", ""),
        calls=_sum(counted, "calls"),
        failed=_sum(counted, "failed"),
        slow=_sum(counted, "slow"),
        probe_at=datetime.fromtimestamp(float(fields["until"]), UTC) if "until" in fields else None,
    )


def _sum(slots: Iterable[Mapping[str, str]], name: str) -> int:
    return sum(int(slot[name]) for slot in slots)


def _state(stored: str, probe_in: float | None) -> State:
    if stored == "open":
        return State.OPEN if probe_in is not None and probe_in > 0 else State.HALF_OPEN
    return State.FORCED if stored == "forced" else State.CLOSED


def _counted(partner: str, fields: Mapping[str, str], now: float) -> list[dict[str, str]]:
    """The slots of the window, without those that have left it."""
    oldest = math.floor(now / (policies(partner).breaker.window / BUCKETS)) - BUCKETS + 1
    slots: list[dict[str, str]] = []
    for number in range(BUCKETS):
        start = f"{number}:"
        slot = {n.removeprefix(start): v for n, v in fields.items() if n.startswith(start)}
        if slot and int(slot["number"]) >= oldest:
            slots.append(slot)
    return slots
