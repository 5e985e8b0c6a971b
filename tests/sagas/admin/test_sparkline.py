from __future__ import annotations

import re
from xml.etree import ElementTree

from sagas.admin.sparkline import in_words, sparkline


def bars(ended: list[int], failed: list[int]) -> list[tuple[str, int, int, int]]:
    drawn = ElementTree.fromstring(sparkline(ended, failed, "flow"))  # noqa: S314  # ours
    return [
        (r.attrib["class"], int(r.attrib["x"]), int(r.attrib["y"]), int(r.attrib["height"]))
        for r in drawn.iter("rect")
    ]


def test_each_hour_has_a_bar_with_the_part_that_did_not_succeed_at_its_foot() -> None:
    assert bars([0, 12, 24], [0, 0, 6]) == [
        ("spark-ended", 5, 12, 12),
        ("spark-ended", 10, 0, 24),
        ("spark-failed", 10, 18, 6),
    ]


def test_what_is_little_beside_much_is_still_seen() -> None:
    assert bars([1, 100_000], [1, 1])[0] == ("spark-ended", 0, 23, 1)


def test_where_nothing_ended_nothing_is_drawn_and_words_say_so() -> None:
    assert bars([0] * 24, [0] * 24) == []
    assert in_words([0] * 24, [0] * 24, "flow") == "flow: no run ended in the last 24 hours"


def test_its_twin_in_words_has_the_same_figures() -> None:
    words = "flow: 3 runs ended in the last 2 hours, 1 of them not in success; "
    words += "by hour, the oldest first: 1, 2"
    assert in_words([1, 2], [0, 1], "flow") == words
    drawn = sparkline([1, 2], [0, 1], "flow")
    assert f'aria-label="{words}"' in drawn
    assert f"<title>{words}</title>" in drawn


def test_it_is_drawn_without_styles_and_a_name_cannot_break_out() -> None:
    drawn = sparkline([1], [0], '"><script>alert(1)</script>')
    assert "<script" not in drawn
    assert not re.search(r"\sstyle=|\son\w+=", drawn)
