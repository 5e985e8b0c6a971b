"""A partner that allows so many calls a second, and more work than that."""

from __future__ import annotations

import time

from bench.partners.arrivals import busiest, hundredth, rate
from bench.partners.claims import Claim, Findings
from bench.partners.stage import Stage

#: What the partner allows. Runs that wait come back when a worker's sweep finds them due: a burst
#: of what falls due between two sweeps uses it up, so these sweep often.
PER_SECOND, BURST = 50, 15
SWEEP_SECONDS = 0.2
#: What is set, a little less: of calls that pass evenly some are longer under way than others.
_SET = {"per_second": 0.96 * PER_SECOND, "burst": round(0.96 * BURST)}
PROCESSES = 4


def measure(seconds: float = 20.0) -> Findings:
    """How many calls the partner counts in any second, and how long workers are held up."""
    runs = int(1.5 * PER_SECOND * seconds)
    sagas = {"SWEEP_SECONDS": SWEEP_SECONDS}
    with Stage({"inventory": {"rate": _SET}}, sagas) as stage:
        stage.start("bench-ask-inventory", runs)
        stage.workers(1, PROCESSES)
        stage.until(lambda: stage.arrived("inventory"), 60)
        time.sleep(seconds)
        moments = stage.arrived("inventory")
        waits = [row[0] for row in stage.ask(_PUT_OFF)]
    moments = [moment for moment in moments if moment < moments[0] + seconds]
    most, held = busiest(moments), hundredth(waits, 99)
    return Findings(
        f"Rate limit: {PER_SECOND} calls a second, bursts of {BURST}",
        f"1 worker of {PROCESSES} processes, {runs} runs that each ask once, {seconds:g} s. "
        f"Set: {_SET['per_second']:g} a second, bursts of {_SET['burst']}; "
        f"a sweep each {SWEEP_SECONDS:g} s.",
        figures=[
            ("calls that the partner counted", str(len(moments))),
            ("calls a second, from the first to the last", f"{rate(moments):.1f}"),
            ("attempts that were put off", str(len(waits))),
            (
                "a worker's time for one that was put off, p50 and p99, ms",
                f"{1000 * hundredth(waits, 50):.1f} and {1000 * held:.1f}",
            ),
        ],
        claims=[
            Claim(
                f"in no second more than {PER_SECOND} + {BURST}",
                str(most),
                0 < most <= PER_SECOND + BURST,
            ),
            Claim(
                "the limit is used to nine tenths",
                f"{rate(moments) / PER_SECOND:.2f}",
                rate(moments) >= 0.9 * PER_SECOND,
            ),
            Claim(
                "a worker waits for no token: held for less than a token takes to come",
                f"{1000 * hundredth(waits, 50):.1f} ms of {1000 / PER_SECOND:.0f}",
                bool(waits) and hundredth(waits, 50) < 1 / PER_SECOND,
            ),
        ],
    )


# From the claim of an attempt that was put off to the record that it was.
_PUT_OFF = """
SELECT extract(epoch FROM put_off.at - claim.at)::float8
FROM sagas_event put_off JOIN sagas_event claim
  ON claim.run_id = put_off.run_id AND claim.attempt = put_off.attempt
  AND claim.step = put_off.step AND claim.new = 'in_flight'
WHERE put_off.new = 'waiting'
"""
