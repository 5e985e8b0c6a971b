"""The saga of a run as a drawing: its steps from top to bottom, with the state of each. Pure.

Beneath each step that can be undone is its compensation; the way back runs beside them, upwards.
Where the code of the run is gone, its rows are drawn as a plain sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from sagas.admin.run_page.aim import Place, aim
from sagas.admin.run_page.boxes import COLUMN, WIDTH, Box, boxes, boxes_of_row
from sagas.admin.shown import line
from sagas.define.saga import Definition, Node, Parallel
from sagas.define.step import Kind, Step
from sagas.define.view import RunView
from sagas.states import Direction, StepStatus
from sagas.wording import stands

_NEAR, _GAP, _FORK, _SIDE, _MARGIN, _PIVOT = 8, 24, 22, 28, 12, 26
_SPINE, _RAIL = 15, WIDTH + 13  # where the ways forward and back run, from a column's left


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of the way forward or back."""

    x1: int
    y1: int
    x2: int
    y2: int
    css: str


@dataclass(slots=True)
class Graph:
    """The drawing, in the units of its view box."""

    label: str
    width: int = 0
    height: int = 0
    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    pivots: list[int] = field(default_factory=list)  # heights of the points of no return
    aim: Place | None = None  # of the box at which it opens


def graph(saga: Definition | None, view: RunView) -> Graph:
    """The graph of a run.

    Args:
        saga: None: it is drawn from the rows alone.
    """
    drawn = Graph(_label(view))
    if saga is not None:
        pen = _Pen(drawn, lambda step: boxes(view, step))
        bottom = pen.sequence(saga.tree, _MARGIN, _MARGIN).bottom
        drawn.width = _MARGIN * 2 + _breadth(saga.tree)
    else:
        bottom = _Pen(drawn, lambda step: []).rows(view, _MARGIN)
        drawn.width = _MARGIN * 2 + COLUMN
    drawn.height = max([bottom, *drawn.pivots]) + _MARGIN
    drawn.aim = aim(saga, view)
    return drawn


def _label(view: RunView) -> str:
    rows = view.rows(Direction.FORWARD)
    done = sum(row.status is StepStatus.SUCCEEDED for row in rows)
    return (
        f"The steps of {line(view.saga)}: {done} of {len(rows)} are done, the run "
        f"{stands(view.status)}. The table of steps tells the same."
    )


# --- laying out ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Laid:
    """What was laid out: from where to where, and where the way back enters and leaves it."""

    top: int
    bottom: int
    undo_top: int | None = None  # None: there is nothing to undo in it
    undo_bottom: int | None = None


@dataclass(slots=True)
class _Pen:
    graph: Graph
    boxes: Callable[[Step], list[Box]]

    def sequence(self, nodes: Sequence[Node], x: int, y: int) -> _Laid:
        laid: list[_Laid] = []
        for node in nodes:
            laid.append(self._node(node, x, y))
            y = laid[-1].bottom + _GAP + (_PIVOT if _is_pivot(node) else 0)
        for before, after in pairwise(laid):
            self._draw(x + _SPINE, before.bottom, x + _SPINE, after.top, "way arrow")
        undone = [part for part in laid if part.undo_top is not None]
        for before, after in pairwise(undone):
            self._back(x + _RAIL, after.undo_top, before.undo_bottom)
        if not laid:
            return _Laid(y, y)
        ends = (undone[0].undo_top, undone[-1].undo_bottom) if undone else (None, None)
        return _Laid(laid[0].top, laid[-1].bottom, *ends)

    def rows(self, view: RunView, y: int) -> int:
        """The rows of a run one after the other; gives where they end."""
        bottom = y
        for number, row in enumerate(view.rows(Direction.FORWARD)):
            if number:
                self._draw(_MARGIN + _SPINE, bottom, _MARGIN + _SPINE, bottom + _GAP, "way arrow")
                bottom += _GAP
            undo = view.step(row.name, Direction.BACKWARD)
            bottom = self._stack(boxes_of_row(view, row, undo), _MARGIN, bottom).bottom
        return bottom

    def _node(self, node: Node, x: int, y: int) -> _Laid:
        if isinstance(node, Parallel):
            return self._parallel(node, x, y)
        laid = self._stack(self.boxes(node), x, y)
        if node.kind is Kind.PIVOT:
            self.graph.pivots.append(laid.bottom + _GAP)
        return laid

    def _stack(self, boxes: Sequence[Box], x: int, y: int) -> _Laid:
        """A step, and beneath it its compensation."""
        top, undo = y, None
        for number, box in enumerate(boxes):
            if number:
                self._draw(x + 44, y, x + 44, y + _NEAR, "back")
                y += _NEAR
                undo = (y, y + box.height)
            self.graph.boxes.append(box.moved(x, y))
            y += box.height
        if undo is not None:
            self._draw(x + _SPINE, top + boxes[0].height, x + _SPINE, y, "way")
        return _Laid(top, y, *(undo or (None, None)))

    def _parallel(self, node: Parallel, x: int, y: int) -> _Laid:
        columns, bottoms, left = [], [], x
        for branch in node.branches:
            columns.append((left, self.sequence(branch, left, y + _FORK)))
            bottoms.append(columns[-1][1].bottom)
            left += _breadth(branch) + _SIDE
        end = max(bottoms) + _FORK
        for column, laid in columns:
            self._draw(column + _SPINE, y, column + _SPINE, laid.top, "way arrow")
            self._draw(column + _SPINE, laid.bottom, column + _SPINE, end, "way")
        last = columns[-1][0] + _SPINE
        self._draw(x + _SPINE, y, last, y, "way bar")
        self._draw(x + _SPINE, end, last, end, "way bar")
        return _Laid(y, end, *self._parallel_back(columns, x, y, end))

    def _parallel_back(
        self, columns: Sequence[tuple[int, _Laid]], x: int, top: int, end: int
    ) -> tuple[int | None, int | None]:
        undone = [(column, laid) for column, laid in columns if laid.undo_top is not None]
        if not undone:
            return None, None
        upper, lower = top + 8, end - 8
        for column, laid in undone:
            self._back(column + _RAIL, lower, laid.undo_bottom)
            self._draw(column + _RAIL, laid.undo_top or upper, column + _RAIL, upper, "back")
        last = undone[-1][0] + _RAIL
        for height in (upper, lower):
            if last > x + _RAIL:
                self._draw(x + _RAIL, height, last, height, "back")
        return upper, lower

    def _back(self, x: int, start: int | None, end: int | None) -> None:
        if start is not None and end is not None:
            self._draw(x, start, x, end, "back arrow")

    def _draw(self, x1: int, y1: int, x2: int, y2: int, css: str) -> None:
        self.graph.lines.append(Line(x1, y1, x2, y2, css))


def _breadth(nodes: Sequence[Node]) -> int:
    widths = [COLUMN]
    for node in nodes:
        if isinstance(node, Parallel):
            inner = [_breadth(branch) for branch in node.branches]
            widths.append(sum(inner) + _SIDE * (len(inner) - 1))
    return max(widths)


def _is_pivot(node: Node) -> bool:
    return isinstance(node, Step) and node.kind is Kind.PIVOT
