"""A run in the customer's words: what is done, what is being undone, what comes next and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    conditional: bool = False
    """Whether it is left out of the page where the run leaves it out."""


@dataclass(frozen=True, slots=True)
class FormWords:
    """What a customer reads around the form that starts a run."""

    title: str
    button: str
    correct: str
    """The headline where entries were refused."""
    sent_before: str
    """The headline where the same form was sent before with other entries."""
    earlier: str
    """The link to what the form started then."""
    once_more: str
    """What happens if it is sent again."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What a customer reads about a saga: around its form, each step's phrases, and for each status
    of a run a headline and a sentence. What is done in `unseen` steps is no business of theirs.
    """

    form: FormWords
    steps: Mapping[str, Phrases]
    summaries: Mapping[RunStatus, tuple[str, str]]
    unseen: frozenset[str] = frozenset()


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
    """How a run stands. `final`: nothing will change any more."""

    headline: str
    detail: str
    lines: Sequence[Line]
    final: bool


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


def progress_of(run: Run, steps: Sequence[Step], wording: Wording) -> Progress:
    """How a run stands, in words. `steps` are its rows, of both directions."""
    status = RunStatus(run.status)
    headline, detail = wording.summaries[status]
    undoings = {row.name: row for row in steps if row.direction == Direction.BACKWARD}
    seen = (row for row in steps if row.name not in wording.unseen)
    forward = sorted(
        (row for row in seen if row.direction == Direction.FORWARD), key=lambda r: r.position
    )
    ahead = status in _AHEAD
    lines = [
        _line(wording.steps[row.name], row, undoings.get(row.name), ahead=ahead)
        for row in forward
        if not (wording.steps[row.name].conditional and row.status == StepStatus.SKIPPED)
    ]
    return Progress(headline, detail, lines, status in TERMINAL_RUNS)


def _line(phrases: Phrases, row: Step, undoing: Step | None, *, ahead: bool) -> Line:
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
