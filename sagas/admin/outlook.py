"""What follows from an irreversible verb, for the page on which a person confirms it."""

from __future__ import annotations

from typing import Any

from sagas.admin.run_page.undo import capped, listed
from sagas.admin.shown import cleaned
from sagas.define.outlook import Outlook
from sagas.define.view import RunView
from sagas.errors import SagaError
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


def told(outlook: Outlook, *, refused: bool = False) -> dict[str, Any]:
    """What the template of the outlook shows.

    Args:
        refused: the verb would be refused: it is only told what undoing would do.
    """
    worked = outlook.status is RunStatus.SUCCEEDED
    return {
        "heading": "What undo would do" if refused else "What will be undone",
        "stopped": [cleaned(reason, 400) for reason in outlook.stopped],
        "undo": listed(outlook.undo) if outlook.undo is not None else None,
        "over": words(outlook.status) if outlook.status in TERMINAL_RUNS else "",
        "stays": capped(() if worked else outlook.stays),
    }
