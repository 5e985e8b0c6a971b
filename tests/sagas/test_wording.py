from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

import sagas
from sagas.states import RunStatus, StepStatus
from sagas.wording import clock, stamp, stands, words

AT = datetime(2026, 11, 30, 23, 30, 5, 999_999, tzinfo=UTC)
ENGINE = Path(sagas.__file__).parent

SENTENCES = {
    **{"pending": "is pending", "running": "is running", "compensating": "is compensating"},
    **{"needs_attention": "needs attention", "succeeded": "has succeeded"},
    **{"compensated": "is compensated", "resolved": "is resolved", "ready": "is ready"},
    **{"in_flight": "is in flight", "waiting": "is waiting", "unknown": "is unknown"},
    **{"failed": "has failed", "skipped": "is skipped"},
}


@pytest.mark.parametrize("status", sorted({*RunStatus, *StepStatus}))
def test_a_status_ends_a_sentence_in_english(status: str) -> None:
    assert stands(status) == SENTENCES[status]


def test_a_status_is_shown_without_what_only_code_writes() -> None:
    assert words(RunStatus.NEEDS_ATTENTION) == "needs attention"
    assert words(StepStatus.IN_FLIGHT) == "in flight"


def test_a_time_is_told_in_utc_and_cut_to_the_second() -> None:
    there = AT.astimezone(timezone(timedelta(hours=9)))
    assert stamp(there) == "2026-11-30 23:30:05"
    assert clock(there) == "2026-11-30 23:30:05 UTC"


def test_a_time_of_today_can_be_told_without_its_day() -> None:
    east = timezone(timedelta(hours=9))
    assert clock(AT, AT.astimezone(east)) == "23:30:05 UTC"
    assert clock(AT, AT + timedelta(hours=1)) == "2026-11-30 23:30:05 UTC"


@pytest.mark.parametrize("own", ['replace("_", " ")', "replace('_', ' ')", ":%M:%S"])
def test_no_other_module_words_a_status_or_a_time(own: str) -> None:
    elsewhere = {
        str(path.relative_to(ENGINE))
        for path in ENGINE.rglob("*.py")
        if own in re.sub(r"field\.replace\(", "", path.read_text())
    }
    assert elsewhere - {"wording.py"} == set()
