"""What the benchmark's command line takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.contenders import CONTENDERS
from bench.options import parse


def test_by_default_everything_is_measured_in_three_rounds() -> None:
    asked = parse([])
    assert (asked.rounds, asked.runs, asked.stored) == (3, 600, 200_000)
    assert asked.contenders == CONTENDERS


def test_quick_is_small_unless_told_otherwise() -> None:
    asked = parse(["--quick", "--runs", "90", "--json", "out.json"])
    assert (asked.rounds, asked.runs, asked.stored) == (1, 90, 2_000)
    assert asked.json == Path("out.json")


def test_only_those_that_are_named_are_measured_in_their_usual_order() -> None:
    asked = parse(["--only", "chain", "ours"])
    assert [contender.name for contender in asked.contenders] == ["ours", "chain"]


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--runs", "x"], ["--only", "nobody"]])
def test_what_makes_no_sense_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(words)
    assert words[0] in capsys.readouterr().err
