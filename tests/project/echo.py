"""A site that says what it was sent: for tests of the server under it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

LARGE = 3_000_000


def application(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """Answer with the method, the path and the body; under /large with much."""
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read() if path != "/unread" else b""
    told = json.dumps([environ["REQUEST_METHOD"], path, body.decode("latin-1")]).encode()
    if path == "/large":
        told = b"x" * LARGE
    start_response("200 OK", [("Content-Length", str(len(told)))])
    return [told]
