from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sagas.admin.when import address, ago, took

NOW = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)


def test_a_moment_is_told_by_its_distance_to_the_minute_and_carries_itself() -> None:
    shown = ago(NOW - timedelta(hours=2, minutes=3, seconds=4), NOW)
    marks = 'datetime="2026-01-02T01:01:01+00:00" title="2026-01-02 01:01:01 UTC"'
    assert shown == f"<time {marks}>2 h 3 min</time>"


def test_the_words_stay_the_same_within_a_minute() -> None:
    then = NOW - timedelta(minutes=7)
    assert ago(then, NOW) == ago(then, NOW + timedelta(seconds=59))
    assert ago(then, NOW) != ago(then, NOW + timedelta(seconds=60))


def test_what_took_long_is_told_in_words() -> None:
    assert took(timedelta(seconds=1.234)) == "1.23 s"
    assert took(timedelta(seconds=7200)) == "2 h"


def test_a_page_that_is_not_there_has_no_address() -> None:
    assert address("sagas_run_changelist") == "/admin/sagas/run/"
    assert address("sagas_run_nothing") == ""
