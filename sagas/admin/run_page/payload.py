"""The payload on the run's page: as it was given, as an operator changed it, and the difference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.safestring import SafeString

from sagas.admin.shown import LONGEST, as_json, as_line, shown
from sagas.define.redact import HIDDEN
from sagas.models import Run
from sagas.operate import reveal

_CHANGES = 50
_GONE = object()

Change = tuple[SafeString, SafeString, SafeString]


def documents(run: Run, *, revealed: bool) -> dict[str, Any]:
    """What the template of the payload shows.

    Args:
        run: with its payload.
        revealed: whether redacted fields are shown.
    """
    given = reveal.payload(run, run.payload, reveal=revealed)
    amended = reveal.payload(run, run.amended, reveal=revealed)
    text, changed = as_json(given), "" if run.amended is None else as_json(amended)
    found = [] if run.amended is None else list(_changes(run, given, amended))[: _CHANGES + 1]
    return {
        "given": shown(text),
        "amended": shown(changed) if changed else "",
        "cut": max(len(text), len(changed)) > LONGEST,
        "changes": found[:_CHANGES],
        "more": len(found) > _CHANGES,
        "redacted": not revealed and (given, amended) != (run.payload, run.amended),
    }


def _changes(run: Run, given: Any, amended: Any) -> Iterator[Change]:
    for path, old, new in _differences("", (run.payload, given), (run.amended, amended)):
        yield shown(path or "all of it", 200), _value(old), _value(new)


def _differences(
    path: str, old: tuple[Any, Any], new: tuple[Any, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Where two documents differ, with what is shown of each; pairs of the real and the shown."""
    before, after = old[0], new[0]
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            called = name if _names(old[1], name) or _names(new[1], name) else HIDDEN
            place = f"{path}.{called}" if path else called
            yield from _differences(place, _part(old, name), _part(new, name))
    elif isinstance(before, list) and isinstance(after, list):
        for number in range(max(len(before), len(after))):
            place = f"{path}.{number}" if path else str(number)
            yield from _differences(place, _item(old, number), _item(new, number))
    elif before != after or type(before) is not type(after):  # to Python, 1 is True
        yield path, old[1], new[1]


def _names(seen: Any, name: str) -> bool:
    """Whether what is shown has a field by its name: a key may be somebody's too."""
    return isinstance(seen, dict) and name in seen


def _part(pair: tuple[Any, Any], name: str) -> tuple[Any, Any]:
    real, seen = pair
    if name not in real:
        return _GONE, _GONE
    return real[name], seen.get(name, HIDDEN) if isinstance(seen, dict) else seen


def _item(pair: tuple[Any, Any], number: int) -> tuple[Any, Any]:
    real, seen = pair
    if number >= len(real):
        return _GONE, _GONE
    return real[number], seen[number] if isinstance(seen, list) else seen


def _value(value: Any) -> SafeString:
    return shown("not there" if value is _GONE else as_line(value), 200)
