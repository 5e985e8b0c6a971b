"""The dependency hold: while a partner's breaker is open, the steps that need it are held.

They wait without an attempt, and workers are free for others. Each worker does what is needed after
each of its sweeps, about once a second. It keeps nothing in mind: it reads how the breaker stands
and says so to the engine, which does once what many say. A breaker that

- is **open** has its partner held;
- has **cooled down** lets one of the held runs go on: its call is the probe. If none waits, the
  hold is lifted, and the next call that comes is the probe;
- has **closed** has the hold lifted, and the runs go on one after the other, at the partner's rate.

A hold that a person has lifted since the breaker opened closes the breaker: they know better.

While nothing is open, and nothing was, this is one read from Redis. Without Redis nothing is done:
a hold stays, and a person can lift it. A Redis that has lost its memory knows no open breaker, so
once a minute the database is asked what is still held.
"""

from __future__ import annotations

import time

from integrations.resilience import state, store
from integrations.resilience.conf import policies
from integrations.resilience.state import Standing, State
from sagas.api import held_partners, hold_partner, last_lift, let_one_through, lift_partner

SOURCE = "circuit-breaker"
FORGOTTEN_AFTER = 60.0
"""Seconds between two looks for holds of which Redis knows nothing."""

_looked_at = -FORGOTTEN_AFTER


def after_sweep(**_: object) -> None:
    """Have the holds say what the breakers do. For the signal `sagas.signals.swept`."""
    try:
        _reconcile()
    except store.Away:
        return  # it has been logged


def _reconcile() -> None:
    troubled = state.troubled()
    if not troubled and not _time_to_look():
        return
    held = held_partners(SOURCE)
    for standing in state.standings(troubled | held):
        _match(standing, held=standing.partner in held)


def _time_to_look() -> bool:
    global _looked_at
    due = time.monotonic() - _looked_at >= FORGOTTEN_AFTER
    if due:
        _looked_at = time.monotonic()
    return due


def _match(standing: Standing, *, held: bool) -> None:
    """Let the hold on one partner be as its breaker stands."""
    partner = standing.partner
    if standing.state is State.CLOSED:
        if held:
            _lift(partner, f"its circuit breaker closed (generation {standing.generation})")
        state.settle(partner)
    elif not held and (person := _lifted_by(standing)) is not None:
        state.force_closed(partner, f"{person} lifted the hold", generation=standing.generation)
    elif standing.state is State.HALF_OPEN:
        if held and let_one_through(partner, source=SOURCE) is None:
            _lift(partner, "nobody waits for it: the next call finds out whether it is back")
    elif not held:
        hold_partner(partner, source=SOURCE, reason=f"its circuit breaker is open: {standing.why}")


def _lift(partner: str, reason: str) -> None:
    pace = policies(partner).rate.per_second
    lift_partner(partner, source=SOURCE, reason=reason, per_second=pace)


def _lifted_by(standing: Standing) -> str | None:
    """The person who has lifted the hold since the breaker opened, if one has."""
    lifted = last_lift(standing.partner, source=SOURCE)
    if lifted is None or not lifted.forced or standing.since is None:
        return None
    return lifted.by if lifted.at > standing.since else None
