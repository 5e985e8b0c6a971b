from integrations.slack.text import MAX_TEXT, plain, quoted


def test_nothing_in_a_text_is_a_mention_or_a_link() -> None:
    assert plain("<!channel> & <https://example.com|click>") == (
        "&lt;!channel&gt; &amp; &lt;https://example.com|click&gt;"
    )


def test_what_is_escaped_already_is_shown_as_it_stands() -> None:
    assert plain("&lt;") == "&amp;lt;"


def test_a_long_text_ends_early_and_between_characters() -> None:
    assert plain("x" * MAX_TEXT) == "x" * MAX_TEXT
    cut = plain("&" * (MAX_TEXT + 1))
    assert cut == "&amp;" * (MAX_TEXT - 1) + "…"


def test_a_reference_stays_within_its_quotes() -> None:
    assert quoted("order:1") == "`order:1`"
    assert quoted("`*<b>") == "`'*&lt;b&gt;`"
