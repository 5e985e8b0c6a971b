"""The sandbox's own endpoints: set faults and stock, read the ledger, begin anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from integrations.sandbox import webhooks
from integrations.sandbox.capacity import Capacity
from integrations.sandbox.desk import Desk
from integrations.sandbox.faults import Rule
from integrations.sandbox.hubspot import HubSpot
from integrations.sandbox.inventory import Inventory
from integrations.sandbox.ledger import Ledger
from integrations.sandbox.salesforce import Salesforce
from integrations.sandbox.service import Answer

Params = Mapping[str, Any]


class Control:
    """Answers requests below /control."""

    def __init__(self, desk: Desk, ledger: Ledger) -> None:
        self._desk = desk
        self._ledger = ledger
        self._operations: dict[tuple[str, str], Callable[[Params], object]] = {
            ("POST", "/control/faults"): self._add_fault,
            ("DELETE", "/control/faults"): self._clear_faults,
            ("POST", "/control/stock"): self._set_stock,
            ("POST", "/control/keys"): self._set_key_lifetime,
            ("POST", "/control/capacity"): self._set_capacity,
            ("POST", "/control/clock"): self._advance,
            ("POST", "/control/tokens"): self._set_tokens,
            ("POST", "/control/webhooks"): webhooks.deliver,
            ("POST", "/control/reset"): self._reset,
            ("GET", "/control/ledger"): self._read_ledger,
        }

    def answer(self, method: str, path: str, params: Params) -> Answer:
        """Do what is asked; 404 for no such endpoint, 400 for parameters it cannot use."""
        operation = self._operations.get((method, path))
        if operation is None:
            known = sorted(f"{method} {path}" for method, path in self._operations)
            return Answer(404, {"error": {"message": f"There is only: {', '.join(known)}."}})
        try:
            return Answer(200, {"result": operation(params)})
        except (KeyError, TypeError, ValueError) as error:
            return Answer(400, {"error": {"message": f"{type(error).__name__}: {error}"}})

    def _add_fault(self, params: Params) -> None:
        self._desk.faults.add(Rule.parse(params))

    def _clear_faults(self, params: Params) -> None:
        self._desk.clear_faults()

    def _set_stock(self, params: Params) -> None:
        inventory = self._desk.services["inventory"]
        assert isinstance(inventory, Inventory)
        for sku, quantity in params.items():
            inventory.stock(sku, int(quantity))

    def _set_key_lifetime(self, params: Params) -> None:
        self._desk.remember_keys_for(float(params["lifetime"]))

    def _set_capacity(self, params: Params) -> None:
        capacity = Capacity(int(params["slots"]), float(params["seconds"]))
        self._desk.floor.limit(str(params["service"]), capacity)

    def _advance(self, params: Params) -> None:
        self._desk.advance(float(params["seconds"]))

    def _set_tokens(self, params: Params) -> dict[str, str]:
        """Say how a service's tokens behave; `expire` ends all; gives a refresh token."""
        service = self._desk.services[params["service"]]
        assert isinstance(service, HubSpot | Salesforce)
        grants = service.grants
        grants.lifetime = float(params.get("lifetime", grants.lifetime))
        grants.rotates = bool(params.get("rotates", grants.rotates))
        if params.get("expire"):
            grants.expire()
        return {"refresh_token": grants.authorize()}

    def _reset(self, params: Params) -> None:
        self._desk.reset()

    def _read_ledger(self, params: Params) -> dict[str, object]:
        return {
            "arrivals": [asdict(arrival) for arrival in self._ledger.arrivals()],
            "effects": [asdict(effect) for effect in self._ledger.effects()],
            "problems": [str(problem) for problem in self._ledger.audit()],
        }
