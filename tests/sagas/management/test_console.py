from __future__ import annotations

import io

from django.core.management.base import OutputWrapper

from sagas.management.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_progress_is_shown_in_place_and_taken_away_before_a_finding() -> None:
    out, err = io.StringIO(), Terminal()
    console = Console(OutputWrapper(out), OutputWrapper(err))
    console.progress("1 run")
    console.progress("2 runs")
    console.say("found")
    console.clear()
    assert out.getvalue() == "found\n"
    assert err.getvalue() == "\r\x1b[K1 run\r\x1b[K2 runs\r\x1b[K"


def test_a_finding_never_stands_behind_the_progress_on_its_line() -> None:
    both = Terminal()
    console = Console(OutputWrapper(both), OutputWrapper(both))
    console.progress("1 run")
    console.say("found")
    assert both.getvalue() == "\r\x1b[K1 run\r\x1b[Kfound\n"


def test_elsewhere_there_is_no_progress() -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(OutputWrapper(out), OutputWrapper(err))
    console.progress("1 run")
    console.say("found")
    console.clear()
    assert (out.getvalue(), err.getvalue()) == ("found\n", "")
