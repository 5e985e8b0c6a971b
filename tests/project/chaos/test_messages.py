"""Which message led to a claim, from what processes wrote down."""

from __future__ import annotations

from pathlib import Path

from project.chaos.messages import Taken, read

LINES = """\
10.000 sent m1
10.500 taken m1 run-1 a one
11.000 taken m1 run-1 a two
12.000 taken m2 run-1 b two
"""


def test_each_message_is_told_with_when_it_was_sent_and_taken(tmp_path: Path) -> None:
    path = tmp_path / "messages.log"
    path.write_text(LINES)
    messages = read(path)
    assert messages.taken["run-1"][0] == Taken(10.5, 10.0, "a", "one")
    assert messages.that_led_to("run-1", "a", "two", 13.0) == Taken(11.0, 10.0, "a", "two")
    assert messages.that_led_to("run-1", "c", "two", 13.0) == Taken(12.0, None, "b", "two")
    assert messages.that_led_to("run-1", "a", "one", 10.2) is None


def test_a_campaign_without_a_message_has_none(tmp_path: Path) -> None:
    assert read(tmp_path / "none").taken == {}
