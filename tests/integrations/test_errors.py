import pickle

import pytest

from integrations.errors import (
    PartnerError,
    PartnerRefused,
    PartnerUnavailable,
    PartnerUnknown,
)

LEAVES = [PartnerRefused, PartnerUnavailable, PartnerUnknown]


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_message_names_partner_operation_and_detail(leaf: type[PartnerError]) -> None:
    error = leaf("payments", "capture", "answered 402")
    assert str(error) == "payments capture: answered 402"
    assert (error.partner, error.operation, error.detail) == ("payments", "capture", "answered 402")


@pytest.mark.parametrize("leaf", LEAVES)
def test_an_error_survives_the_way_between_processes(leaf: type[PartnerError]) -> None:
    error = leaf("payments", "capture", "answered 402")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert type(copy) is leaf
    assert vars(copy) == vars(error)


def test_the_waiting_time_survives_it_too() -> None:
    error = PartnerUnavailable("payments", "capture", "answered 429", 7.0)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert copy.retry_after == 7.0


def test_there_are_exactly_three_answers() -> None:
    assert set(PartnerError.__subclasses__()) == set(LEAVES)
