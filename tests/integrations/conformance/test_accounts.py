"""What holds for accounts, fake or real."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integrations.accounts import Account, Accounts
from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from tests.integrations.conformance.rig import Rig

TIMEOUT = 10.0


class Case:
    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.client: Accounts = rig.client
        self.email = f"{rig.reference.partition(':')[2]}@example.com"

    def create(
        self, *, email: str = "", reference: str = "", name: str = "Ann", timeout: float = TIMEOUT
    ) -> Account:
        return self.client.create(
            email or self.email, name, reference or self.rig.reference, timeout=timeout
        )

    def find(self) -> Account | None:
        return self.client.find(self.rig.reference, timeout=TIMEOUT)


@pytest.fixture
def case(rigs: Callable[[str], Rig]) -> Case:
    return Case(rigs("accounts"))


def test_an_account_is_disabled_until_it_is_enabled(case: Case) -> None:
    made = case.create()
    assert made == Account(id=case.rig.reference, disabled=True)
    assert case.find() == made
    enabled = case.client.enable(made.id, timeout=TIMEOUT)
    assert enabled == Account(id=made.id, disabled=False)
    assert case.find() == enabled
    assert case.rig.effects() == ["account_created", "account_enabled"]


def test_nothing_is_found_before_it_is_made(case: Case) -> None:
    assert case.find() is None


def test_what_another_reference_made_is_not_found(case: Case) -> None:
    case.create()
    assert case.client.find(f"{case.rig.reference}-other", timeout=TIMEOUT) is None


def test_the_same_again_is_the_same_account(case: Case) -> None:
    assert case.create() == case.create(email=case.email.upper())
    assert case.rig.effects() == ["account_created"]


def test_an_account_that_was_enabled_meanwhile_is_still_the_same(case: Case) -> None:
    enabled = case.client.enable(case.create().id, timeout=TIMEOUT)
    assert case.create() == enabled


def test_one_reference_has_one_address(case: Case) -> None:
    case.create()
    with pytest.raises(PartnerRefused, match="DUPLICATE_LOCAL_ID"):
        case.create(email=f"other-{case.email}")
    assert case.rig.effects() == ["account_created"]


def test_one_address_has_one_account(case: Case) -> None:
    case.create()
    with pytest.raises(PartnerRefused, match="EMAIL_EXISTS"):
        case.create(reference=f"{case.rig.reference}-other")
    assert case.rig.effects() == ["account_created"]


@pytest.mark.parametrize("length", [0, 129])
def test_a_reference_that_is_no_account_id_is_refused(case: Case, length: int) -> None:
    with pytest.raises(PartnerRefused):
        case.client.create(case.email, "Ann", "r" * length, timeout=TIMEOUT)


def test_a_refusal_makes_nothing(case: Case) -> None:
    case.rig.fault("create", "refuse")
    with pytest.raises(PartnerRefused):
        case.create()
    assert case.find() is None


def test_a_partner_that_turns_us_away_did_nothing_and_may_do_it_later(case: Case) -> None:
    case.rig.fault("create", "unavailable-503")
    with pytest.raises(PartnerUnavailable):
        case.create()
    assert case.find() is None
    assert case.create() == case.find()


def test_the_partners_own_waiting_time_is_passed_on(case: Case) -> None:
    case.rig.fault("create", "rate-limit-429;retry-after=7")
    with pytest.raises(PartnerUnavailable) as caught:
        case.create()
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("fault", ["drop-after", "garbage"])
def test_a_lost_answer_is_unknown_and_the_account_is_found(case: Case, fault: str) -> None:
    case.rig.fault("create", fault)
    with pytest.raises(PartnerUnknown):
        case.create()
    assert case.find() == case.create()
    assert case.rig.effects() == ["account_created"]


@pytest.mark.parametrize("fault", ["drop-before", "error-500"])
def test_a_lost_request_is_unknown_and_nothing_is_found(case: Case, fault: str) -> None:
    case.rig.fault("create", fault)
    with pytest.raises(PartnerUnknown):
        case.create()
    assert case.find() is None


def test_an_answer_that_comes_too_late_is_unknown(case: Case) -> None:
    case.create(email=f"warm-{case.email}", reference=f"{case.rig.reference}-warm")
    case.rig.fault("create", "slow;seconds=2")
    with pytest.raises(PartnerUnknown):
        case.create(timeout=0.4)
    assert case.rig.effects() == ["account_created"]


def test_without_time_nothing_is_asked(case: Case) -> None:
    with pytest.raises(PartnerUnavailable):
        case.create(timeout=0.0)
    assert case.rig.effects() == []


def test_a_search_that_fails_is_unavailable_and_not_an_empty_one(case: Case) -> None:
    case.create()
    case.rig.fault_reading("find")
    with pytest.raises(PartnerUnavailable):
        case.find()


def test_deleting_twice_deletes_once(case: Case) -> None:
    made = case.create()
    case.client.delete(made.id, timeout=TIMEOUT)
    case.client.delete(made.id, timeout=TIMEOUT)
    assert case.find() is None
    assert case.rig.effects() == ["account_created", "account_deleted"]


def test_deleting_what_does_not_exist_is_a_success(case: Case) -> None:
    case.client.delete(case.rig.reference, timeout=TIMEOUT)
    assert case.rig.effects() == []


def test_a_lost_answer_to_a_deletion_is_unknown_and_can_be_repeated(case: Case) -> None:
    made = case.create()
    case.rig.fault("delete", "drop-after")
    with pytest.raises(PartnerUnknown):
        case.client.delete(made.id, timeout=TIMEOUT)
    case.client.delete(made.id, timeout=TIMEOUT)
    assert case.rig.effects() == ["account_created", "account_deleted"]


def test_a_deletion_can_be_refused(case: Case) -> None:
    made = case.create()
    case.rig.fault("delete", "refuse")
    with pytest.raises(PartnerRefused):
        case.client.delete(made.id, timeout=TIMEOUT)
    assert case.find() == made


def test_an_account_can_be_made_anew_once_the_first_is_deleted(case: Case) -> None:
    case.client.delete(case.create().id, timeout=TIMEOUT)
    assert case.create() == case.find()


def test_enabling_what_does_not_exist_is_refused(case: Case) -> None:
    with pytest.raises(PartnerRefused, match="USER_NOT_FOUND"):
        case.client.enable(case.rig.reference, timeout=TIMEOUT)


def test_a_lost_answer_to_an_enabling_is_unknown_and_can_be_repeated(case: Case) -> None:
    made = case.create()
    case.rig.fault("enable", "drop-after")
    with pytest.raises(PartnerUnknown):
        case.client.enable(made.id, timeout=TIMEOUT)
    assert case.client.enable(made.id, timeout=TIMEOUT) == case.find()
    assert case.rig.effects() == ["account_created", "account_enabled"]
