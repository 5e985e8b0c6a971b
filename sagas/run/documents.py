"""JSON documents that PostgreSQL is sure to accept: payloads at the door, results from partners."""

from __future__ import annotations

import json
import re
from typing import Any

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 100  # pydantic reads no JSON beyond 200


class NotADocument(ValueError):
    """The value cannot be stored as JSON; the message says why."""


def encode(value: Any, limit: int) -> str:
    """A JSON text of plain data.

    Args:
        value: what ``json`` can write.
        limit: largest size in bytes.

    Raises:
        NotADocument: NaN or infinity, NUL or a lone surrogate, too deep, or too large.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise NotADocument("it is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise NotADocument(str(error)) from None
    if "\\u0000" in text and any("\x00" in found for found in _strings(value)):
        raise NotADocument("it contains a NUL character")
    if _LONE_SURROGATE.search(text):
        raise NotADocument("it contains a lone surrogate")
    if len(text) > limit or len(text.encode()) > limit:
        raise NotADocument(f"it is larger than {limit} bytes")
    if _depth(value) > _MAX_DEPTH:
        raise NotADocument(f"it is nested deeper than {_MAX_DEPTH}")
    return text


def clean(text: str, limit: int = 2000) -> str:
    """A reason or error that PostgreSQL accepts: cut, without NUL and lone surrogates."""
    return _LONE_SURROGATE.sub("�", text.replace("\x00", "�"))[:limit]


def addressable(name: str, correlation: str) -> bool:
    """Whether a signal of that name and correlation can be stored, so sent and waited for."""
    fits = 0 < len(name) <= 80 and 0 < len(correlation) <= 200
    return fits and clean(name + correlation) == name + correlation


def _strings(value: Any) -> list[str]:
    found, stack = [], [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)
    return found


def _depth(value: Any) -> int:
    deepest, stack = 0, [(value, 1)]
    while stack:
        item, depth = stack.pop()
        deepest = max(deepest, depth)
        if depth <= _MAX_DEPTH and isinstance(item, dict | list | tuple):
            children = item.values() if isinstance(item, dict) else item
            stack.extend((child, depth + 1) for child in children)
    return deepest
