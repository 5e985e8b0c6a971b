"""JSON documents that PostgreSQL is sure to accept: payloads at the door, results from partners."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from sagas.define.redact import place_of

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 100  # pydantic reads no JSON beyond 200
_SAFE_BITS = 14_000  # Python writes no integer of more than 4300 digits
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class NotADocument(ValueError):
    """The value cannot be stored as JSON; the message says why and, where it is one place, where.

    Attributes:
        field: the place within the value, as in ``items.0.name``; empty: the whole. For whoever
            gave the value: the message, which others read too, leaves out keys that may be
            somebody's.
    """

    def __init__(self, reason: str, field: str = "") -> None:
        self.field = field
        super().__init__(f"{reason}, at {public(field)!r}" if field else reason)


def public(field: str) -> str:
    """A place within a value without keys that may be somebody's."""
    return place_of(field.split("."))


class TooLarge(NotADocument):
    """The value is larger than what is stored of one payload or result."""


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
        raise NotADocument(*_culprit(value, str(error))) from None
    if _LONE_SURROGATE.search(text) or "\\u0000" in text:
        _demand_text(value)
    if _LONE_SURROGATE.search(text):
        raise NotADocument("it contains a lone surrogate")
    if len(text) > limit or len(text.encode()) > limit:
        raise TooLarge(f"it is larger than {limit} bytes")
    if _depth(value) > _MAX_DEPTH:
        raise NotADocument(f"it is nested deeper than {_MAX_DEPTH}")
    return text


def without_loss(dump: Callable[[Literal["json", "python"]], Any]) -> Any:
    """What a pydantic dump gives in JSON mode.

    Where a type says nothing of a number, such as ``Any`` or ``list``, it makes null of NaN.

    Raises:
        NotADocument: a number would be lost.
    """
    plain = dump("json")
    if any(leaf is None for _, leaf in leaves(plain)):
        for field, leaf in leaves(dump("python")):
            if isinstance(leaf, float) and not math.isfinite(leaf):
                raise NotADocument(_not_finite(leaf), field)
    return plain


def reference(value: Any, reason: str) -> str:
    """A JSON text that stands for plain data that cannot be stored: its size and its hash.

    Enough to tell whether what a partner holds is what it answered. Never raises.
    """
    fingerprint = sha256()
    size = 0
    for piece in _pieces(value):
        size += len(piece)
        fingerprint.update(piece)
    stands_for = {
        "truncated": True,
        "reason": clean(reason, 200),
        "bytes": size,
        "sha256": fingerprint.hexdigest(),
    }
    return json.dumps(stands_for, ensure_ascii=False, separators=(",", ":"))


def unstorable(value: Any) -> tuple[str, Any] | None:
    """The place and the value of what pydantic makes no JSON of, if it is one."""
    for field, leaf in leaves(value):
        try:
            to_jsonable_python(leaf)
        except Exception:
            return field, leaf
    return None


def clean(text: str, limit: int = 2000) -> str:
    """A reason or error that PostgreSQL accepts: cut, without NUL and lone surrogates."""
    return _LONE_SURROGATE.sub("�", text[:limit].replace("\x00", "�"))


def addressable(name: str, correlation: str) -> bool:
    """Whether a signal of that name and correlation can be stored, so sent and waited for."""
    fits = 0 < len(name) <= 80 and 0 < len(correlation) <= 200
    return fits and clean(name + correlation) == name + correlation


def _demand_text(value: Any) -> None:
    for field, item in leaves(value):
        if isinstance(item, str) and "\x00" in item:
            raise NotADocument("it contains a NUL character", field)
        if isinstance(item, str) and _LONE_SURROGATE.search(item):
            raise NotADocument("it contains a lone surrogate", field)


def _culprit(value: Any, reason: str) -> tuple[str, str]:
    """The reason with the place of what JSON cannot write."""
    if "Circular" in reason:
        return reason, ""
    for field, item in leaves(value):
        if isinstance(item, float) and not math.isfinite(item):
            return _not_finite(item), field
        if item is None or isinstance(item, str | bool | float):
            continue
        if isinstance(item, int) and item.bit_length() < _SAFE_BITS:
            continue
        return reason, field
    return reason, ""


def _not_finite(number: float) -> str:
    return f"{number} is no number in JSON (not JSON compliant)"


def leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Keys and values that hold no others, each with its place."""
    stack, seen = [("", value)], set()
    while stack:
        field, item = stack.pop()
        if isinstance(item, dict | list | tuple):
            if id(item) in seen:  # it may contain itself
                continue
            seen.add(id(item))
        if isinstance(item, dict):
            stack.extend((_place(field, key), child) for key, child in item.items())
            yield from ((_place(field, key), key) for key in item)
        elif isinstance(item, list | tuple):
            stack.extend((_place(field, number), child) for number, child in enumerate(item))
        else:
            yield field, item


def _place(field: str, key: Any) -> str:
    if isinstance(key, str):
        name = clean(key, 40)
    else:
        name = str(key) if isinstance(key, int) and key.bit_length() < 64 else type(key).__name__
    return f"{field}.{name}"[-200:].lstrip(".") if field else name


def _pieces(value: Any) -> Iterator[bytes]:
    """A JSON text in bytes, piece by piece; where that cannot be written, what Python says."""
    try:
        for piece in _ENCODER.iterencode(value):
            yield piece.encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError) as error:
        yield type(error).__name__.encode()


def _depth(value: Any) -> int:
    deepest, stack = 0, [(value, 1)]
    while stack:
        item, depth = stack.pop()
        deepest = max(deepest, depth)
        if depth <= _MAX_DEPTH and isinstance(item, dict | list | tuple):
            children = item.values() if isinstance(item, dict) else item
            stack.extend((child, depth + 1) for child in children)
    return deepest
