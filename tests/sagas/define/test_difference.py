"""A changed definition in words: from the rows of a run, and from its fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from sagas.define.difference import difference
from sagas.define.saga import Definition, Node
from sagas.define.step import wait_for
from tests.sagas.flows import flow, fork, pivot, simple

Nodes = Sequence[Node | str]


def told(old: Definition, new: Definition) -> str:
    return difference(list(old.order), old.fingerprint, new)


def test_a_run_that_fits_has_no_difference() -> None:
    assert told(flow(["a", fork("b", "c")]), flow(["a", fork("b", "c")])) == ""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("ab", "a", "step 'b' is gone"),
        ("ab", "axb", "step 'x' is new after 'a'"),
        ("ab", "xab", "step 'x' is new before 'a'"),
        ("a", "x", "step 'a' is gone; step 'x' is new"),
        ("abc", "cab", "'c' now comes before 'a'"),
        ("abc", "bca", "'a' now comes after 'c'"),
        ("abcd", "acbd", "'c' now comes before 'b'"),
        ("abc", "caxb", "step 'x' is new after 'a'; 'c' now comes before 'a'"),
        ("abcde", "xdae", "step 'b' is gone; step 'c' is gone; step 'x' is new before 'd'; "
                          "'d' now comes before 'a'"),
        ("abcd", "dcba", "'d' now comes before 'a'; 'c' now comes before 'a'; "
                         "'b' now comes before 'a'"),
    ],
)  # fmt: skip
def test_the_difference_of_names_is_put_into_words(old: str, new: str, words: str) -> None:
    assert told(flow(list(old)), flow(list(new))) == words


_WAIT = wait_for("b", timeout=timedelta(hours=1))


@pytest.mark.parametrize(
    ("old", "new", "forth", "back"),
    [
        (
            ["a", simple("b", harmless=True)],
            ["a", _WAIT],
            "step 'b' now waits, and did not",
            "step 'b' has ceased to wait",
        ),
        (
            ["a", "b"],
            ["a", simple("b", optional=True)],
            "step 'b' is now optional",
            "step 'b' is no longer optional",
        ),
        (
            ["a", fork("b", "c")],
            ["a", fork(simple("b", atomic=True), "c")],
            "step 'b' is now atomic",
            "step 'b' is no longer atomic",
        ),
        (
            [pivot(simple("a")), "b"],
            [pivot(simple("a")), simple("b", idempotent=False)],
            "step 'b' is now declared idempotent=False",
            "step 'b' is no longer declared idempotent=False",
        ),
        (
            ["a", pivot(simple("b")), "c"],
            ["a", "b", pivot(simple("c"))],
            "the pivot is now 'c' and was 'b'",
            "the pivot is now 'b' and was 'c'",
        ),
        (
            ["a", "b"],
            [pivot(simple("a")), "b"],
            "the pivot is now 'a' and was none",
            "the pivot is now none and was 'a'",
        ),
        (
            ["a", "b", "c", "d"],
            ["a", fork("b", "c"), "d"],
            "'b', 'c' are now side by side, and were in sequence",
            "'b', 'c' are now in sequence, and were side by side",
        ),
    ],
)
def test_one_change_that_the_rows_do_not_show_is_found_by_the_fingerprint(
    old: Nodes, new: Nodes, forth: str, back: str
) -> None:
    assert told(flow(old), flow(new)) == forth
    assert told(flow(new), flow(old)) == back


def test_several_changes_that_the_rows_do_not_show_are_only_named_by_kind() -> None:
    old = flow(["a", "b", "c"])
    new = flow(["a", simple("b", optional=True), pivot(simple("c"))])
    assert told(old, new).startswith("the steps have the same names in the same order, but more")


def test_a_promise_that_was_broken_is_told_when_nothing_else_has_changed() -> None:
    old, new = flow(["a", "b"]), flow([simple("a", harmless=True), "b"])
    assert told(old, new) == "step 'a' has lost its compensation"
    assert told(new, old) == ""
