from __future__ import annotations

import pytest

from sagas.management.text import WIDTH, cut, duration, printable, table, wrapped


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (0.25, "0.25 s"), (59, "59 s"), (90, "1.5 min"), (3600, "1 h"), (172_800, "2 d")],
)
def test_a_duration_is_told_in_its_largest_unit(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_no_text_steers_the_terminal() -> None:
    assert printable("red \x1b[31m\r\nbell\x07 \u202eright") == "red ·[31m bell· ·right"


def test_a_cut_text_shows_that_it_is_cut() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"


def test_wrapping_breaks_what_has_no_space() -> None:
    assert wrapped("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert wrapped("", 10) == [""]


def test_an_id_is_not_broken_at_its_hyphens() -> None:
    text = "run 01a22def-ead5-7510-9ac2-0b82d6334cf3"
    assert wrapped(text, 38) == ["run", "01a22def-ead5-7510-9ac2-0b82d6334cf3"]


def test_a_table_without_a_width_keeps_its_last_column_whole() -> None:
    reason = "its circuit breaker is open " * 5
    assert table(("WHAT", "BECAUSE"), [("partner", reason.strip())], width=None).endswith(
        f"partner  {reason.strip()}"
    )


def test_a_table_is_aligned_and_fits_the_page() -> None:
    lines = table(("NAME", "N"), [("a", 1), ("longer", "x" * 200)]).splitlines()
    assert lines[:2] == ["NAME    N", "a       1"]
    assert len(lines[2]) == WIDTH
