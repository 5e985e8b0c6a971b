"""The connector that docs/connectors/README.md shows, built from the page and driven."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import integrations
from integrations import conf
from integrations.errors import PartnerUnknown
from integrations.sagas.order_fulfilment import Order
from integrations.sagas.outcomes import PARTNER_ERRORS
from integrations.sandbox.control import Control
from integrations.sandbox.desk import Desk
from integrations.sandbox.ledger import Ledger, Recorder
from integrations.sandbox.server import Server
from sagas import api
from sagas.api import Refused, Run, Saga, step
from sagas.define import registry
from sagas.testing import given
from tests.integrations.sagas.rig import an_order

PAGE = Path(__file__).resolve().parents[3] / "docs" / "connectors" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
MODULES = {  # in the order in which they import each other, by how their code begins
    "loyalty.schemas": '"""What the loyalty partner does',
    "loyalty.client": '"""The loyalty partner\'s client',
    "loyalty.fake": '"""A loyalty partner in memory',
    "loyalty": '"""Loyalty: grant',
    "sandbox.loyalty": '"""A stand-in for the loyalty',
}


def printed(beginning: str) -> str:
    (block,) = (block for block in BLOCKS if block.startswith(beginning))
    return str(block)


def run(code: str, names: dict[str, Any]) -> None:
    exec(compile(code, str(PAGE), "exec", dont_inherit=True), names)  # noqa: S102  # it is ours


@pytest.fixture
def loyalty(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package as the page has it."""
    own: dict[str, Any] = {**vars(conf)}
    run(printed("class LoyaltySettings"), own)
    monkeypatch.setattr(conf, "LoyaltySettings", own["LoyaltySettings"], raising=False)
    package = ModuleType("integrations.loyalty")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setattr(integrations, "loyalty", package, raising=False)
    for name, beginning in MODULES.items():
        full = f"integrations.{name}"
        module = package if name == "loyalty" else ModuleType(full)
        monkeypatch.setitem(sys.modules, full, module)
        run(printed(beginning), vars(module))
    return package


@pytest.fixture
def clients(
    loyalty: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """The fake, and the real client against the stand-in."""
    path = tmp_path / "ledger.sqlite3"
    recorder = Recorder(path)
    stand_in = sys.modules["integrations.sandbox.loyalty"].Loyalty(recorder.numbers())
    desk = Desk(recorder, [stand_in])
    with Server(("127.0.0.1", 0), desk, Control(desk, Ledger(path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("INTEGRATIONS_PRIVATE_HOSTS", "127.0.0.1")
        monkeypatch.setenv(
            "INTEGRATIONS_LOYALTY_URL", f"http://127.0.0.1:{server.server_port}/loyalty"
        )
        fake = sys.modules["integrations.loyalty.fake"].FakeLoyalty()
        yield {"fake": fake, "client": loyalty.connector()}
        server.shutdown()


@pytest.mark.parametrize("kind", ["fake", "client"])
def test_the_recipes_connector_grants_once_finds_and_takes_back(
    clients: dict[str, Any], kind: str, reference: str
) -> None:
    client = clients[kind]
    granted = client.grant("ann", 100, reference, key="k", timeout=5)
    assert client.grant("ann", 100, reference, key="k", timeout=5) == granted
    assert client.find(reference, timeout=5) == granted
    with pytest.raises(PartnerUnknown):
        client.grant("ann", 200, reference, key="k", timeout=5)
    client.revoke(granted.id, key="back", timeout=5)
    assert client.find(reference, timeout=5) is None


def test_the_recipes_saga_takes_back_what_it_granted(loyalty: Any) -> None:
    names: dict[str, Any] = {**vars(api), "Order": Order, "loyalty": loyalty}
    code, _, _ = printed('@step(partner="loyalty"').partition("\n\nSaga(")
    with registry.isolated():
        run(code, names)

        @step(harmless=True)
        def refuse(run: Run[Order]) -> None:
            """Scripted below."""

        saga = Saga(
            "loyal", payload=Order, errors=PARTNER_ERRORS, steps=[names["grant_points"], refuse]
        )
        answer = loyalty.Points(id="pts_1", reference="order")
        (
            given(saga, an_order())
            .when("grant_points", answer)
            .when("refuse", Refused("no"))
            .expect("compensated", undone=["grant_points"])
        )
