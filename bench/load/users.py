"""The users, for `locust --locustfile`: it patches all of Python, so in a process of its own.

Each request is written to the file that LOAD_RECORDS names, as a line of JSON.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any
from uuid import uuid4

from locust import FastHttpUser, between, events, task

_PAYLOAD = {
    "email": "ann@example.com",
    "address": "1 Long Street",
    "sku": "mug",
    "quantity": 1,
    "amount": 1450,
    "currency": "eur",
    "payment_method": "pm_card_visa",
}
_HIDDEN = re.compile(r'name="(csrfmiddlewaretoken|submission)" value="([^"]+)"')
_LOOKS = 5
"""How often somebody looks how an order gets on."""
_RECORDS = open(os.environ["LOAD_RECORDS"], "a", buffering=1)  # noqa: SIM115  # for as long as we run


class ApiUser(FastHttpUser):
    """A service that starts runs, reads them, and lists what there is."""

    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        self._headers = {"Authorization": f"Bearer {os.environ['LOAD_TOKEN']}"}

    @task(3)
    def start_and_read(self) -> None:
        order = str(uuid4())
        started = self.client.post(
            "/api/sagas/order-fulfilment/runs",
            json={**_PAYLOAD, "order_id": order},
            headers={**self._headers, "Idempotency-Key": f"order:{order}"},
            name="API: start a run",
        )
        if started.status_code == 202:
            url = started.json()["url"]
            self.client.get(url, headers=self._headers, name="API: read a run")

    @task(1)
    def list_sagas(self) -> None:
        self.client.get("/api/sagas", headers=self._headers, name="API: list the sagas")


class Customer(FastHttpUser):
    """Somebody who orders something and watches how it gets on."""

    wait_time = between(0.2, 0.5)

    def _wait(self) -> None:
        self.wait()  # type: ignore[no-untyped-call]

    @task
    def order(self) -> None:
        form = self.client.get("/", name="shop: the form")
        hidden = dict(_HIDDEN.findall(form.text or ""))
        entries = {**hidden, **{name: _PAYLOAD[name] for name in _ENTRIES}}
        with self.client.post(
            "/", data=entries, name="shop: order", allow_redirects=False, catch_response=True
        ) as placed:
            if placed.status_code != 302:
                placed.failure(f"answered {placed.status_code}, and not with a redirect")
                return
            placed.success()
            page = placed.headers["Location"]
        self.client.get(page, name="shop: the order's page")
        tag = ""
        for _ in range(_LOOKS):
            self._wait()
            known = {"If-None-Match": tag} if tag else {}
            seen = self.client.get(f"{page}progress", headers=known, name="shop: progress")
            tag = str(seen.headers.get("ETag", tag)) if seen.headers else tag


_ENTRIES = ("sku", "quantity", "email", "address", "payment_method")


@events.request.add_listener  # type: ignore[untyped-decorator]
def _record(name: str, response_time: float, exception: Exception | None, **_: Any) -> None:
    seconds = response_time / 1000
    line = {"kind": name, "ended": time.time(), "seconds": seconds, "failed": exception is not None}
    _RECORDS.write(f"{json.dumps(line)}\n")
