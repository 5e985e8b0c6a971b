"""Reads request parameters: JSON objects, and forms that nest as in `metadata[reference]`."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl


def read_params(content_type: str, body: bytes, query: str) -> dict[str, Any]:
    """The parameters of a request. Raises ValueError if its body is neither JSON nor a form."""
    if not body:
        return nest(query)
    if content_type.startswith("application/json"):
        params = json.loads(body)
        if not isinstance(params, dict):
            raise ValueError("the body is JSON but no object")
        return params
    return nest(body.decode())


def nest(encoded: str) -> dict[str, Any]:
    """A form as nested dictionaries: `a[b]=1&a[c]=2` is {"a": {"b": "1", "c": "2"}}."""
    nested: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        *path, last = re.findall(r"[^\[\]]+", name)
        level = nested
        for part in path:
            level = level.setdefault(part, {})
        level[last] = value
    return nested
