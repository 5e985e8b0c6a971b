"""The partner: a process that takes calls over HTTP, has their effects, and fails as seeded."""

from __future__ import annotations

import argparse
import json
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from project.chaos.fate import Fate
from project.chaos.ledger import Call, Ledger

LATE_AFTER = 3.0  #: seconds after which a late effect takes place: its caller gave up at two
_FOREVER = 2.5  # how long a caller is left without an answer


class Handler(BaseHTTPRequestHandler):
    """One connection. ``POST /act`` has an effect, ``GET /happened?key=`` tells of one.

    Its ``idle`` is for how many seconds no call with that key has come; null: none ever has.
    """

    protocol_version = "HTTP/1.1"
    fate: ClassVar[Fate]
    ledger: ClassVar[Ledger]

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        key = parse_qs(where.query).get("key", [""])[0]
        told = {"happened": self.ledger.happened(key), "idle": self.ledger.idle(key)}
        self._answer(200, told)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = Call(**asked["call"])
        nth = self.ledger.arrive(call)
        once = bool(asked["once"]) or call.direction == "backward"
        if asked["refuse"]:
            self._answer(409, {"error": "refused"})
            return
        time.sleep(self.fate.seconds(asked["name"], nth))
        fault = self.fate.fault(asked["name"], nth) or ""
        if fault:
            self.ledger.note(call, fault)
        self._meet(fault, call, once)

    def _meet(self, fault: str, call: Call, once: bool) -> None:
        if fault == "busy":
            self._answer(503, {"error": "busy"}, {"Retry-After": "1"})
            return
        if fault == "not done and lost":
            self._hang_up()
            return
        if fault == "late":
            threading.Timer(LATE_AFTER, self.ledger.happen, [call], {"once": once}).start()
            time.sleep(_FOREVER)
            self._hang_up()
            return
        if fault == "slow":
            time.sleep(1.2)
        self.ledger.happen(call, once=once)
        if fault == "done and lost":
            self._hang_up()
        elif fault == "garbage":
            self._send(200, b"\x00<html>{", {})
        else:
            self._answer(200, {"done": True})

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _answer(self, status: int, body: Any, more: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(body).encode(), more or {})

    def _send(self, status: int, body: bytes, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing: the ledger tells it all."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is what chaos is about."""


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    asked = parser.parse_args()
    Handler.fate, Handler.ledger = Fate(asked.seed), Ledger(asked.ledger)
    server = _Server(("127.0.0.1", asked.port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
