"""Runs localstripe on a free loopback port, which it prints; its own command listens everywhere.

Parameters of POST /v1/payment_intents named as arguments are ignored instead of refused.
"""

import os
import socket
import sys
import threading
from typing import Any

from aiohttp import web
from localstripe import server
from localstripe.resources import PaymentIntent


def main() -> None:
    _ignore(sys.argv[1:])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    web.run_app(server.app, sock=listening, print=None, access_log=None)


def _ignore(names: list[str]) -> None:
    create = PaymentIntent._api_create.__func__

    def lenient(cls: Any, /, **data: Any) -> Any:
        return create(cls, **{k: v for k, v in data.items() if k not in names})

    PaymentIntent._api_create = classmethod(lenient)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
