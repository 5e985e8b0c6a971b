import pytest

from integrations.sandbox.keys import InUse, Keys, OtherRequest
from integrations.sandbox.service import Answer

ANSWER = Answer(200, {"id": "x"})


def test_a_key_not_seen_has_no_answer() -> None:
    assert Keys().stored("k", "request") is None


def test_a_stored_answer_is_replayed() -> None:
    keys = Keys()
    keys.store("k", "request", ANSWER)
    assert keys.stored("k", "request") == ANSWER


def test_a_key_of_another_request_is_told_apart() -> None:
    keys = Keys()
    keys.store("k", "request", ANSWER)
    with pytest.raises(OtherRequest):
        keys.stored("k", "another request")


def test_a_key_is_in_use_until_its_answer_is_there() -> None:
    keys = Keys()
    keys.store("k", "request", None)
    with pytest.raises(InUse):
        keys.stored("k", "request")
    keys.store("k", "request", ANSWER, busy_for=60)
    with pytest.raises(InUse):
        keys.stored("k", "request")
    keys.store("k", "request", ANSWER)
    assert keys.stored("k", "request") == ANSWER


def test_a_forgotten_key_is_like_a_new_one() -> None:
    keys = Keys()
    keys.store("k", "request", ANSWER)
    keys.lifetime = 0
    assert keys.stored("k", "another request") is None


def test_requests_without_a_key_have_nothing_in_common() -> None:
    keys = Keys()
    keys.store("", "request", ANSWER)
    assert keys.stored("", "request") is None


def test_a_key_is_forgotten_when_a_day_has_passed() -> None:
    keys = Keys()
    keys.store("k", "request", ANSWER)
    keys.advance(24 * 3600 - 60)
    assert keys.stored("k", "request") == ANSWER
    keys.advance(120)
    assert keys.stored("k", "request") is None
