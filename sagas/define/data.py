"""Payloads and results as data: strict where they enter, lenient about what is stored.

A misspelt field is refused at the door. But what older or newer code has stored is read whatever
further fields it has, so that removing a field strands no run. Where a model says itself what
becomes of unknown fields (``extra`` in its ``model_config``), that holds at the door.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

Extra = Literal["allow", "ignore", "forbid"]
_MODELS = frozenset({"model", "dataclass", "typed-dict"})


def extra_at_door(schema: Mapping[str, Any]) -> Extra | None:
    """What becomes of unknown fields in data from outside; None: what each model says."""
    lenient = {"allow", "ignore"} & {said for _, said in models(schema)}
    return None if lenient else "forbid"


def extra_stored(schema: Mapping[str, Any]) -> Extra:
    """What becomes of unknown fields in stored data: kept only where a model keeps any."""
    return "allow" if any(said == "allow" for _, said in models(schema)) else "ignore"


def silent_beside_lenient(schema: Mapping[str, Any]) -> str:
    """A model that says nothing about unknown fields, though one beside it lets them pass.

    Its own would pass too, without anybody having said so.
    """
    silent = [name for name, said in models(schema) if said is None]
    return silent[0] if silent and extra_at_door(schema) is None else ""


def models(schema: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """The models within a pydantic schema, each with its ``extra``; None: it says nothing.

    Raises:
        pydantic.errors.PydanticUserError: a model names what is not defined.
    """
    stack: list[Any] = [dict(schema)]
    seen = set()
    while stack:
        part = stack.pop()
        if not isinstance(part, dict | list | tuple) or id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            if part.get("type") in _MODELS:
                name = getattr(part.get("cls"), "__name__", "a TypedDict")
                yield name, (part.get("config") or {}).get("extra_fields_behavior")
            stack.extend(part.values())
        else:
            stack.extend(part)
