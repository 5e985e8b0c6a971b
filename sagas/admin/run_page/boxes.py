"""What is written in the boxes of a run's graph: a step or a compensation, and how it stands."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sagas.admin.run_page.aim import Place
from sagas.admin.run_page.words import GLYPHS, state_of
from sagas.admin.shown import cleaned, line
from sagas.define.step import Kind, Step
from sagas.define.title import title
from sagas.define.view import RunView, StepView
from sagas.states import COMPLETED_RUNS, Direction, StepStatus
from sagas.wording import words

WIDTH, UNDO_LEFT, UNDO_OUT = 250, 30, 26  #: of a step; its compensation lies further right
COLUMN = WIDTH + UNDO_OUT
_LINE, _PAD, _UNDO = 16, 9, 40
_NAME, _NAMES = 28, 2  # characters in a line of a name, and lines

KINDS: Mapping[Kind, str] = {
    Kind.COMPENSATABLE: "can be undone",
    Kind.HARMLESS: "harmless",
    Kind.PIVOT: "pivot",
    Kind.RETRIABLE: "must succeed in the end",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text at a height."""

    y: int
    text: str


@dataclass(frozen=True, slots=True)
class Box:
    """A step or a compensation: where it lies, how it stands, and what is written in it."""

    x: int
    y: int
    width: int
    height: int
    css: str
    title: str
    names: tuple[Text, ...]
    facts: tuple[Text, ...]
    place: Place

    @property
    def left(self) -> int:
        """Where its text begins."""
        return self.x + 12

    def moved(self, x: int, y: int) -> Box:
        """The same box at another place."""
        names, facts = (
            tuple(Text(text.y + y, text.text) for text in texts)
            for texts in (self.names, self.facts)
        )
        return replace(self, x=self.x + x, y=self.y + y, names=names, facts=facts)


def boxes(view: RunView, step: Step) -> list[Box]:
    """A step as it stands and, if it can be undone, its compensation; at no place yet."""
    row = view.steps[Direction.FORWARD, step.name]
    drawn = [_forward(view, row, KINDS[step.kind], step.kind, tuple(_marks(step)))]
    if step.kind is Kind.COMPENSATABLE and step.compensation is not None:
        name = getattr(step.compensation.action, "__name__", "")
        drawn.append(_backward(view, step.name, "" if name == "<lambda>" else name))
    return drawn


def boxes_of_row(view: RunView, row: StepView, undo: StepView | None) -> list[Box]:
    """The same of a step whose code is gone."""
    drawn = [_forward(view, row, "", "", ())]
    return drawn if undo is None else [*drawn, _undo_box(row.name, "", undo.status, undo.attempt)]


def _forward(view: RunView, row: StepView, kind: str, css: str, marks: tuple[str, ...]) -> Box:
    state = state_of(view, row)
    names = _wrapped(line(row.name)) or [" "]
    facts = [_state(state, row.attempt, in_doubt=row.in_doubt)]
    if kind or marks:
        facts.append(line(", ".join(filter(None, (kind, *marks))), 44))
    title = f"{cleaned(row.name)}: {'; '.join((facts[0], *filter(None, (kind, *marks))))}"
    css = f"step {_css(state)} {css}".strip()
    return _box((Direction.FORWARD, row.name), 0, WIDTH, css, title, names, facts)


def _wrapped(name: str) -> list[str]:
    """A name in lines, between its words where that does."""
    apart = name.replace("_", "_ ")
    lines = textwrap.wrap(apart, _NAME, max_lines=_NAMES, placeholder="…")
    return [text.replace("_ ", "_") for text in lines]


def _backward(view: RunView, step: str, name: str) -> Box:
    row = view.step(step, Direction.BACKWARD)
    status = row.status if row is not None else None
    return _undo_box(step, name, status, row.attempt if row is not None else 0, view)


def _undo_box(
    step: str, name: str, status: StepStatus | None, attempt: int, view: RunView | None = None
) -> Box:
    told = _state(status, attempt) if status is not None else _not_asked(view)
    text = f"{cleaned(title(step, Direction.BACKWARD))}: {told}"
    names = [line(f"↩ {name or 'undo'}", 28)]
    css = f"undo {_css(status) if status is not None else 'is-idle'}"
    place = (Direction.BACKWARD, step)
    return _box(place, UNDO_LEFT, COLUMN - UNDO_LEFT, css, text, names, [told])


def _not_asked(view: RunView | None) -> str:
    over = view is not None and view.status in COMPLETED_RUNS
    return "not needed" if over else "not asked for"


def _box(
    place: Place,
    x: int,
    width: int,
    css: str,
    title: str,
    names: Sequence[str],
    facts: Sequence[str],
) -> Box:
    lines = [_PAD + _LINE * (n + 1) - 5 for n in range(len(names) + len(facts))]
    texts = [Text(y, text) for y, text in zip(lines, (*names, *facts), strict=True)]
    height = max(_UNDO, _PAD * 2 + _LINE * len(lines))
    split = len(names)
    return Box(x, 0, width, height, css, title, tuple(texts[:split]), tuple(texts[split:]), place)


def _state(status: str, attempt: int, *, in_doubt: bool = False) -> str:
    tried = f", {attempt} attempts" if attempt > 1 else ""
    doubt = ", in doubt" if in_doubt and status != StepStatus.UNKNOWN else ""
    return f"{GLYPHS[status]} {words(status)}{tried}{doubt}"


def _marks(step: Step) -> Iterator[str]:
    if step.optional:
        yield "optional"
    if step.when is not None:
        yield "conditional"
    if step.waits:
        yield "waits"


def _css(status: str) -> str:
    return f"is-{status.replace('_', '-')}"
