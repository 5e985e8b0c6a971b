"""A partner that is away for a while, with runs waiting for it all that time."""

from __future__ import annotations

import time
from collections.abc import Mapping

from bench.partners.arrivals import busiest, within
from bench.partners.claims import Claim, Findings
from bench.partners.stage import Stage

PER_SECOND, BURST = 15, 5
_WARM_UP = 30


def measure(
    seconds: float = 60.0, runs: int = 300, breaker: Mapping[str, float] | None = None
) -> Findings:
    """What an outage costs the runs that wait, and how they go on after it.

    Args:
        breaker: its settings, where they are not the defaults.
    """
    rate = {"per_second": PER_SECOND, "burst": BURST}
    settings = {"inventory": {"rate": rate, "breaker": dict(breaker or {})}}
    with Stage(settings) as stage:
        stage.workers(2, 4)
        stage.partners.add_fault("unavailable-503", service="inventory")
        stage.start("bench-ask-inventory", _WARM_UP)  # these find out
        stage.until(lambda: bool(stage.ask(_HELD)), 60)
        time.sleep(1)  # what was under way ends
        down = time.time()
        stage.start("bench-ask-inventory", runs)
        time.sleep(max(0.0, seconds - (time.time() - down)))
        back = time.time()
        stage.partners.clear_faults()
        took = stage.until_finished("bench-ask-inventory", runs + _WARM_UP, 180)
        moments = stage.arrived("inventory")
        tries = [row[0] for row in stage.ask(_TRIES, _WARM_UP)]
        failed = stage.ask(_FAILED)[0][0]
    called, peak = within(moments, down, back), busiest([m for m in moments if m >= back])
    return Findings(
        f"Outage: a partner is down for {seconds:g} s while {runs} runs wait for it",
        f"2 workers of 4 processes; {_WARM_UP} other runs found it out and opened the breaker.",
        figures=[
            ("calls while it was down, all of them probes", str(called)),
            ("seconds from its return to the end of the last run", f"{took:.1f}"),
            ("most calls in any second after its return", str(peak)),
        ],
        claims=[
            Claim("no attempt spent: each run needed one try", str(max(tries)), max(tries) == 1),
            Claim("no run failed, all ended well", f"{failed} failed", failed == 0),
            Claim(
                f"the drain: in no second more than {PER_SECOND} and a burst of {BURST}",
                str(peak),
                0 < peak <= PER_SECOND + BURST,
            ),
        ],
    )


_HELD = "SELECT 1 FROM sagas_hold WHERE kind = 'partner' AND lifted_at IS NULL"
_TRIES = """
SELECT s.tries FROM sagas_step s JOIN sagas_run r ON r.id = s.run_id
WHERE r.saga = 'bench-ask-inventory' ORDER BY r.created_at, r.id OFFSET %s
"""
_FAILED = "SELECT count(*) FROM sagas_run WHERE status <> 'succeeded'"
