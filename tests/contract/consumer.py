"""The consumer's side: our clients driven against what they say they rely on, and kept as pacts.

`python -m tests.contract.consumer` writes the pacts anew.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from pact import Pact

from integrations.http import pool
from tests.contract.terms import Agreement, Partner

CONSUMER = "integration-sagas"
PACTS = Path(__file__).parent / "pacts"


def main() -> None:
    """Write every pact anew, and say which have changed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    # Whatever breakers are open elsewhere, these calls are made.
    os.environ["REDIS_PREFIX"] = f"pacts:{uuid4().hex}:"
    import django

    django.setup()
    from tests.contract.agreements import PARTNERS  # whose clients need Django's models

    for partner in PARTNERS.values():
        path, written = pact_path(partner), pact_text(partner)
        if not path.exists() or path.read_text() != written:
            path.write_text(written)
            print(f"{path.name}: changed")


def pact_path(partner: Partner) -> Path:
    """Where a partner's pact is kept."""
    return PACTS / f"{CONSUMER}-{partner.name}.json"


def pact_text(partner: Partner) -> str:
    """A partner's pact as it is now: our clients are driven for it."""
    found = (interaction(partner, agreement) for agreement in partner.agreements)
    document = {
        "consumer": {"name": CONSUMER},
        "provider": {"name": partner.name},
        "interactions": sorted(found, key=lambda one: str(one["description"])),
        "metadata": {"pactSpecification": {"version": "4.0"}},
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def interaction(partner: Partner, agreement: Agreement) -> dict[str, Any]:
    """One agreement as a pact keeps it. Raises what goes wrong when our client is driven by it."""
    pact = Pact(CONSUMER, partner.name).with_specification("V4")
    for each in (agreement, *agreement.also):
        _tell(pact, each)
    with pact.serve("127.0.0.1") as server, patch.dict(os.environ, ENVIRONMENT):
        try:
            agreement.use(str(server.url).rstrip("/"))
        finally:
            # The next server may get the same port, and this one's connections are dead then.
            pool.client().close()
            pool.client.cache_clear()
    with tempfile.TemporaryDirectory() as folder:
        pact.write_file(folder)
        (path,) = Path(folder).iterdir()
        written: list[dict[str, Any]] = json.loads(path.read_text())["interactions"]
    found = next(one for one in written if one["description"] == agreement.description)
    return _of_any_type(found) if isinstance(agreement.answer, str) else found


def _of_any_type(written: dict[str, Any]) -> dict[str, Any]:
    """The same, whatever the type of its text is called: our clients do not look."""
    del written["response"]["headers"]["Content-Type"]
    written["response"]["body"]["contentType"] = "*/*"
    return written


_PLAIN = {
    "retry": {"tries": 1},
    "breaker": {"minimum": 1_000_000},
    "rate": {"pause": 1e-6, "longest": 1e-6},
}
ENVIRONMENT = {
    "INTEGRATIONS_PRIVATE_HOSTS": "127.0.0.1",
    "INTEGRATIONS_RESILIENCE": json.dumps({"*": _PLAIN}),
}
"""In which a call is one request: nothing is repeated, put off, or not asked at all."""


def _tell(pact: Pact, agreement: Agreement) -> None:
    told: Any = pact.upon_receiving(agreement.description).given(agreement.given)
    told.with_request(agreement.method, agreement.path)
    for name, value in agreement.headers.items():
        told.with_header(name, value)
    for name, value in agreement.query.items():
        told.with_query_parameter(name, value)
    if agreement.body is not None:
        told.with_body(agreement.body, agreement.media)
    told.will_respond_with(agreement.status)
    for name, value in agreement.answer_headers.items():
        told.with_header(name, value)
    if isinstance(agreement.answer, str):
        told.with_body(agreement.answer, "text/plain")
    elif agreement.answer is not None:
        told.with_body(agreement.answer, "application/json")


if __name__ == "__main__":
    main()
