"""What a run must find again in its saga's definition, and what may change under it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from sagas.define.backoff import Retry
from sagas.define.difference import difference
from sagas.define.fingerprint import fits
from sagas.define.saga import Definition, Node
from sagas.define.step import Errors, Step, wait_for
from tests.sagas.flows import flow, fork, pivot, simple, verified

Nodes = Sequence[Node | str]


def wait(name: str, **options: Any) -> Step:
    return wait_for(name, timeout=timedelta(hours=1), **options)


def harmless(name: str, **options: Any) -> Step:
    return simple(name, harmless=True, **options)


def continues(old: Definition, new: Definition) -> bool:
    """Whether a run of the old definition may go on with the new one."""
    return fits(old.fingerprint, new)


def told(old: Definition, new: Definition) -> str:
    return difference(list(old.order), old.fingerprint, new)


def test_a_fingerprint_is_the_same_in_every_process_and_fits_its_column() -> None:
    assert flow(["a", "b"]).fingerprint == flow(["a", "b"], version=2).fingerprint
    for saga in (flow(["a"]), flow([simple(f"s{n}") for n in range(80)])):
        assert re.fullmatch(r"[A-Za-z0-9_-]{16}", saga.fingerprint)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["a", "b"], ["a", "c"]),
        (["a", "b"], ["a"]),
        (["a"], ["a", "b"]),
        (["a", "b"], ["b", "a"]),
        (["a", "b", "c"], ["a", fork("b", "c")]),
        ([fork(["a", "b"], "c")], [fork("a", ["b", "c"])]),
        ([fork("a", "b"), fork("c", "d")], [fork("a", "b", "c", "d")]),
        (["a", "b"], [pivot(simple("a")), "b"]),
        ([pivot(simple("a")), "b"], ["a", pivot(simple("b"))]),
        ([harmless("a")], [wait("a")]),
        ([simple("a", optional=True)], ["a"]),
        ([simple("a", atomic=True)], ["a"]),
        ([simple("a", idempotent=False)], ["a"]),
    ],
)
def test_neither_way_goes_on_where_the_structure_differs(old: Nodes, new: Nodes) -> None:
    assert not continues(flow(old), flow(new))
    assert not continues(flow(new), flow(old))
    assert told(flow(old), flow(new))


@pytest.mark.parametrize(
    "changed",
    [
        simple("a", timeout=99),
        simple("a", retry=Retry(attempts=9)),
        simple("a", queue="other"),
        simple("a", when=lambda run: True),
        simple("a", errors=Errors(refused=ValueError)),
        simple("a", undo={"timeout": 99, "tolerates_nothing": True}),
        verified("a"),
    ],
)
def test_what_runs_under_way_do_not_mind_may_come_and_go(changed: Step) -> None:
    old, new = flow(["a", "b"]), flow([changed, "b"])
    assert continues(old, new)
    assert continues(new, old)
    assert told(old, new) == told(new, old) == ""


def test_what_belongs_to_the_saga_and_not_to_its_steps_may_change() -> None:
    changed = flow(
        ["a"], hop=True, deadline=timedelta(hours=1), errors=Errors(retry=ConnectionError)
    )
    assert continues(flow(["a"]), changed)


def test_a_wait_may_get_another_time_and_another_signals_correlation() -> None:
    old = flow(["a", wait("b")])
    new = flow(["a", wait("b", correlate=lambda run: "x", on_timeout="continue")])
    assert continues(old, new)


# --- promises ------------------------------------------------------------------------------


def test_a_compensation_may_be_added_and_not_be_lost() -> None:
    without, undone = flow(["a", harmless("b")]), flow(["a", "b"])
    assert continues(without, undone)
    assert not continues(undone, without)
    assert told(undone, without) == "step 'b' has lost its compensation"


def test_after_the_pivot_nothing_is_undone_so_a_compensation_may_go() -> None:
    undone = flow([pivot(simple("p")), "a"])
    without = flow([pivot(harmless("p")), harmless("a")])
    assert continues(undone, without)


def test_a_step_that_may_not_be_repeated_keeps_its_verify() -> None:
    blind = flow(["a", simple("b", idempotent=False)])
    asked = flow(["a", verified("b", idempotent=False)])
    assert continues(blind, asked)
    assert not continues(asked, blind)
    assert told(asked, blind) == "step 'b', which may not be repeated, has lost its verify"


def test_several_promises_are_told_apart() -> None:
    old = flow(["a", verified("b", idempotent=False), "c"])
    new = flow([harmless("a"), simple("b", idempotent=False, harmless=True), "c"])
    assert told(old, new) == (
        "step 'a' has lost its compensation; step 'b' has lost its compensation; "
        "step 'b', which may not be repeated, has lost its verify"
    )


@pytest.mark.parametrize("place", range(26))
def test_no_step_of_a_long_saga_loses_its_compensation_unseen(place: int) -> None:
    names = [f"s{number}" for number in range(26)]
    changed = [harmless(name) if n == place else simple(name) for n, name in enumerate(names)]
    old, new = flow(names), flow(changed)
    assert not continues(old, new)
    assert told(old, new)
    assert continues(new, old) is (place < 24)  # of later steps the promises cannot grow either


def test_a_fingerprint_of_foreign_make_fits_nothing_and_raises_nothing() -> None:
    saga = flow(["a"])
    for foreign in ("", "f", "0123456789abcdef", "\N{SNOWMAN}" * 16):
        assert not fits(foreign, saga)
        assert difference(["a"], foreign, saga)
