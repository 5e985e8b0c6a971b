from collections.abc import Callable
from functools import partial

import pytest

from integrations.call import Call
from integrations.errors import (
    NotAsked,
    PartnerError,
    PartnerRefused,
    PartnerUnavailable,
    PartnerUnknown,
)
from integrations.resilience.policy import Answered
from integrations.resilience.retry import try_again
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import read, write


class Partner:
    """Answers each try as told, in order."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)

    def __call__(self, call: Call) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def unavailable(retry_after: float | None = None) -> PartnerError:
    return PartnerUnavailable("payments", "capture", "first", retry_after)


def unknown() -> PartnerError:
    return PartnerUnknown("payments", "capture", "first")


@pytest.fixture(autouse=True)
def _quick(configure: Configure) -> None:
    configure(retry={"base": 0.001, "longest": 0.01})


@pytest.mark.parametrize("call", [read, partial(write, keyed=True)])
@pytest.mark.parametrize("error", [unavailable, unknown])
def test_what_may_be_repeated_is_tried_once_more(
    call: Callable[[], Call], error: Callable[[], Exception]
) -> None:
    assert try_again(call(), Partner(error(), "done")) == "done"


@pytest.mark.parametrize("error", [unavailable, unknown])
def test_a_write_without_a_key_is_never_repeated(error: Callable[[], PartnerError]) -> None:
    partner = Partner(error(), "done")
    with pytest.raises(PartnerError):
        try_again(write(), partner)
    assert partner.answers == ["done"]


def test_there_is_no_third_try() -> None:
    partner = Partner(unavailable(), PartnerUnavailable("payments", "find", "second"), "done")
    with pytest.raises(PartnerUnavailable, match="second"):
        try_again(read(), partner)
    assert partner.answers == ["done"]


@pytest.mark.parametrize(
    "error",
    [
        PartnerRefused("payments", "capture", "no"),
        NotAsked("payments", "capture", "its circuit breaker is open", 0.0),
        ZeroDivisionError(),
    ],
)
def test_what_a_second_try_cannot_mend_gets_none(error: Exception) -> None:
    partner = Partner(error, "done")
    with pytest.raises(type(error)):
        try_again(read(), partner)
    assert partner.answers == ["done"]


def test_a_partner_that_asks_for_a_moment_is_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("integrations.resilience.retry.time.sleep", slept.append)
    assert try_again(read(), Partner(unavailable(0.008), "done")) == "done"
    assert slept == [0.008]


@pytest.mark.parametrize("seconds", [1.0, 3600.0])
def test_a_longer_wait_is_left_to_the_saga(seconds: float) -> None:
    partner = Partner(unavailable(seconds), "done")
    with pytest.raises(PartnerUnavailable) as caught:
        try_again(read(), partner)
    assert caught.value.retry_after == seconds
    assert partner.answers == ["done"]


def test_no_pause_reaches_beyond_the_deadline() -> None:
    partner = Partner(unavailable(0.009), "done")
    with pytest.raises(PartnerUnavailable):
        try_again(read(timeout=0.005), partner)
    assert partner.answers == ["done"]


def test_pauses_are_drawn_between_nothing_and_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("integrations.resilience.retry.time.sleep", slept.append)
    for _ in range(200):
        try_again(read(), Partner(unavailable(), "done"))
    assert 0 <= min(slept) < 0.0002
    assert 0.0008 < max(slept) <= 0.001


def test_one_try_can_be_all(configure: Configure) -> None:
    configure(retry={"tries": 1})
    partner = Partner(unavailable(), "done")
    with pytest.raises(PartnerUnavailable):
        try_again(read(), partner)
    assert partner.answers == ["done"]


@pytest.mark.parametrize(
    "second",
    [
        PartnerUnavailable("payments", "capture", "second"),
        PartnerRefused("payments", "capture", "second"),
        NotAsked("payments", "capture", "second"),
        PartnerUnknown("payments", "capture", "second"),
    ],
)
def test_a_first_try_in_doubt_stays_in_doubt(second: PartnerError) -> None:
    """The first may have had its effect, whatever the second says of itself."""
    with pytest.raises(PartnerUnknown, match="first"):
        try_again(write(keyed=True), Partner(unknown(), second))


def test_a_first_try_that_did_nothing_leaves_the_word_to_the_second() -> None:
    refused = PartnerRefused("payments", "capture", "second")
    with pytest.raises(PartnerRefused, match="second"):
        try_again(write(keyed=True), Partner(unavailable(), refused))


def test_a_second_try_that_was_not_made_leaves_the_word_to_the_first() -> None:
    """It was asked once, so it must not look like no attempt at all."""
    with pytest.raises(PartnerUnavailable, match="first") as caught:
        try_again(read(), Partner(unavailable(), NotAsked("payments", "find", "open")))
    assert not isinstance(caught.value, NotAsked)


def test_an_answer_that_amounts_to_doubt_is_what_the_caller_reads() -> None:
    first = Answered(unknown(), "the first reply")
    second = Answered(PartnerRefused("payments", "capture", "second"), "the second reply")
    with pytest.raises(Answered) as caught:
        try_again(write(keyed=True), Partner(first, second))
    assert caught.value.answer == "the first reply"
