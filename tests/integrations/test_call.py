from email.utils import formatdate

import pytest
from pydantic import BaseModel, ConfigDict

from integrations.call import MAX_RETRY_AFTER, Call, retry_after
from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.schemas import Identifier

WRITE = Call.within(10, "payments", "capture")
READ = Call.within(10, "payments", "find", writes=False)


class Thing(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: Identifier


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 422])
def test_a_4xx_is_a_refusal(status: int) -> None:
    error = WRITE.failure(status, {}, "card_declined")
    assert isinstance(error, PartnerRefused)
    assert error.detail == f"answered {status} card_declined"


@pytest.mark.parametrize("status", [408, 425, 429, 503])
def test_some_answers_mean_later_and_nothing_happened(status: int) -> None:
    error = WRITE.failure(status, {"retry-after": "3"})
    assert isinstance(error, PartnerUnavailable)
    assert error.retry_after == 3.0


@pytest.mark.parametrize("status", [301, 303, 500, 501, 502, 504, 520, 599])
def test_other_answers_leave_a_write_unknown(status: int) -> None:
    assert isinstance(WRITE.failure(status, {}), PartnerUnknown)


@pytest.mark.parametrize(
    ("status", "code"), [(409, "idempotency_key_in_use"), (422, "idempotency_key_reused")]
)
def test_a_used_key_is_unknown_because_the_first_call_may_have_taken_effect(
    status: int, code: str
) -> None:
    assert isinstance(WRITE.failure(status, {}, code), PartnerUnknown)


def test_a_key_that_was_not_sent_is_refused() -> None:
    assert isinstance(WRITE.failure(400, {}, "idempotency_key_missing"), PartnerRefused)


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500, 503])
def test_every_failure_of_a_read_is_unavailable(status: int) -> None:
    assert isinstance(READ.failure(status, {}), PartnerUnavailable)


def test_a_call_without_time_left_says_so() -> None:
    Call.within(60, "payments", "capture").check_time()
    with pytest.raises(PartnerUnavailable, match="no time was left"):
        Call.within(0, "payments", "capture").check_time()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("86400", MAX_RETRY_AFTER),
        pytest.param("9" * 5000, MAX_RETRY_AFTER, id="too many digits"),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        ("", None),
        ("-5", None),
        ("1.5", 1.5),
        ("0.25", 0.25),
        ("5, 7", 7.0),
        ("7,1.5 , 3", 7.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT, 120", 120.0),
        ("3, Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        ("Friday, 31-Dec-99 23:59:59 GMT, 1", 1.0),
        ("soon, 5", 5.0),
        (", ,", None),
        ("1.", None),
        (".5", None),
        ("1.5e3", None),
        ("1.5.2", None),
        ("soon", None),
        ("nan", None),
        ("٣", None),
        ("Fri, 99 Dec 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_believed_within_reason(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}) == seconds


def test_a_retry_after_date_is_counted_on_the_partners_own_clock() -> None:
    headers = {
        "date": formatdate(1_000_000, usegmt=True),
        "retry-after": formatdate(1_000_060, usegmt=True),
    }
    assert retry_after(headers) == 60.0


def test_no_retry_after_is_none() -> None:
    assert retry_after({}) is None


@pytest.mark.parametrize(
    "wrong", [{}, {"id": 7}, {"id": ""}, {"id": "a\0b"}, {"id": "\ud800"}, {"id": "x" * 256}]
)
def test_an_answer_that_does_not_fit_is_no_answer(wrong: dict[str, object]) -> None:
    with pytest.raises(PartnerUnknown, match="Thing whose id is wrong"):
        WRITE.shape(Thing, wrong)
    with pytest.raises(PartnerUnavailable):
        READ.shape(Thing, wrong)


def test_only_declared_fields_are_kept() -> None:
    assert WRITE.shape(Thing, {"id": "a", "email": "a@example.com"}) == Thing(id="a")


def test_a_503_leaves_open_what_would_be_done_twice_and_cannot_be_asked_about() -> None:
    told = Call.within(10, "slack", "post", once=True)
    assert isinstance(told.failure(503, {}), PartnerUnknown)
    assert isinstance(told.failure(429, {}), PartnerUnavailable)
    assert isinstance(WRITE.failure(503, {}), PartnerUnavailable)
