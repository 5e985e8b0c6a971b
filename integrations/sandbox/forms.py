"""Reads request parameters: JSON objects, and forms that nest as in `metadata[reference]`."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn
from urllib.parse import parse_qsl


def read_params(content_type: str, body: bytes, query: str) -> dict[str, Any]:
    """The parameters of a request. Raises ValueError if its body is neither JSON nor a form."""
    if not body:
        return nest(query)
    if content_type.startswith("application/json"):
        return _object(body)
    return nest(body.decode())


def nest(encoded: str) -> dict[str, Any]:
    """A form as nested dictionaries: `a[b]=1&a[c]=2` is {"a": {"b": "1", "c": "2"}}."""
    nested: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        *path, last = re.findall(r"[^\[\]]+", name) or [name]
        level = nested
        for part in path:
            level = level.setdefault(part, {})
            if not isinstance(level, dict):
                raise ValueError(f"{part} is given both as a value and as fields")
        level[last] = value
    return nested


def _object(body: bytes) -> dict[str, Any]:
    try:
        params = json.loads(body, parse_constant=_no_number)
        json.dumps(params, ensure_ascii=False).encode()
    except (RecursionError, UnicodeEncodeError):
        raise ValueError("the body is nested too deeply, or has half a character") from None
    if not isinstance(params, dict):
        raise ValueError("the body is JSON but no object")
    return params


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
