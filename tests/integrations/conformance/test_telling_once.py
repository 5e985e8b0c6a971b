"""What holds for partners that are told something and can never be asked, fake or real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from tests.integrations.conformance.rig import Rig


@dataclass(frozen=True)
class Telling:
    """One thing that a partner is told: the call, and the effect's name."""

    partner: str
    tell: str
    arguments: tuple[Any, ...]
    told: str


TELLINGS = [
    Telling("analytics", "record", ("sign_up", {"method": "form"}), "event_recorded"),
    Telling("slack", "post", ("A new customer",), "posted"),
]


class Case:
    def __init__(self, telling: Telling, rig: Rig) -> None:
        self.telling = telling
        self.rig = rig

    def tell(self, timeout: float = 10.0) -> None:
        tell = getattr(self.rig.client, self.telling.tell)
        assert tell(*self.telling.arguments, self.rig.reference, timeout=timeout) is None


@pytest.fixture(params=TELLINGS, ids=lambda telling: telling.partner)
def case(request: pytest.FixtureRequest, rigs: Callable[[str], Rig]) -> Case:
    return Case(request.param, rigs(request.param.partner))


def test_what_is_told_once_is_there_once(case: Case) -> None:
    case.tell()
    assert case.rig.effects() == [case.telling.told]


def test_a_partner_that_turns_us_away_heard_nothing_and_may_hear_it_later(case: Case) -> None:
    case.rig.fault(case.telling.tell, "rate-limit-429")
    with pytest.raises(PartnerUnavailable) as caught:
        case.tell()
    assert caught.value.retry_after is None
    case.tell()
    assert case.rig.effects() == [case.telling.told]


def test_the_partners_own_waiting_time_is_passed_on(case: Case) -> None:
    case.rig.fault(case.telling.tell, "rate-limit-429;retry-after=30")
    with pytest.raises(PartnerUnavailable) as caught:
        case.tell()
    assert caught.value.retry_after == 30


def test_a_lost_answer_is_unknown_though_the_partner_has_it(case: Case) -> None:
    case.rig.fault(case.telling.tell, "drop-after")
    with pytest.raises(PartnerUnknown):
        case.tell()
    assert case.rig.effects() == [case.telling.told]


@pytest.mark.parametrize("fault", ["drop-before", "error-500"])
def test_a_lost_request_is_unknown_and_the_partner_has_nothing(case: Case, fault: str) -> None:
    case.rig.fault(case.telling.tell, fault)
    with pytest.raises(PartnerUnknown):
        case.tell()
    assert case.rig.effects() == []


def test_an_answer_that_comes_too_late_is_unknown(case: Case) -> None:
    case.rig.fault(case.telling.tell, "slow;seconds=2")
    with pytest.raises(PartnerUnknown):
        case.tell(timeout=0.4)
    assert case.rig.effects() == [case.telling.told]


def test_without_time_nothing_is_told(case: Case) -> None:
    with pytest.raises(PartnerUnavailable):
        case.tell(timeout=0.0)
    assert case.rig.effects() == []


# --- analytics in particular ------------------------------------------------------------------


@pytest.fixture
def analytics(rigs: Callable[[str], Rig]) -> Rig:
    return rigs("analytics")


BAD_EVENTS = [
    ("session_start", {}, "reserved"),
    ("_hidden", {}, "reserved"),
    ("sign up", {}, "letter"),
    ("e" * 41, {}, "41 characters"),
    ("sign_up", {"ga_id": 1}, "reserved"),
    ("sign_up", {"plan": "x" * 101}, "101 characters"),
    ("sign_up", {f"p{n}": n for n in range(26)}, "26 parameters"),
]


@pytest.mark.parametrize(("event", "params", "why"), BAD_EVENTS)
def test_an_event_that_would_vanish_is_refused_and_not_sent(
    analytics: Rig, event: str, params: dict[str, Any], why: str
) -> None:
    with pytest.raises(PartnerRefused, match=why):
        analytics.client.record(event, params, analytics.reference, timeout=10.0)
    assert analytics.effects() == []


@pytest.mark.parametrize(("event", "params", "why"), BAD_EVENTS)
def test_validation_finds_what_is_wrong(
    analytics: Rig, event: str, params: dict[str, Any], why: str
) -> None:
    assert analytics.client.validate(event, params, analytics.reference, timeout=10.0)


def test_validation_finds_nothing_in_a_good_event_and_counts_none(analytics: Rig) -> None:
    found = analytics.client.validate(
        "sign_up", {"method": "form"}, analytics.reference, timeout=10.0
    )
    assert found == []
    assert analytics.effects() == []


def test_a_validation_that_fails_is_unavailable(analytics: Rig) -> None:
    analytics.fault_reading("validate")
    with pytest.raises(PartnerUnavailable):
        analytics.client.validate("sign_up", {}, analytics.reference, timeout=10.0)


# --- Slack in particular ----------------------------------------------------------------------


def test_a_channel_where_nobody_may_post_refuses(rigs: Callable[[str], Rig]) -> None:
    slack = rigs("slack")
    slack.fault("post", "refuse")
    with pytest.raises(PartnerRefused):
        slack.client.post("hello", slack.reference, timeout=10.0)
    assert slack.effects() == []


def test_an_answer_that_is_not_ok_is_unknown(rigs: Callable[[str], Rig]) -> None:
    slack = rigs("slack")
    slack.fault("post", "garbage")
    with pytest.raises(PartnerUnknown):
        slack.client.post("hello", slack.reference, timeout=10.0)
    assert slack.effects() == ["posted"]
