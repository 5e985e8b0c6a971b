"""Gunicorn's log of requests, without what callers put into addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gunicorn.glogging import Logger


class AccessLogger(Logger):  # type: ignore[misc]  # it has no types
    """Cuts each address before its query: a search names customers, and a link may hold a secret.

    It stays as it was sent, percent-encoded: what is decoded could begin a line of its own.
    """

    def atoms(
        self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: Any
    ) -> dict[str, Any]:
        """What a line is made of."""
        cut = {name: _cut(environ[name]) for name in _ADDRESSES if name in environ}
        atoms: dict[str, Any] = super().atoms(
            resp, req, {**environ, **cut, "QUERY_STRING": ""}, request_time
        )
        return atoms


_ADDRESSES = ("RAW_URI", "HTTP_REFERER")


def _cut(address: str) -> str:
    path, mark, _ = address.partition("?")
    return f"{path}?..." if mark else path
