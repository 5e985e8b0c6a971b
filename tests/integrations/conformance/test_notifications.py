"""What holds for notifications, fake or real."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.notifications import Sent
from tests.integrations.conformance.rig import Rig


class Case:
    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.key = rig.reference.removeprefix("order:")

    def send(
        self,
        to: str = "customer@example.com",
        body: str = "It left today.",
        *,
        timeout: float = 10.0,
    ) -> Sent:
        sent: Sent = self.rig.client.send(
            to,
            "Your order is on its way",
            body,
            self.rig.reference,
            key=self.key,
            timeout=timeout,
        )
        return sent

    def find(self) -> Sent | None:
        found: Sent | None = self.rig.client.find(self.key, timeout=10.0)
        return found


@pytest.fixture
def case(rigs: Callable[[str], Rig]) -> Case:
    return Case(rigs("notifications"))


def test_a_sent_message_is_found_by_its_key(case: Case) -> None:
    assert case.find() is None
    sent = case.send()
    assert sent.id.startswith(case.key)
    assert case.find() == sent
    assert case.rig.effects() == ["sent"]


@pytest.mark.parametrize(
    ("to", "body", "why"),
    [
        ("jörg@example.com", "It left.", "letters beyond ASCII"),
        ("Jörg <jörg@example.com>", "It left.", "letters beyond ASCII"),
        ("ann\0@example.com", "It left.", "NUL"),
        ("ann@example.com", "It\0left.", "NUL"),
    ],
)
def test_what_mail_cannot_carry_is_refused_and_goes_to_nobody(
    case: Case, to: str, body: str, why: str
) -> None:
    with pytest.raises(PartnerRefused, match=why):
        case.send(to, body)
    assert case.find() is None
    assert case.rig.effects() == []


def test_a_domain_may_be_in_any_letters(case: Case) -> None:
    assert case.send("ann@exämple.com") == case.find()


def test_a_refused_message_is_not_sent(case: Case) -> None:
    case.rig.fault("send", "refuse")
    with pytest.raises(PartnerRefused):
        case.send()
    assert case.find() is None


@pytest.mark.parametrize("fault", ["unavailable-503", "rate-limit-429"])
def test_a_server_that_cannot_take_it_now_may_take_it_later(case: Case, fault: str) -> None:
    case.rig.fault("send", fault)
    with pytest.raises(PartnerUnavailable):
        case.send()
    case.send()
    assert case.rig.effects() == ["sent"]


@pytest.mark.parametrize("fault", ["drop-after", "garbage"])
def test_a_lost_answer_is_unknown_and_the_message_is_found(case: Case, fault: str) -> None:
    case.rig.fault("send", fault)
    with pytest.raises(PartnerUnknown):
        case.send()
    assert case.find() is not None


def test_a_lost_message_is_unknown_and_not_found(case: Case) -> None:
    case.rig.fault("send", "drop-before")
    with pytest.raises(PartnerUnknown):
        case.send()
    assert case.find() is None


def test_an_answer_that_comes_too_late_is_unknown(case: Case) -> None:
    case.rig.fault("send", "slow;seconds=2")
    with pytest.raises(PartnerUnknown):
        case.send(timeout=0.4)
    assert case.rig.effects() == ["sent"]


def test_without_time_nothing_is_sent(case: Case) -> None:
    with pytest.raises(PartnerUnavailable):
        case.send(timeout=0.0)
    assert case.rig.effects() == []


def test_a_search_that_fails_is_unavailable_and_not_an_empty_one(case: Case) -> None:
    case.send()
    case.rig.fault_reading("find")
    with pytest.raises(PartnerUnavailable):
        case.find()
