import time

import pytest

from integrations.call import Call
from integrations.errors import PartnerUnavailable
from integrations.resilience.deadline import HEADER, header, in_time, limits
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import write


def itself(call: Call) -> Call:
    return call


def test_what_a_step_has_left_wins() -> None:
    call = write(timeout=2)
    assert in_time(call, itself) is call


def test_a_partner_is_given_no_more_than_its_total(configure: Configure) -> None:
    configure(timeouts={"total": 0.5})
    given = in_time(write(timeout=60, keyed=True), itself)
    assert given.deadline <= time.monotonic() + 0.5
    assert given.keyed


def test_without_time_nobody_is_asked() -> None:
    with pytest.raises(PartnerUnavailable, match="no time was left"):
        in_time(write(timeout=0), itself)


def test_connecting_and_reading_have_limits_within_the_call(configure: Configure) -> None:
    configure(timeouts={"connect": 1, "read": 4})
    assert limits(write(timeout=60)) == (1, 4)
    connect, read = limits(write(timeout=0.5))
    assert connect <= 0.5
    assert read <= 0.5


def test_a_partner_is_told_how_long_we_wait() -> None:
    assert 4000 < int(header(write(timeout=5))[HEADER]) <= 5000
    assert header(write(timeout=0)) == {HEADER: "1"}
