"""Reasons in general words: bounded work, whatever a partner has written."""

from __future__ import annotations

import pytest

from sagas.define import cause


def test_a_reason_is_read_only_so_far_as_it_can_matter() -> None:
    """A pattern takes time by the square of a text's length: a megabyte would take minutes."""
    differing = [cause.general("x " * cause._READ + tail) for tail in ("1", "it timed out")]
    assert differing[0] == differing[1]


def test_what_differs_from_run_to_run_is_left_out() -> None:
    said = "charge 17 of 'ann' at https://pay.example/x?k=1 failed for a@b.example"
    assert cause.general(said) == "charge … of '…' at URL failed for EMAIL"


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("KeyError: 'x'", "key error: '…'"),
        (
            "PartnerRefused: shipping answered 422 no_stock",
            "partner refused: shipping answered … no_stock",
        ),
        ("JSONDecodeError: Expecting value", "JSON decode error: Expecting value"),
        ("ConnectionResetError", "connection reset error"),
        ("OSError: [Errno 101] unreachable", "OS error: [Errno …] unreachable"),
        ("nothing was sent (httpx.ConnectTimeout)", "nothing was sent (connect timeout)"),
        (
            "its condition raised django.db.utils.IntegrityError",
            "its condition raised integrity error",
        ),
        ("'label' gave up: CardDeclined: no funds.", "'…' gave up: card declined: no funds."),
        ("Timeout: no answer", "Timeout: no answer"),
        ("HubSpot answered late", "HubSpot answered late"),
        ("the time limit was reached", "the time limit was reached"),
    ],
)
def test_the_name_of_an_exception_is_read_as_words(said: str, read: str) -> None:
    assert cause.general(said) == read


def test_failures_of_different_kinds_stay_apart() -> None:
    assert cause.general("KeyError: 'x'") != cause.general("ValueError: 'x'")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("'b' gave up: ValueError: 17 of 'x'.", "'b' gave up: value error: 17 of 'x'."),
        ("'b' gave up: CardDeclined.", "'b' gave up: card declined."),
        ("Nobody can tell whether 'b' happened: StoreDown.",
         "Nobody can tell whether 'b' happened: store down."),
    ],
)  # fmt: skip
def test_a_plain_reason_keeps_what_it_is_about(said: str, read: str) -> None:
    assert cause.plain(said) == read


def test_a_long_reason_keeps_its_end() -> None:
    assert cause.plain("x " * cause._READ + "end").endswith("end")
