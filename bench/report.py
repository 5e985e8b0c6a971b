"""The figures as people and programs read them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from bench.contenders import CHAIN, DIRECT, OURS, QUEUE, STORED, Contender
from bench.figures import MEASURES, Measure, Ratio, better, medians, ratio
from bench.options import Options
from bench.rounds import Measured

_COMPARED = tuple(m for m in MEASURES if not m.name.startswith("cpu_"))
_WIDTH = 24


def text(options: Options, measured: Measured) -> str:
    """Everything on one screen: the set-up, a table of medians, the ratios, what each lacks."""
    measures = (_table(options, measured), _ratios(measured))
    parts = (_setup(options, measured), *measures, _lacks(options))
    return "\n\n".join("\n".join(part) for part in parts if part)


def document(options: Options, measured: Measured) -> dict[str, Any]:
    """Everything as JSON-ready data."""
    return {
        "machine": _machine(measured),
        "options": {"rounds": options.rounds, "runs": options.runs, "stored": options.stored},
        "contenders": {
            c.name: {
                "title": c.title,
                "lacks": c.lacks,
                "median": medians(measured.rounds[c.name]),
                "rounds": measured.rounds[c.name],
            }
            for c in options.contenders
        },
        "ratios": {
            f"{of.name}/{to}": {m.name: vars(r) for m, r in found}
            for of, to, found in _compared(measured)
        },
    }


def _machine(measured: Measured) -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **measured.engines,
        **{name: version(name) for name in ("celery", "dbos", "django", "psycopg")},
    }


def _setup(options: Options, measured: Measured) -> list[str]:
    machine = ", ".join(f"{name} {value}" for name, value in _machine(measured).items())
    return [
        f"Median of {options.rounds} interleaved rounds, {options.runs} runs, 4 steps of no work.",
        "Two worker processes each. Starting the runs is part of all times.",
        f"{machine}.",
    ]


def _table(options: Options, measured: Measured) -> list[str]:
    rows = [["", *(c.name for c in options.contenders)]]
    columns = {c.name: medians(measured.rounds[c.name]) for c in options.contenders}
    for measure in MEASURES:
        found = [columns[c.name].get(measure.name) for c in options.contenders]
        rows.append([measure.title, *("-" if f is None else f"{f:.1f}" for f in found)])
    return [_line(row) for row in rows]


def _ratios(measured: Measured) -> list[str]:
    lines = []
    for of, to, found in _compared(measured):
        lines += ["", f"{of.title} / {to}: median of the rounds' ratios (lowest to highest)"]
        lines += [_line(_comparison(measure, ratio)) for measure, ratio in found]
    return lines[1:]


def _compared(measured: Measured) -> Iterator[tuple[Contender, str, list[tuple[Measure, Ratio]]]]:
    """What is compared with what: the better DBOS is chosen for each measure by itself."""
    for of, to in ((OURS, (CHAIN,)), (OURS, (DIRECT, QUEUE)), (STORED, (OURS,))):
        found = []
        for measure in _COMPARED:
            best = better(measured.rounds, [c.name for c in to], measure)
            over = ratio(measured.rounds, of.name, best, measure.name) if best else None
            if over:
                found.append((measure, over))
        if found:
            yield of, to[0].name if len(to) == 1 else "the better DBOS", found


def _comparison(measure: Measure, found: Ratio) -> list[str]:
    ahead = found.median > 1 if measure.more_is_better else found.median < 1
    spread = f" ({found.lowest:.2f} to {found.highest:.2f})"
    return [measure.title, f"{found.median:.2f}", spread, "better" if ahead else "worse"]


def _lacks(options: Options) -> list[str]:
    return ["What each does not do:", *(f"  {c.name}: {c.lacks}" for c in options.contenders)]


def _line(cells: Sequence[str]) -> str:
    return cells[0].ljust(_WIDTH) + "".join(cell.rjust(15) for cell in cells[1:])
