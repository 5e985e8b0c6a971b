"""`python -m tests.contract.verify PARTNER --address https://…`: hold a vendor to the pact.

For a test account of the vendor's own: what the requests ask for is really made there. Credentials
are the connector's own variables, INTEGRATIONS_*; never give those of an account in use.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from integrations.errors import PartnerError
from tests.contract.consumer import PACTS
from tests.contract.terms import Partner, Unfit

_NAMES = sorted(path.stem.rpartition("-")[2] for path in PACTS.glob("*.json"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify as the command line says; 0: kept, 1: broken, 2: it could not be asked."""
    asked = _parser().parse_args(arguments)
    address = asked.address.rstrip("/")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    import django

    django.setup()
    from tests.contract.agreements import PARTNERS  # whose clients need Django's models
    from tests.contract.provider import left_out, verify

    partner = PARTNERS[asked.partner]
    try:
        _point(partner, address)
        verdict = verify(partner, address)
    except (ImproperlyConfigured, Unfit, PartnerError) as error:
        print(f"Not verified: it needs {error}", file=sys.stderr)
        return 2
    print(verdict.words)
    if names := left_out(partner):
        print(f"Left out, since only the sandbox can be told to be so: {', '.join(names)}.")
    return 0 if verdict.kept else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.contract.verify", description=__doc__)
    parser.add_argument("partner", choices=_NAMES)
    parser.add_argument("--address", required=True, type=_address, help="https://host[/path]")
    return parser


def _address(text: str) -> str:
    url = urlsplit(text)
    local = url.hostname in ("127.0.0.1", "localhost")
    if not url.hostname or url.query or (url.scheme != "https" and not local):
        raise argparse.ArgumentTypeError(f"{text!r} is no address of the form https://host[/path]")
    return text


def _point(partner: Partner, address: str) -> None:
    """Let our own connector, which makes the states, speak to the same address."""
    if partner.name != "slack":  # whose address is its credential
        os.environ[partner.address_variable] = address


if __name__ == "__main__":
    sys.exit(main())
