"""What holds for everything made at a partner without idempotency keys, fake or real.

Our reference is unique there, and so tells a repeat from a second thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.hubspot import Person
from integrations.salesforce import Deal
from tests.integrations.conformance.rig import Rig

TIMEOUT = 10.0

pytestmark = pytest.mark.django_db  # Salesforce's tokens are kept there


@dataclass(frozen=True)
class Deed:
    """One thing a partner makes: how to ask for it, find it and undo it."""

    partner: str
    make: str
    find: str
    undo: str
    arguments: Callable[[Rig], tuple[Any, ...]]
    made: str
    undone: str


def _contact_of_another(rig: Rig) -> str:
    person = Person(f"{uuid4().hex}@example.com")
    return str(rig.client.create_contact(person, uuid4().hex, timeout=TIMEOUT).id)


DEEDS = [
    Deed(
        partner="hubspot",
        make="create_contact",
        find="find_contact",
        undo="archive_contact",
        arguments=lambda rig: (Person(f"{uuid4().hex}@example.com", "Ann", "Lee", "Lee Ltd"),),
        made="contact_created",
        undone="contact_archived",
    ),
    Deed(
        partner="hubspot",
        make="create_note",
        find="find_note",
        undo="archive_note",
        arguments=lambda rig: (_contact_of_another(rig), "Call again in spring."),
        made="note_created",
        undone="note_archived",
    ),
    Deed(
        partner="salesforce",
        make="create_opportunity",
        find="find_opportunity",
        undo="delete_opportunity",
        arguments=lambda rig: (
            Deal("Lee Ltd", "Prospecting", date(2030, 1, 31), Decimal("1200.50")),
        ),
        made="opportunity_created",
        undone="opportunity_deleted",
    ),
]


class Case:
    """A deed on a rig, with short names for what tests do with it."""

    def __init__(self, deed: Deed, rig: Rig) -> None:
        self.deed = deed
        self.rig = rig
        self._arguments = deed.arguments(rig)

    def make(self, timeout: float = TIMEOUT) -> Any:
        make = getattr(self.rig.client, self.deed.make)
        return make(*self._arguments, self.rig.reference, timeout=timeout)

    def find(self, reference: str | None = None) -> Any:
        find = getattr(self.rig.client, self.deed.find)
        return find(reference or self.rig.reference, timeout=TIMEOUT)

    def undo(self, thing_id: str, timeout: float = TIMEOUT) -> None:
        getattr(self.rig.client, self.deed.undo)(thing_id, timeout=timeout)


@pytest.fixture(params=DEEDS, ids=lambda deed: f"{deed.partner}.{deed.make}")
def case(request: pytest.FixtureRequest, rigs: Callable[[str], Rig]) -> Case:
    return Case(request.param, rigs(request.param.partner))


@pytest.fixture
def made_only(case: Case) -> Callable[[], bool]:
    """Whether the thing was made once and nothing else happened."""
    return lambda: bool(case.rig.effects().count(case.deed.made) == 1)


def test_what_was_made_is_found(case: Case) -> None:
    assert case.make() == case.find()
    assert case.find().reference == case.rig.reference


def test_nothing_is_found_before_it_is_made(case: Case) -> None:
    assert case.find() is None


def test_what_another_reference_made_is_not_found(case: Case) -> None:
    case.make()
    assert case.find(reference=f"{case.rig.reference}-other") is None


def test_the_same_reference_makes_one_thing(case: Case, made_only: Callable[[], bool]) -> None:
    assert case.make() == case.make()
    assert made_only()


def test_a_refusal_makes_nothing(case: Case) -> None:
    case.rig.fault(case.deed.make, "refuse")
    with pytest.raises(PartnerRefused) as caught:
        case.make()
    assert case.find() is None
    assert (caught.value.partner, caught.value.operation) == (case.deed.partner, case.deed.make)


@pytest.mark.parametrize("fault", ["unavailable-503", "rate-limit-429;retry-after=7"])
def test_a_partner_that_turns_us_away_did_nothing_and_may_do_it_later(
    case: Case, fault: str
) -> None:
    case.rig.fault(case.deed.make, fault)
    with pytest.raises(PartnerUnavailable) as caught:
        case.make()
    assert caught.value.retry_after == (7 if "7" in fault else None)
    assert case.deed.made not in case.rig.effects()


@pytest.mark.parametrize("fault", ["drop-after", "garbage"])
def test_a_lost_answer_is_unknown_and_what_was_made_is_found(
    case: Case, fault: str, made_only: Callable[[], bool]
) -> None:
    case.rig.fault(case.deed.make, fault)
    with pytest.raises(PartnerUnknown):
        case.make()
    assert case.find() is not None
    assert made_only()


@pytest.mark.parametrize("fault", ["drop-before", "error-500"])
def test_a_lost_request_is_unknown_and_nothing_is_found(case: Case, fault: str) -> None:
    case.rig.fault(case.deed.make, fault)
    with pytest.raises(PartnerUnknown):
        case.make()
    assert case.find() is None


def test_an_answer_that_comes_too_late_is_unknown(
    case: Case, made_only: Callable[[], bool]
) -> None:
    case.find()  # so that the token is there, and the time is for the call alone
    case.rig.fault(case.deed.make, "slow;seconds=2")
    with pytest.raises(PartnerUnknown):
        case.make(timeout=0.4)
    assert made_only()


@pytest.mark.parametrize("fault", ["drop-after", "drop-before", "garbage"])
def test_repeating_an_unknown_call_makes_it_once(
    case: Case, fault: str, made_only: Callable[[], bool]
) -> None:
    case.rig.fault(case.deed.make, fault)
    with pytest.raises(PartnerUnknown):
        case.make()
    assert case.make() == case.find()
    assert made_only()


def test_without_time_nothing_is_asked(case: Case) -> None:
    with pytest.raises(PartnerUnavailable):
        case.make(timeout=0.0)
    assert case.deed.made not in case.rig.effects()


def test_a_search_that_fails_is_unavailable_and_not_an_empty_one(case: Case) -> None:
    case.make()
    case.rig.fault_reading(case.deed.find)
    with pytest.raises(PartnerUnavailable):
        case.find()


def test_what_was_undone_is_not_found_any_more(case: Case) -> None:
    made = case.make()
    case.undo(made.id)
    assert case.find() is None
    assert case.rig.effects()[-2:] == [case.deed.made, case.deed.undone]


def test_undoing_twice_undoes_once(case: Case) -> None:
    made = case.make()
    case.undo(made.id)
    case.undo(made.id)
    assert case.rig.effects()[-2:] == [case.deed.made, case.deed.undone]


def test_undoing_what_does_not_exist_is_a_success(case: Case) -> None:
    before = case.rig.effects()
    case.undo("404404404")
    assert case.rig.effects() == before


def test_a_lost_answer_to_an_undoing_is_unknown_and_can_be_repeated(case: Case) -> None:
    made = case.make()
    case.rig.fault(case.deed.undo, "drop-after")
    with pytest.raises(PartnerUnknown):
        case.undo(made.id)
    assert case.find() is None
    case.undo(made.id)
    assert case.rig.effects()[-2:] == [case.deed.made, case.deed.undone]


def test_an_undoing_can_be_refused(case: Case) -> None:
    made = case.make()
    case.rig.fault(case.deed.undo, "refuse")
    with pytest.raises(PartnerRefused):
        case.undo(made.id)
    assert case.find() == made


def test_a_thing_can_be_made_anew_once_the_first_is_undone(case: Case) -> None:
    first = case.make()
    case.undo(first.id)
    second = case.make()
    assert second.id != first.id
    assert case.find() == second
