import random
from typing import Any

import pytest

from integrations.sandbox.faults import Fault, FaultBook, Kind, Rule, struck


def rule(fault: str = "drop-after", **conditions: Any) -> Rule:
    return Rule.parse({"fault": fault, **conditions})


def strikes(tried: Rule, key: str = "k", reference: str = "order:1") -> bool:
    return tried.strikes("payments", "capture", key, reference)


def test_a_fault_is_read_with_its_parameters() -> None:
    fault = Fault.parse("rate-limit-429; retry-after=Wed, 21 Oct 2026 07:28:00 GMT")
    assert fault.kind is Kind.RATE_LIMIT
    assert fault.parameters["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize("text", ["", "drop", "late=5", "Drop-After"])
def test_a_fault_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Kind"):
        Fault.parse(text)


@pytest.mark.parametrize("wrong", [{"by": "phase of the moon"}, {"fault": "nonsense"}])
def test_a_rule_that_says_nonsense_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"moon|nonsense"):
        Rule.parse({"fault": "refuse", **wrong})


def test_a_rule_with_a_field_that_no_rule_has_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        Rule.parse({"fault": "refuse", "colour": "red"})


def test_a_rule_without_conditions_strikes_every_arrival() -> None:
    everything = rule()
    assert all(strikes(everything, key=str(n)) for n in range(3))


@pytest.mark.parametrize(
    "condition",
    [
        {"service": "shipping"},
        {"operation": "void"},
        {"reference": "order:2"},
        {"key_prefix": "x"},
        {"probability": 0.0},
        {"times": 0},
    ],
)
def test_each_condition_spares_what_does_not_meet_it(condition: dict[str, Any]) -> None:
    assert not strikes(rule(**condition))


def test_a_rule_with_every_condition_met_strikes() -> None:
    conditions = {"service": "payments", "operation": "capture", "reference": "order:1"}
    assert strikes(rule(**conditions, key_prefix="k", probability=1.0, times=1))


def test_times_counts_the_arrivals_of_each_key_apart() -> None:
    twice = rule(times=2)
    assert [strikes(twice, key=key) for key in "aabaab"] == [True, True, True, False, False, True]


def test_times_can_count_by_reference() -> None:
    once = rule(times=1, by="reference")
    assert [strikes(once, key=key) for key in "ab"] == [True, False]


def test_who_is_struck_does_not_depend_on_the_order_of_arrival() -> None:
    keys = [str(number) for number in range(500)]
    first = {key for key in keys if strikes(rule(probability=0.3, seed="7"), key=key)}
    random.shuffle(keys)
    tried = rule(probability=0.3, seed="7")
    assert {key for key in keys if strikes(tried, key=key)} == first
    assert first == {key for key in keys if struck("7", key, 0.3)}


def test_about_as_many_are_struck_as_was_asked_for_and_others_with_another_seed() -> None:
    keys = [str(number) for number in range(2000)]
    one, other = ({key for key in keys if struck(seed, key, 0.2)} for seed in ("1", "2"))
    assert 300 < len(one) < 500
    assert one != other


def test_by_reference_all_calls_of_one_order_share_their_fate() -> None:
    tried = rule(probability=0.5, seed="3", by="reference")
    for number in range(50):
        reference = f"order:{number}"
        fates = {strikes(tried, key=f"{reference}-{step}", reference=reference) for step in "abc"}
        assert fates == {struck("3", reference, 0.5)}


def test_the_first_rule_that_strikes_wins_and_a_header_beats_them_all() -> None:
    book = FaultBook()
    book.add(rule("refuse", operation="void"))
    book.add(rule("drop-before"))
    book.add(rule("drop-after"))
    picked = book.pick("payments", "capture", "k", "order:1")
    assert picked is not None
    assert picked.kind is Kind.DROP_BEFORE
    by_header = book.pick("payments", "capture", "k", "order:1", "slow;seconds=3")
    assert by_header == Fault(Kind.SLOW, {"seconds": "3"})
    book.clear()
    assert book.pick("payments", "capture", "k", "order:1") is None
