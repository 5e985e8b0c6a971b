from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pact.error import MismatchesError

from integrations.sandbox.process import RunningSandbox
from tests.contract.agreements import PARTNERS
from tests.contract.consumer import interaction, pact_path
from tests.contract.provider import verify
from tests.contract.spoiler import Spoil, spoiled
from tests.contract.terms import Agreement, Partner

_ALL = [
    pytest.param(partner, agreement, id=f"{partner.name}: {agreement.description}")
    for partner in PARTNERS.values()
    for agreement in partner.agreements
]
_PARTNERS = [pytest.param(partner, id=name) for name, partner in PARTNERS.items()]


def _kept(partner: Partner) -> dict[str, Any]:
    kept = json.loads(pact_path(partner).read_text())["interactions"]
    return {one["description"]: one for one in kept}


@pytest.mark.parametrize(("partner", "agreement"), _ALL)
def test_our_client_makes_of_the_answer_what_it_should_and_its_pact_is_kept(
    partner: Partner, agreement: Agreement
) -> None:
    assert interaction(partner, agreement) == _kept(partner)[agreement.description], (
        "the pact is not what the client relies on: `python -m tests.contract.consumer` writes it"
    )


@pytest.mark.parametrize("partner", _PARTNERS)
def test_nothing_is_kept_that_is_not_agreed_on(partner: Partner) -> None:
    assert set(_kept(partner)) == {agreement.description for agreement in partner.agreements}


@pytest.mark.parametrize("partner", _PARTNERS)
def test_the_sandbox_keeps_to_the_pact(partner: Partner, sandbox: RunningSandbox) -> None:
    verdict = verify(partner, f"{sandbox.address}{partner.below}", sandbox)
    assert verdict.kept, verdict.words


def _without(name: str) -> Spoil:
    return lambda status, body: (status, {n: v for n, v in body.items() if n != name})


def _with(name: str, value: object) -> Spoil:
    return lambda status, body: (status, {**body, name: value} if name in body else body)


@pytest.mark.parametrize(
    ("partner", "spoil", "named"),
    [
        ("inventory", _without("quantity"), "missing the following keys: quantity"),
        ("inventory", _with("quantity", "2"), "$.quantity -> Expected '2'"),
        ("inventory", lambda status, body: (status + 1, body), "expected 201 but was 202"),
        ("payments", _without("amount_received"), "missing the following keys: amount_received"),
        ("payments", _with("status", "processing"), "$.status -> Expected 'processing'"),
        ("slack", lambda status, body: (status, body.replace("ok", "no")), "is not equal to"),
    ],
)
def test_a_partner_that_breaks_the_pact_is_told_what_it_broke(
    sandbox: RunningSandbox, partner: str, spoil: Spoil, named: str
) -> None:
    found = PARTNERS[partner]
    with spoiled(f"{sandbox.address}{found.below}", spoil) as address:
        verdict = verify(found, address, sandbox)
    assert not verdict.kept
    assert named in verdict.words, verdict.words


def test_a_client_that_asks_for_something_else_breaks_the_pact() -> None:
    partner = PARTNERS["inventory"]
    reserving = next(a for a in partner.agreements if a.description == "a reservation")
    assert isinstance(reserving.body, dict)
    changed = replace(reserving, body={**reserving.body, "warehouse": "north"})
    with pytest.raises(MismatchesError, match="warehouse"):
        interaction(partner, changed)


def test_what_the_type_of_a_text_is_called_breaks_no_pact(sandbox: RunningSandbox) -> None:
    with spoiled(sandbox.address, lambda status, body: (status, body)) as address:
        verdict = verify(PARTNERS["slack"], address, sandbox)
    assert verdict.kept, verdict.words
