"""Requests to the site, which may not be answered."""

from __future__ import annotations

import json
from typing import Any

import httpx2 as httpx


def tried(
    method: str, address: str, headers: dict[str, str], body: dict[str, Any] | None
) -> httpx.Response | None:
    """One request; None if it was not answered."""
    content = None if body is None else json.dumps(body)
    headers = headers | ({"Content-Type": "application/json"} if body is not None else {})
    try:
        return httpx.request(
            method, address, headers=headers, content=content, timeout=20, trust_env=False
        )
    except httpx.HTTPError:
        return None
