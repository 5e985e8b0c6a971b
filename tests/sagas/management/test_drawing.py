from __future__ import annotations

from datetime import timedelta

from sagas.api import Retry, parallel, pivot, wait_for
from sagas.management.drawing import draw
from sagas.management.text import WIDTH
from tests.sagas.flows import flow, simple, verified


def test_a_saga_is_drawn_from_top_to_bottom_with_its_branches_as_a_tree() -> None:
    saga = flow(
        [
            wait_for("approved", timeout=timedelta(days=1)),
            simple(
                "reserve",
                queue="stock",
                timeout=5,
                retry=Retry(attempts=2),
                undo={"tolerates_nothing": True},
            ),
            pivot(simple("charge")),
            parallel([simple("book"), simple("load")], simple("print", optional=True)),
            simple("close", retry=Retry(attempts=None, total=7200), optional=True),
        ],
        deadline=timedelta(minutes=90),
    )
    assert draw(saga) == "\n".join(_DRAWN)


_DRAWN = [
    "flow, version 1",
    "started with: number (optional), refuse (optional)",
    "turns back unless it is done within 1.5 h",
    "",
    "◌ approved",
    "│   waits for a signal or a time, holding no worker; if that comes too late, the run turns "
    "back",
    "│",
    "○ reserve",
    "│   undo compensation: 20 tries of 30 s, also when it is in doubt",
    "│   queue stock, 2 tries of 5 s",
    "│",
    "◆ charge   ═══ point of no return ═══",
    "│   5 tries of 30 s",
    "│",
    "╥ side by side",
    "│ ╟─ ● book",
    "│ ║  │   tries of 30 s until it works",
    "│ ║  │",
    "│ ║  ● load",
    "│ ║      tries of 30 s until it works",
    "│ ║",
    "│ ╙─ ● print",
    "│        5 tries of 30 s, optional: giving up does not stop the run",
    "│",
    "● close",
    "    tries of 30 s until it works, none after 2 h, optional: giving up does not stop the run",
    "",
    "○ can be undone   ◌ nothing to undo   ◆ point of no return   ● must succeed in the end",
]


def test_conditions_verifies_and_manners_are_named() -> None:
    def is_large(run: object) -> bool:
        return True

    saga = flow(
        [
            verified("a", when=is_large, atomic=True),
            simple("b", when=lambda run: True, idempotent=False),
        ]
    )
    drawn = draw(saga)
    for fact in ("only if is_large", "verify (unnamed)", "commits with its outcome"):
        assert fact in drawn
    assert "only if (unnamed)" in drawn
    assert "never repeated when in doubt" in drawn


def test_long_names_and_deep_trees_stay_on_the_page() -> None:
    deep = simple("x" * 80)
    block = parallel([deep], [simple("y" * 80)])
    for level in range(8):
        block = parallel([block, simple(f"{level}".rjust(80, "n"))], [simple(f"m{level}" * 26)])
    lines = draw(flow([block], name="f" + "-long" * 15)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert sum("…" in line for line in lines) > 1
