from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

from sagas.define.mask import masked_error, masked_text, words_in, words_of
from sagas.define.redact import HIDDEN, matcher

NAMED = matcher(("name", "card", "cvc", "street", "password", "email", "cookie", "phone"))


@pytest.mark.parametrize(
    "text",
    [
        "payments authorize: answered 402 card_declined",
        "[Errno 111] Connection refused",
        "Bad Gateway",
        "PartnerRefused: no stock, by psycopg.errors.DataError",
        "HTTP 503, try again in 30 s",
        "it took 3.5 s (max 10)",
        "attempt 3 of 5 timed out after 1000 ms",
        "status=402, retries: 3",
        "can't reach the warehouse",
        "der überwiesene betrag fehlt",
        "the worker was held up before it began",
        "",
    ],
)
def test_words_in_small_letters_and_small_numbers_are_shown(text: str) -> None:
    assert masked_text(text, named=NAMED) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no account for Erika Mustermann, sorry", "no account for •••, sorry"),
        ("ludwig van Beethoven", "ludwig van •••"),
        ("born 1984-03-12 or 12.03.1984", "born ••• or •••"),
        ("Lindenstraße 5, 10115 Berlin", "•••"),
        ("call +49 170 1234567 again", "call ••• again"),
        ("call 0170 12 34 56 7 again", "call ••• again"),
        ("pay with 4111 1111 1111 1111 failed", "pay with ••• failed"),
        ("to DE89 3704 0044 0532 0130 00 failed", "to ••• failed"),
        ("id C01X00T47 and tax 12/345/67890", "id ••• and tax •••"),
        ("ask erika@example.org", "ask •••"),
        ("bad eyJhbGciOi.eyJzdWIi.c2ln", "bad •••"),
        ("sessionid=abcdef; path", "sessionid=•••; path"),
        ("see https://a.example/u?mail=b", "see https:•••"),
        ("田中太郎 ist weg", "••• ist weg"),
        (f"token {'x' * 40}", "token •••"),
    ],
)
def test_what_may_be_somebodys_is_masked(text: str, shown: str) -> None:
    assert masked_text(text, named=NAMED) == shown


@pytest.mark.parametrize("quote", ["'", '"', "`", '\\"'])
def test_what_is_quoted_is_masked(quote: str) -> None:
    assert masked_text(f"bad value {quote}erika{quote} here") == f"bad value {HIDDEN} here"
    assert masked_text(f"bad value {quote}o'brien{quote} here") == f"bad value {HIDDEN} here"
    assert masked_text(f"cut off {quote}erika musterm") == f"cut off {HIDDEN}"
    assert masked_text("b'erika' there") == f"{HIDDEN} there"
    assert masked_text("«erika» there") == f"{HIDDEN} there"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bad name: erika mustermann, retry", "bad name: •••, retry"),
        ("cvc 123 is wrong", "cvc ••• is wrong"),
        ("Key (email)=(erika) exists", "Key (email)=(•••) exists"),
        ("Cookie: abc def", "•••"),
        ("customer_name = erika; status=3", "customer_name = •••; status=3"),
        ("{'name': erika, 'id': 3}", "{•••}"),
        ("password=hunter", "password=•••"),
        ("cvc=123", "cvc=•••"),
    ],
)
def test_what_follows_the_name_of_a_redacted_field_is_masked(text: str, shown: str) -> None:
    assert masked_text(text, named=NAMED) == shown


def test_words_of_redacted_values_are_masked_wherever_they_stand() -> None:
    hidden = frozenset(words_in("Erika M. Mustermann 1234"))
    text = "no erika_mustermann here: mustermann, ERIKA, 1234, m"
    assert masked_text(text, hidden=hidden) == f"no {HIDDEN} here: {HIDDEN}, m"


def test_the_word_that_begins_a_sentence_of_the_codes_own_is_shown() -> None:
    def refuse(who: str) -> None:
        raise ValueError(f"Stock is empty for {who}. Order some (Soon please). {who} waits")

    error = _raised(refuse, "Erika")
    text = masked_text(str(error), code=words_of(error.__traceback__))
    assert text == "Stock is empty for •••. Order some (Soon please). ••• waits"
    assert masked_text(str(error)) == "••• is empty for ••• some (••• please). ••• waits"
    assert words_of(None) == frozenset()


def test_a_name_that_stands_in_code_is_masked_all_the_same() -> None:
    def refuse() -> None:
        raise ValueError("Erika Mustermann is not Erika, C01X00T47")

    error = _raised(refuse)
    text = masked_text(str(error), code=words_of(error.__traceback__))
    assert text == "••• is not •••"


def test_the_names_of_a_definition_are_shown_quoted_too_unless_they_are_somebodys() -> None:
    assert masked_text("no 'sku' there", known={"sku"}) == "no 'sku' there"
    assert masked_text("no 'sku' there", known={"sku"}, hidden={"sku"}) == f"no {HIDDEN} there"


def test_masking_a_masked_text_changes_nothing() -> None:
    once = masked_text("Erika Mustermann, born 1984-03-12, has 3 cards and no 'account'")
    assert masked_text(once) == once


def test_a_long_text_of_quotes_is_masked_in_a_blink() -> None:
    """Each character is read a few times at most: the work is counted, not timed."""
    text = "'\"" * 50_000
    assert len(masked_text(text)) < 5_000


def _raised(action: Any, *given: Any) -> Exception:
    try:
        action(*given)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_an_error_in_a_log_shows_where_and_not_what(caplog: pytest.LogCaptureFixture) -> None:
    def inner() -> None:
        error = ValueError("no such customer: Erika Mustermann")
        error.add_note("she was born 1984-03-12")
        raise error

    def outer() -> None:
        try:
            inner()
        except ValueError as error:
            raise LookupError("nowhere is Mustermann") from error

    logging.getLogger("any").error("it failed", exc_info=masked_error(_raised(outer)))
    for told in ("LookupError: nowhere is •••", "ValueError: no such customer: •••", "in inner"):
        assert told in caplog.text
    # The lines of code are printed too: they hold the texts of this test.
    printed = [line for line in caplog.text.splitlines() if not line.startswith("    ")]
    assert "Mustermann" not in "\n".join(printed)
    assert "1984" not in "\n".join(printed)


def test_an_error_that_has_no_text_or_causes_itself_can_be_logged() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("broken")

    error = _raised(lambda: (_ for _ in ()).throw(Broken()))
    error.__cause__ = error
    assert traceback.format_exception(masked_error(error))[-1].strip().endswith("Broken")
