"""A run in the customer's words: what is done, what is being undone, what comes next and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sagas.models import Run, Step
from sagas.states import TERMINAL_RUNS, Direction, RunStatus, StepStatus


@dataclass(frozen=True, slots=True)
class Phrases:
    """What a customer reads about one step, by how far it is."""

    planned: str
    doing: str
    done: str
    failed: str
    undoing: str = ""
    undone: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One step on the page. `mark` is one of MARKS, `due` when it is tried next."""

    text: str
    mark: str
    note: str = ""
    due: datetime | None = None

    @property
    def word(self) -> str:
        """The mark as the customer reads it."""
        return MARKS[self.mark]


@dataclass(frozen=True, slots=True)
class Progress:
    """How an order stands. `final`: nothing will change any more."""

    headline: str
    detail: str
    lines: Sequence[Line]
    final: bool


PHRASES = {
    "reserve_stock": Phrases(
        "Reserve the items",
        "Reserving the items",
        "The items are reserved",
        "The items could not be reserved",
        "Putting the items back",
        "The items are back on the shelf",
    ),
    "authorize_payment": Phrases(
        "Check the card",
        "Checking the card",
        "The card is accepted",
        "The card was not accepted",
        "Releasing the amount held on the card",
        "The amount held on the card is released",
    ),
    "capture_payment": Phrases(
        "Take the payment",
        "Taking the payment",
        "The payment is made",
        "The payment could not be taken",
    ),
    "book_courier": Phrases(
        "Book the courier",
        "Booking the courier",
        "The courier is booked",
        "The courier could not be booked",
    ),
    "print_label": Phrases(
        "Print the label",
        "Printing the label",
        "The label is printed",
        "The label could not be printed",
    ),
    "notify_customer": Phrases(
        "Send you the tracking number",
        "Sending you the tracking number",
        "The tracking number is in your mail",
        "The mail with the tracking number could not be sent",
    ),
}

SUMMARIES = {
    RunStatus.PENDING: ("We have your order", "We start on it in a moment."),
    RunStatus.RUNNING: (
        "We are working on your order",
        "You may close this page: the order goes on without it.",
    ),
    RunStatus.COMPENSATING: (
        "Your order cannot be fulfilled",
        "We are undoing what was done. You pay nothing.",
    ),
    RunStatus.NEEDS_ATTENTION: (
        "Your order needs a closer look",
        "One of our people looks into it. You need not do anything.",
    ),
    RunStatus.SUCCEEDED: ("Your order is on its way", "Thank you for buying from us."),
    RunStatus.COMPENSATED: (
        "Your order was not fulfilled",
        "Everything was undone. You paid nothing.",
    ),
    RunStatus.RESOLVED: ("Your order is closed", "One of our people settled it."),
}

MARKS = {
    "next": "to do",
    "now": "under way",
    "done": "done",
    "failed": "failed",
    "dropped": "not done",
    "undoing": "being undone",
    "undone": "undone",
    "stuck": "not undone yet",
}

_UNDER_WAY = {StepStatus.READY, StepStatus.IN_FLIGHT, StepStatus.WAITING, StepStatus.UNKNOWN}
_AHEAD = {RunStatus.PENDING, RunStatus.RUNNING, RunStatus.NEEDS_ATTENTION}


def progress_of(run: Run, steps: Sequence[Step]) -> Progress:
    """How a run stands, in words. `steps` are its rows, of both directions."""
    status = RunStatus(run.status)
    headline, detail = SUMMARIES[status]
    undoings = {row.name: row for row in steps if row.direction == Direction.BACKWARD}
    forward = sorted(
        (row for row in steps if row.direction == Direction.FORWARD), key=lambda r: r.position
    )
    lines = [_line(row, undoings.get(row.name), ahead=status in _AHEAD) for row in forward]
    return Progress(headline, detail, lines, status in TERMINAL_RUNS)


def _line(row: Step, undoing: Step | None, *, ahead: bool) -> Line:
    phrases = PHRASES[row.name]
    if undoing is not None:
        return _undoing(phrases, undoing)
    if row.status == StepStatus.SUCCEEDED:
        return Line(phrases.done, "done")
    if row.status == StepStatus.FAILED:
        return Line(phrases.failed, "failed")
    if row.status in _UNDER_WAY:
        return Line(phrases.doing, "now", _note(row), _due(row))
    return Line(phrases.planned, "next" if ahead else "dropped")


def _undoing(phrases: Phrases, row: Step) -> Line:
    if row.status == StepStatus.SUCCEEDED:
        return Line(phrases.undone, "undone")
    if row.status == StepStatus.FAILED:
        return Line(phrases.undoing, "stuck", "This did not work.")
    return Line(phrases.undoing, "undoing", _note(row), _due(row))


def _note(row: Step) -> str:
    if row.status == StepStatus.UNKNOWN:
        return "We got no clear answer and are finding out whether it worked."
    if row.status == StepStatus.READY and row.tries:
        return "This did not work yet; we try again."
    return ""


def _due(row: Step) -> datetime | None:
    return row.due_at if _note(row) else None
