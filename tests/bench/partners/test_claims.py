from bench.partners.claims import Claim, Findings, text

HELD = Claim("it opens once", "1", holds=True)
BROKEN = Claim("nobody got through", "3", holds=False)


def test_findings_hold_if_every_claim_does() -> None:
    assert Findings("T", "S", claims=[HELD]).hold
    assert not Findings("T", "S", claims=[HELD, BROKEN]).hold


def test_a_claim_that_does_not_hold_is_told_from_one_that_does() -> None:
    told = text(Findings("Breaker", "As set up.", claims=[HELD, BROKEN]))
    assert "[ok] it opens once: 1" in told
    assert "[NOT] nobody got through: 3" in told


def test_figures_and_tables_are_printed_in_columns() -> None:
    findings = Findings("T", "S", figures=[("calls", "7")], table=[["name", "n"], ["a", "100"]])
    assert text(findings).splitlines()[2:] == [
        f"  {'calls':<58} 7",
        "  name    n",
        "     a  100",
    ]
