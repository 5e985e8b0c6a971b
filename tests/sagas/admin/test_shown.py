from __future__ import annotations

import pytest
from django.utils.html import strip_tags

from sagas.admin.shown import as_line, cleaned, line, shown


def test_what_strangers_wrote_is_escaped_and_isolated() -> None:
    assert shown("<script>alert(1)</script> & 'x'") == (
        "<bdi>&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#x27;x&#x27;</bdi>"
    )


@pytest.mark.parametrize(
    "steering",
    [
        "\x00",
        "\x07",
        "\x1b",
        "\x7f",
        "\x9b",
        "\r",
        "\u202e",
        "\u2066",
        "\u200f",
        "\ufeff",
        "\u2028",
    ],
)
def test_what_steers_a_screen_becomes_a_mark(steering: str) -> None:
    for seen in (cleaned(f"a{steering}b"), line(f"a{steering}b")):
        assert steering not in seen
    assert cleaned(f"a{steering}b") == "a\ufffdb"


def test_a_lone_surrogate_can_be_sent_to_a_browser() -> None:
    assert cleaned("a\ud800b").encode() == "a\ufffdb".encode()


@pytest.mark.parametrize(
    "text", ["Żółć 日本語 العربية", "a\nb\tc", "👩\u200d🚀", "a\u00a0b", "می\u200cرود"]
)
def test_what_people_write_stays(text: str) -> None:
    assert cleaned(text) == text


def test_a_long_text_is_cut_and_says_how_much_is_missing() -> None:
    assert cleaned("x" * 1_000_000, 10) == "xxxxxxxxxx… (999,990 more characters)"
    assert cleaned("x" * 10, 10) == "x" * 10
    assert len(strip_tags(shown("<" * 1_000_000))) < 12_000


def test_a_line_is_one_and_short() -> None:
    assert line("a\n\n  b\tc") == "a b c"
    assert line("x" * 1_000_000, 5) == "xxxxx…"


def test_json_stays_readable() -> None:
    assert as_line({"a": "ä"}) == '{"a": "ä"}'
