"""What follows from an irreversible verb, for the page on which a person confirms it."""

from __future__ import annotations

from typing import Any

from sagas.admin.run_page.undo import capped, listed
from sagas.admin.shown import cleaned, line
from sagas.define.outlook import Outlook
from sagas.define.view import RunView
from sagas.errors import SagaError
from sagas.operate.consequences import changed_steps
from sagas.operate.verb import Verb, foresee
from sagas.states import TERMINAL_RUNS, RunStatus
from sagas.wording import words


def foreseen(verb: Verb, view: RunView) -> Outlook | None:
    """How a run goes on after a verb; None: nobody can tell before, or it would be refused."""
    if not verb.foreseen:
        return None
    try:
        return foresee(verb, view)
    except SagaError:
        return None


def told(
    outlook: Outlook, *, way: str = "", place: int = 1, refused: bool = False
) -> dict[str, Any]:
    """What the template of the outlook shows.

    Args:
        way: of several in which the verb can be taken this one, in words.
        place: which of these it is on the page.
        refused: the verb would be refused: it is only told what undoing would do.
    """
    worked = outlook.status is RunStatus.SUCCEEDED
    return {
        "heading": line(way, 160) or ("What undo would do" if refused else "What will be undone"),
        "way": bool(way),
        "place": f"-{place}" if place > 1 else "",
        "changed": [(what, line(names, 400)) for what, names in changed_steps(outlook)],
        "stopped": [cleaned(reason, 400) for reason in outlook.stopped],
        "undo": listed(outlook.undo) if outlook.undo is not None else None,
        "over": words(outlook.status) if outlook.status in TERMINAL_RUNS else "",
        "stays": capped(() if worked else outlook.stays),
    }
