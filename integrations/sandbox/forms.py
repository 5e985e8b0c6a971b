"""Reads request parameters: JSON objects, and forms that nest as in `metadata[reference]`."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn
from urllib.parse import parse_qsl


def read_params(media: str, body: bytes) -> dict[str, Any]:
    """The parameters in a body. Raises ValueError if it is neither JSON nor a form."""
    return _object(body) if media == "application/json" else nest(body.decode())


def nest(encoded: str) -> dict[str, Any]:
    """A form as nested dictionaries: `a[b]=1&a[c]=2` is {"a": {"b": "1", "c": "2"}}.

    What is given several times is a list; `a[]=1` is the next of the numbered fields of `a`.
    """
    nested: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        *path, last = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name) or [name]
        level = nested
        for part in path:
            level = level.setdefault(part or str(len(level)), {})
            if not isinstance(level, dict):
                raise _both(part)
        _put(level, last or str(len(level)), value)
    return nested


def _put(level: dict[str, Any], name: str, value: str) -> None:
    before = level.get(name)
    if isinstance(before, dict):
        raise _both(name)
    if before is None:
        level[name] = value
    else:
        level[name] = [*before, value] if isinstance(before, list) else [before, value]


def _both(name: str) -> ValueError:
    return ValueError(f"{name} is given both as a value and as fields")


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
