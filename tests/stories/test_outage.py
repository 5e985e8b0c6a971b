"""A partner that is down, with real workers: what waits for it spends nothing and ends well."""

from bench.partners import outage
from bench.partners.claims import text


def test_runs_wait_for_a_partner_that_is_down_without_an_attempt_and_then_all_succeed() -> None:
    findings = outage.measure(seconds=6, runs=30, breaker={"cooldown": 1, "longest": 2})
    # How fast they go on is measured where the machine does nothing else: python -m bench.partners.
    no_attempt, no_failure, _ = findings.claims
    assert no_attempt.holds, text(findings)
    assert no_failure.holds, text(findings)
