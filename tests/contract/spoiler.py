"""A proxy before the sandbox that spoils its answers: a provider that broke its contract."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

Spoil = Callable[[int, Any], tuple[int, Any]]
"""Takes the status and the body, JSON or text, of an answer, and gives what is answered instead."""


@contextmanager
def spoiled(address: str, spoil: Spoil) -> Iterator[str]:
    """The address of something that answers as `address` does, but for what `spoil` changes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {n: v for n, v in self.headers.items() if n.lower() != "host"}
            url = f"{address}{self.path}"
            answer = httpx2.request(self.command, url, headers=headers, content=body, timeout=10)
            is_json = answer.headers["Content-Type"] == "application/json"
            status, told = spoil(answer.status_code, answer.json() if is_json else answer.text)
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if is_json else "text/html")
            self.end_headers()
            self.wfile.write((json.dumps(told) if is_json else told).encode())

        do_POST = do_DELETE = do_GET  # noqa: N815  # http.server calls them so

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
