"""What holds for everything a partner makes and can undo, fake or real."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from tests.integrations.conformance.rig import Rig
from tests.moments import RECENTLY

TIMEOUT = 10.0


def nobody(rig: Rig) -> tuple[Any, ...]:
    """What most deeds are done for."""
    return ()


def an_address(rig: Rig) -> tuple[Any, ...]:
    """The e-mail address that the thing is made for, of this test alone."""
    return (f"{rig.reference.partition(':')[2]}@example.com",)


def a_customer(rig: Rig) -> tuple[Any, ...]:
    """The id of a customer, made before and under another reference."""
    reference = f"{rig.reference}-customer"
    made = rig.client.create_customer(
        "ann@example.com", "Ann", reference, key=reference, timeout=TIMEOUT
    )
    return (made.id,)


@dataclass(frozen=True)
class Deed:
    """One thing a partner makes: how to ask for it, find it and undo it.

    `whose` gives what comes before the other arguments, of making and of finding; `bounds` says
    how far to look.
    """

    partner: str
    make: str
    find: str
    undo: str
    arguments: tuple[Any, ...]
    other_arguments: tuple[Any, ...]
    made: str
    undone: str
    whose: Callable[[Rig], tuple[Any, ...]] = nobody
    bounds: Mapping[str, Any] = field(default_factory=dict)


DEEDS = [
    Deed(
        partner="payments",
        make="authorize",
        find="find_authorization",
        undo="void",
        arguments=(1000, "eur", "pm_card_visa"),
        other_arguments=(2000, "eur", "pm_card_visa"),
        made="authorized",
        undone="voided",
        bounds={"since": RECENTLY},
    ),
    Deed(
        partner="inventory",
        make="reserve",
        find="find",
        undo="release",
        arguments=("tea", 2),
        other_arguments=("tea", 3),
        made="reserved",
        undone="released",
    ),
    Deed(
        partner="shipping",
        make="book_courier",
        find="find_courier",
        undo="cancel_courier",
        arguments=("1 Main Street",),
        other_arguments=("2 Main Street",),
        made="courier_booked",
        undone="courier_cancelled",
    ),
    Deed(
        partner="shipping",
        make="print_label",
        find="find_label",
        undo="void_label",
        arguments=("1 Main Street",),
        other_arguments=("2 Main Street",),
        made="label_printed",
        undone="label_voided",
    ),
    Deed(
        partner="payments",
        make="create_customer",
        find="find_customer",
        undo="delete_customer",
        arguments=("Ann",),
        other_arguments=("Bob",),
        made="customer_created",
        undone="customer_deleted",
        whose=an_address,
    ),
    Deed(
        partner="payments",
        make="create_subscription",
        find="find_subscription",
        undo="cancel_subscription",
        arguments=("price_basic",),
        other_arguments=("price_better",),
        made="subscription_created",
        undone="subscription_canceled",
        whose=a_customer,
    ),
]


class Case:
    """A deed on a rig, with short names for what tests do with it."""

    def __init__(self, deed: Deed, rig: Rig) -> None:
        self.deed = deed
        self.rig = rig
        self.whose = deed.whose(rig)

    def make(self, key: str, timeout: float = TIMEOUT, other: bool = False) -> Any:
        arguments = self.deed.other_arguments if other else self.deed.arguments
        make = getattr(self.rig.client, self.deed.make)
        return make(*self.whose, *arguments, self.rig.reference, key=self.key(key), timeout=timeout)

    def find(self, key: str | None = None, reference: str | None = None) -> Any:
        find, bounds = getattr(self.rig.client, self.deed.find), self.deed.bounds
        key = self.key(key) if key else None
        return find(*self.whose, reference or self.rig.reference, key, timeout=TIMEOUT, **bounds)

    def undo(self, thing_id: str, key: str, timeout: float = TIMEOUT) -> None:
        undo = getattr(self.rig.client, self.deed.undo)
        undo(thing_id, key=self.key(key), timeout=timeout)

    def key(self, name: str) -> str:
        """A key of this test alone: the sandbox remembers those of all tests."""
        return f"{name}-{self.rig.reference}"


@pytest.fixture(params=DEEDS, ids=lambda deed: f"{deed.partner}.{deed.make}")
def case(request: pytest.FixtureRequest, rigs: Callable[[str], Rig]) -> Case:
    return Case(request.param, rigs(request.param.partner))


def test_what_was_made_is_found(case: Case) -> None:
    made = case.make("k")
    assert case.find() == made
    assert case.find("k") == made
    assert case.rig.effects() == [case.deed.made]


def test_nothing_is_found_before_it_is_made(case: Case) -> None:
    assert case.find() is None


def test_what_another_reference_made_is_not_found(case: Case) -> None:
    case.make("k")
    assert case.find(reference=f"{case.rig.reference}-other") is None


def test_what_another_key_made_is_not_found(case: Case) -> None:
    case.make("k")
    assert case.find("another") is None


def test_the_same_key_makes_one_thing(case: Case) -> None:
    assert case.make("k") == case.make("k")
    assert case.rig.effects() == [case.deed.made]


def test_the_same_key_for_something_else_is_unknown_for_it_proves_a_use(case: Case) -> None:
    case.make("k")
    with pytest.raises(PartnerUnknown):
        case.make("k", other=True)
    assert case.rig.effects() == [case.deed.made]


def test_a_refusal_makes_nothing(case: Case) -> None:
    case.rig.fault(case.deed.make, "refuse")
    with pytest.raises(PartnerRefused) as caught:
        case.make("k")
    assert case.find() is None
    assert case.rig.effects() == []
    assert (caught.value.partner, caught.value.operation) == (case.deed.partner, case.deed.make)


@pytest.mark.parametrize("fault", ["unavailable-503", "rate-limit-429"])
def test_a_partner_that_turns_us_away_did_nothing_and_may_do_it_later(
    case: Case, fault: str
) -> None:
    case.rig.fault(case.deed.make, fault)
    with pytest.raises(PartnerUnavailable) as caught:
        case.make("k")
    assert caught.value.retry_after is None
    assert case.find() is None
    assert case.make("k") == case.find()


def test_the_partners_own_waiting_time_is_passed_on(case: Case) -> None:
    case.rig.fault(case.deed.make, "rate-limit-429;retry-after=7")
    with pytest.raises(PartnerUnavailable) as caught:
        case.make("k")
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("fault", ["drop-after", "garbage"])
def test_a_lost_answer_is_unknown_and_what_was_made_is_found(case: Case, fault: str) -> None:
    case.rig.fault(case.deed.make, fault)
    with pytest.raises(PartnerUnknown):
        case.make("k")
    assert case.find("k") is not None
    assert case.rig.effects() == [case.deed.made]


@pytest.mark.parametrize("fault", ["drop-before", "error-500"])
def test_a_lost_request_is_unknown_and_nothing_is_found(case: Case, fault: str) -> None:
    case.rig.fault(case.deed.make, fault)
    with pytest.raises(PartnerUnknown):
        case.make("k")
    assert case.find("k") is None
    assert case.rig.effects() == []


def test_an_answer_that_comes_too_late_is_unknown(case: Case) -> None:
    case.rig.fault(case.deed.make, "slow;seconds=2")
    with pytest.raises(PartnerUnknown):
        case.make("k", timeout=0.4)
    assert case.rig.effects() == [case.deed.made]


@pytest.mark.parametrize("fault", ["drop-after", "drop-before", "garbage"])
def test_repeating_an_unknown_call_with_its_key_makes_it_once(case: Case, fault: str) -> None:
    case.rig.fault(case.deed.make, fault)
    with pytest.raises(PartnerUnknown):
        case.make("k")
    assert case.make("k") == case.find("k")
    assert case.rig.effects() == [case.deed.made]


def test_without_time_nothing_is_asked(case: Case) -> None:
    with pytest.raises(PartnerUnavailable):
        case.make("k", timeout=0.0)
    assert case.rig.effects() == []


def test_a_search_that_fails_is_unavailable_and_not_an_empty_one(case: Case) -> None:
    case.make("k")
    case.rig.fault_reading(case.deed.find)
    with pytest.raises(PartnerUnavailable):
        case.find()


def test_what_was_undone_is_not_found_any_more(case: Case) -> None:
    made = case.make("k")
    case.undo(made.id, "u")
    assert case.find() is None
    assert case.rig.effects() == [case.deed.made, case.deed.undone]


@pytest.mark.parametrize("second_key", ["u", "another"])
def test_undoing_twice_undoes_once(case: Case, second_key: str) -> None:
    made = case.make("k")
    case.undo(made.id, "u")
    case.undo(made.id, second_key)
    assert case.rig.effects() == [case.deed.made, case.deed.undone]


def test_undoing_what_does_not_exist_is_a_success(case: Case) -> None:
    case.undo("nothing_there", "u")
    assert case.rig.effects() == []


def test_a_lost_answer_to_an_undoing_is_unknown_and_can_be_repeated(case: Case) -> None:
    made = case.make("k")
    case.rig.fault(case.deed.undo, "drop-after")
    with pytest.raises(PartnerUnknown):
        case.undo(made.id, "u")
    assert case.find() is None
    case.undo(made.id, "u")
    assert case.rig.effects() == [case.deed.made, case.deed.undone]


def test_an_undoing_can_be_refused(case: Case) -> None:
    made = case.make("k")
    case.rig.fault(case.deed.undo, "refuse")
    with pytest.raises(PartnerRefused):
        case.undo(made.id, "u")
    assert case.find() == made


def test_a_thing_can_be_made_anew_once_the_first_is_undone(case: Case) -> None:
    first = case.make("k")
    case.undo(first.id, "u")
    second = case.make("k2")
    assert second.id != first.id
    assert case.find() == second
