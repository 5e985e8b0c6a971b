"""The provider's side: a partner is asked what the pact says, and held to the answers there."""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from pact import Verifier

from integrations.sandbox.process import RunningSandbox
from tests.contract.consumer import pact_path
from tests.contract.terms import Partner, State

logging.getLogger("pact.ffi").setLevel(logging.WARNING)  # below it tells requests, and so secrets


@dataclass(frozen=True)
class Verdict:
    """Whether the partner keeps to the pact, and Pact's own words on it."""

    kept: bool
    words: str


def verify(partner: Partner, address: str, sandbox: RunningSandbox | None = None) -> Verdict:
    """Hold the partner at `address` against its pact, as it is kept.

    The environment must name the same partner: states are made with our own connector.

    Args:
        sandbox: brought into the states that only it can be in; without one, what needs these is
            left out.
    """
    partner.credentials()  # before anything is asked
    states = _states(partner, sandbox)
    host = str(urlsplit(address).hostname)
    with tempfile.TemporaryDirectory() as folder, _state_server(partner, states) as handler:
        source = Path(folder) / "pact.json"
        source.write_text(json.dumps(_possible(partner, states)))
        verifier = Verifier(partner.name, host).add_transport(url=address).add_source(source)
        verifier.state_handler(handler, body=True).set_coloured_output(enabled=False)
        try:
            verifier.verify()
        except RuntimeError:
            return Verdict(False, str(verifier.output(strip_ansi=True)))
    return Verdict(True, str(verifier.output(strip_ansi=True)))


def left_out(partner: Partner) -> list[str]:
    """What can be verified with the sandbox alone."""
    stand_in = partner.stand_in_states
    return [a.description for a in partner.agreements if a.given in stand_in]


def _possible(partner: Partner, states: Mapping[str, State]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(pact_path(partner).read_text())
    document["interactions"] = [
        one
        for one in document["interactions"]
        if all(state["name"] in states for state in one["providerStates"])
    ]
    return document


def _fresh() -> Mapping[str, str]:
    """What nothing at the partner is about yet."""
    unique = uuid4().hex
    return {
        "key": unique,
        "reference": f"order:{unique}",
        "email": f"{unique}@example.com",
        "now": str(int(time.time() * 1000)),
    }


def _states(partner: Partner, sandbox: RunningSandbox | None) -> Mapping[str, State]:
    """What brings the partner into each state; a sandbox forgets everything before."""
    if sandbox is None:
        return partner.states
    states: dict[str, Callable[[], Mapping[str, str] | None]] = {**partner.states}
    states |= {name: partial(make, sandbox) for name, make in partner.stand_in_states.items()}

    def begun_anew(make: Callable[[], Mapping[str, str] | None]) -> Mapping[str, str]:
        sandbox.reset()
        return make() or {}

    return {name: partial(begun_anew, make) for name, make in states.items()}


@contextmanager
def _state_server(partner: Partner, states: Mapping[str, State]) -> Iterator[str]:
    """Where Pact asks for a state; gives the address. It answers with what requests leave open."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made = states[asked["state"]]() if asked.get("action") == "setup" else {}
            answer = json.dumps({**_fresh(), **partner.credentials(), **made}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Nothing: answers hold credentials."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
