"""Plain text for terminals: tables, durations, and words that cannot steer the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100


def duration(seconds: float) -> str:
    """A length of time in its largest sensible unit, as in ``10 s`` or ``1.5 h``."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def printable(text: str) -> str:
    """The text without control characters: a partner's words must not move the cursor."""
    return "".join(c if c.isprintable() else "·" for c in " ".join(text.split()))


def cut(text: str, width: int) -> str:
    """The text, shortened with an ellipsis where it is too long."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most that width; an id that fits into one is not broken."""
    return textwrap.wrap(text, max(width, 10), break_on_hyphens=False) or [""]


def table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], *, width: int | None = WIDTH
) -> str:
    """Columns as wide as their widest cell; the last one is cut at the edge of the page.

    Without a `width` nothing is cut: for a last column that people have to read to its end.
    """
    cells = [list(heads), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (_line(row, widths) for row in cells)
    return "\n".join(lines if width is None else (cut(line, width) for line in lines))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
