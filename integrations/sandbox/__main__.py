"""Runs the stand-in partners until it is stopped or its parent dies."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from integrations.sandbox.accounts import Accounts
from integrations.sandbox.analytics import Analytics
from integrations.sandbox.certificate import certificate, context
from integrations.sandbox.control import Control
from integrations.sandbox.desk import Desk
from integrations.sandbox.google import TokenDesk, credentials
from integrations.sandbox.hubspot import HubSpot
from integrations.sandbox.inventory import Inventory
from integrations.sandbox.ledger import Ledger, Recorder
from integrations.sandbox.messages import Messages, serve_smtp
from integrations.sandbox.payments import Payments
from integrations.sandbox.salesforce import Salesforce
from integrations.sandbox.server import Server
from integrations.sandbox.shipping import Shipping
from integrations.sandbox.slack import Slack

PARTNERS = (Payments, Inventory, Shipping, Messages, HubSpot, Salesforce, Analytics, Slack)


def main(arguments: Sequence[str] | None = None) -> None:
    """Listen, print one line of JSON with the addresses, and serve."""
    options = _options(arguments)
    recorder = Recorder(options.ledger)
    numbers = recorder.numbers()
    accounts = Accounts(numbers, TokenDesk(credentials(options.ledger)))
    desk = Desk(recorder, [*(kind(numbers) for kind in PARTNERS), accounts])
    server = Server((options.host, options.port), desk, Control(desk, Ledger(options.ledger)))
    tls = context(certificate(options.ledger), options.host)
    smtp = serve_smtp(desk, options.host, options.smtp_port, tls)
    if options.parent:
        threading.Thread(target=_die_with, args=(options.parent,), daemon=True).start()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    print(json.dumps({"http": server.server_address[:2], "smtp": smtp}), flush=True)
    server.serve_forever()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integrations.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="HTTP; 0 takes a free one")
    parser.add_argument("--smtp-port", type=int, default=0, help="SMTP; 0 takes a free one")
    parser.add_argument("--ledger", type=Path, required=True, help="the SQLite file to record in")
    parser.add_argument("--parent", type=int, help="exit when this is no longer the parent's id")
    return parser.parse_args(arguments)


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def _stop(*_: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
