"""The timeline of a run's attempts as a drawing: bars for attempts, thin lines for pauses. Pure.

A retry that came a day later would leave nothing to see of the seconds before: long pauses in
which nothing was under way are cut out of the axis, and the cut says how long they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sagas.admin.run_page.attempts import Attempt, Came, Place
from sagas.admin.run_page.words import length
from sagas.admin.shown import line
from sagas.define.title import title

Interval = tuple[float, float]

WIDTH = 880
_LEFT, _RIGHT, _TOP, _ROW = 12, 868, 34, 34
_LEAST = 3.0  # width of a bar that would be too thin to be seen
_BUSY = 1e-3  # seconds; shorter runs are drawn as if they had taken so long
_CUT = 0.09  # share of the axis that a cut takes ...
_CUTS = 0.4  # ... and that all of them may take
_LETTER = 6.5  # width of one


# --- the scale -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the axis: from when to when, and between which shares of its length."""

    start: float
    end: float
    left: float
    right: float
    cut: bool


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a time lies on the axis, which runs from 0 to 1."""

    pieces: tuple[Piece, ...]

    @property
    def breaks(self) -> list[Piece]:
        """The pauses that were cut out."""
        return [piece for piece in self.pieces if piece.cut]

    def place(self, at: float) -> float:
        """Where a time lies; what is outside lies at the nearest end."""
        for piece in self.pieces:
            if at <= piece.end:
                span = piece.end - piece.start
                part = min(1.0, max(0.0, (at - piece.start) / span)) if span else 0.0
                return piece.left + part * (piece.right - piece.left)
        return 1.0


def scale(intervals: Iterable[Interval]) -> Scale:
    """An axis for what was going on, with every pause cut out that is longer than half of it.

    Args:
        intervals: when something was under way, in seconds, in any order.
    """
    busy = _merged(intervals)
    if not busy:
        return Scale((Piece(0.0, 0.0, 0.0, 1.0, cut=False),))
    stretches = list(_stretches(busy))
    cuts = sum(1 for *_, cut in stretches if cut)
    share = min(_CUT, _CUTS / cuts) if cuts else 0.0
    drawn = sum(_weight(start, end) for start, end, cut in stretches if not cut)
    return Scale(tuple(_laid(stretches, share, (1.0 - cuts * share) / drawn)))


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _stretches(busy: Sequence[Interval]) -> Iterator[tuple[float, float, bool]]:
    """What is drawn in proportion, and what is cut out between."""
    longest = max(_BUSY, sum(end - start for start, end in busy) / 2)
    begin = busy[0][0]
    for (_, end), (start, _) in pairwise(busy):
        if start - end > longest:
            yield begin, end, False
            yield end, start, True
            begin = start
    yield begin, busy[-1][1], False


def _laid(
    stretches: Sequence[tuple[float, float, bool]], share: float, unit: float
) -> Iterator[Piece]:
    left = 0.0
    for start, end, cut in stretches:
        right = left + (share if cut else unit * _weight(start, end))
        yield Piece(start, end, left, right, cut)
        left = right


def _weight(start: float, end: float) -> float:
    return max(end - start, _BUSY)


# --- the drawing ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt. ``css`` says how to colour it, ``title`` what it was."""

    x: float
    y: float
    width: float
    css: str
    title: str


@dataclass(frozen=True, slots=True)
class Pause:
    """A thin line between two attempts."""

    x1: float
    x2: float
    y: float
    css: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Cut:
    """A pause that was cut out of the axis, from top to bottom."""

    x: float
    width: float
    label: str
    title: str

    @property
    def middle(self) -> float:
        """Where its label is centred."""
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, slots=True)
class Gantt:
    """The drawing, in the units of its view box."""

    width: int
    height: int
    names: tuple[Label, ...]
    ticks: tuple[Label, ...]
    bars: tuple[Bar, ...]
    pauses: tuple[Pause, ...]
    cuts: tuple[Cut, ...]


def gantt(attempts: Sequence[Attempt], begin: datetime, now: datetime | None) -> Gantt | None:
    """The timeline of these attempts; None if there is none.

    Args:
        begin: when the run was accepted: the axis counts from there.
        now: the time, if the run is not over.
    """
    if not attempts:
        return None
    drawing = _Drawing(attempts, begin, now)
    places = {place: _TOP + n * _ROW for n, place in enumerate(_places(attempts))}
    return Gantt(
        WIDTH,
        _TOP + len(places) * _ROW + 8,
        tuple(_name(place, y) for place, y in places.items()),
        tuple(drawing.ticks()),
        tuple(drawing.bar(a, places[a.place]) for a in attempts),
        tuple(p for place, y in places.items() for p in drawing.pauses(place, y)),
        tuple(drawing.cuts()),
    )


def _places(attempts: Sequence[Attempt]) -> list[Place]:
    return list(dict.fromkeys(attempt.place for attempt in attempts))


def _name(place: Place, y: float) -> Label:
    direction, step = place
    return Label(_LEFT, y + 11, line(title(step, direction)))


class _Drawing:
    def __init__(self, attempts: Sequence[Attempt], begin: datetime, now: datetime | None) -> None:
        self.attempts, self.begin = attempts, begin
        self.latest = now or max(a.ended or a.began for a in attempts)
        spans = [(self._since(a.began), self._since(a.ended or self.latest)) for a in attempts]
        if now is not None:
            spans.append((self._since(now), self._since(now)))
        self.scale = scale(spans)

    def bar(self, attempt: Attempt, y: float) -> Bar:
        ended = attempt.ended or self.latest
        x, right = self._x(attempt.began), self._x(ended)
        width = max(_LEAST, right - x)
        return Bar(
            round(min(x, _RIGHT - width), 1),
            y + 15,
            round(width, 1),
            _css(attempt),
            _told(attempt, ended),
        )

    def pauses(self, place: Place, y: float) -> Iterator[Pause]:
        own = [attempt for attempt in self.attempts if attempt.place == place]
        for attempt, following in zip(own, [*own[1:], None], strict=True):
            end = following.began if following is not None else self._still(attempt)
            if attempt.ended is not None and end is not None and end > attempt.ended:
                yield Pause(self._x(attempt.ended), self._x(end), y + 21, _css(attempt))

    def cuts(self) -> Iterator[Cut]:
        for piece in self.scale.breaks:
            x, width = self._at(piece.left), self._at(piece.right) - self._at(piece.left)
            told = length(piece.end - piece.start)
            label = told if width >= _LETTER * len(told) else ""
            yield Cut(round(x, 1), round(width, 1), label, f"{told} in which nothing was under way")

    def ticks(self) -> Iterator[Label]:
        """When each stretch begins, where there is room for it."""
        free = 0.0
        for piece in self.scale.pieces:
            x, text = self._at(piece.left), f"+{length(piece.start)}"
            end = x + _LETTER * len(text)
            if not piece.cut and free <= x and end <= _RIGHT:
                yield Label(round(x, 1), 12, text)
                free = end + 2 * _LETTER

    def _still(self, attempt: Attempt) -> datetime | None:
        waits = attempt.came in _PUT_OFF
        return self.latest if waits else None

    def _since(self, at: datetime) -> float:
        return (at - self.begin).total_seconds()

    def _x(self, at: datetime) -> float:
        return round(self._at(self.scale.place(self._since(at))), 1)

    def _at(self, share: float) -> float:
        return _LEFT + share * (_RIGHT - _LEFT)


_PUT_OFF = frozenset({Came.RETRY, Came.WAIT, Came.NOT_ASKED, Came.UNKNOWN, Came.NOT_APPLIED})


def _css(attempt: Attempt) -> str:
    return f"came-{attempt.came.name.lower().replace('_', '-')}"


def _told(attempt: Attempt, ended: datetime) -> str:
    took = length((ended - attempt.began).total_seconds())
    asks = ", asking whether it happened" if attempt.asks else ""
    what = line(title(attempt.step, attempt.direction))
    return f"{what}, attempt {attempt.number}{asks}: {attempt.came}, {took}"
