from __future__ import annotations

import pytest

from sagas.operate.groups import error_groups
from tests.sagas.operate.rows import a_run

pytestmark = pytest.mark.django_db


def test_the_largest_groups_of_what_needs_a_person_come_first() -> None:
    for number, group in enumerate(("few", "many", "many", "many", "few", "one")):
        a_run(str(number), "needs_attention", error_group=group, saga=f"s{number % 2}")
    a_run("over", "compensated", error_group="few")
    found = error_groups(None)
    assert [(g.name, g.count) for g in found] == [("many", 3), ("few", 2), ("one", 1)]
    assert found[0].sagas == ("s0", "s1")
    assert found[0].first < found[0].last < found[0].now
    assert len(error_groups(None, most=2)) == 2


def test_only_so_many_of_the_newest_are_counted() -> None:
    a_run("old", "needs_attention", error_group="old")
    for key in "ab":
        a_run(key, "needs_attention", error_group="new")
    assert [(g.name, g.count) for g in error_groups(None, counted=2)] == [("new", 2)]


def test_only_sagas_that_one_may_see_are_counted() -> None:
    a_run("mine", "needs_attention", error_group="g")
    a_run("theirs", "needs_attention", error_group="h", saga="other")
    assert [g.name for g in error_groups({"flow"})] == ["g"]
    assert error_groups(set()) == []
