"""Our own API to be fuzzed: the site under its own web server, with runs to act on."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import schemathesis
from django.contrib.auth.models import User
from schemathesis.core.failures import Failure
from schemathesis.schemas import BaseSchema

from integrations import inventory, notifications, payments, shipping
from integrations.errors import PartnerRefused
from integrations.inventory.fake import FakeInventory
from integrations.notifications.fake import FakeNotifications
from integrations.payments.fake import FakePayments
from integrations.sagas.order_fulfilment import Order, order_fulfilment
from integrations.shipping.fake import FakeShipping
from project.world import World
from sagas.api import start
from sagas.models import HoldKind, Run
from sagas.operate.catalogue import VERBS
from sagas.operate.token import issue
from sagas.states import RunStatus
from sagas.testing.post import Post
from tests.contract.fuzz import configuration

_RUNS = 40
_STUCK = 20
_START = "POST /api/sagas/{name}/runs"
_MUST_FIT_THE_REST = {
    _START: [400],  # the payload
    "POST /api/batches": [400],  # a reason, unless the verb needs none
    "POST /api/runs/{run_id}/mark": [400],  # the result
    "POST /api/runs/{run_id}/skip": [400],
    "POST /api/runs/{run_id}/retry": [400],  # the payload
}


def our_api(world: World, examples: int, seed: int) -> BaseSchema:
    """The API's description, ready to be fuzzed as a user who may do everything.

    Starts the world's site. Django must be set up for the world's database.
    """
    fuzzer = User.objects.create_superuser(f"fuzzer-{uuid4()}")
    token = issue(fuzzer, timedelta(days=1), by=fuzzer)
    config = configuration(
        examples,
        seed,
        headers={"^/api/": {"Authorization": f"Bearer {token}"}},
        known={
            "path.name": [order_fulfilment.name],
            "path.run_id": [*_stuck(world.var / "post"), *(_run() for _ in range(_RUNS))],
            "body.step": list(order_fulfilment.steps),
            "body.verb": list(VERBS),
            "body.kind": list(HoldKind),
            "body.target": [order_fulfilment.name, *_partners()],
        },
        lenient=_MUST_FIT_THE_REST,
    )
    world.environment["SAGAS"] = json.dumps({"API_WRITES_PER_MINUTE": 10**9})
    schema = schemathesis.openapi.from_url(f"{world.web(0)}/api/openapi.json", config=config)
    schema.hook(map_body)
    schema.hook(filter_failure)
    return schema


def _partners() -> list[str]:
    steps = order_fulfilment.steps.values()
    return sorted({step.partner for step in steps if step.partner is not None})


def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Called by Schemathesis with each body: no payload becomes one that the saga takes."""
    assert context.operation is not None
    if context.operation.label == _START and body == {}:
        return _order().model_dump(mode="json")
    return body


def filter_failure(
    context: schemathesis.HookContext,
    failure: Failure,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
) -> bool:
    """Called by Schemathesis with each failure; gives whether it is one.

    An address that is too long for the web server does not reach the API, and no description can
    say that nowhere in a document there may be a NUL.
    """
    return response.status_code != 414 and "contains a NUL character" not in response.text


def _run() -> str:
    order = _order()
    return str(start(order_fulfilment, order, key=f"order:{order.order_id}").id)


def _stuck(messages: Path) -> list[str]:
    """Runs that need a person: their orders are paid, and no courier goes to the address."""
    carrier = FakeShipping()
    for _ in range(_STUCK):
        carrier.fail_next("book_courier", PartnerRefused)
    with (
        payments.use(FakePayments()),
        inventory.use(FakeInventory()),
        shipping.use(carrier),
        notifications.use(FakeNotifications()),
        Post(messages).open() as post,
    ):
        runs = [_run() for _ in range(_STUCK)]
        while post.deliver():
            pass
    assert not Run.objects.filter(pk__in=runs).exclude(status=RunStatus.NEEDS_ATTENTION).exists()
    return runs


def _order() -> Order:
    return Order(
        order_id=uuid4(),
        email="ann@example.com",
        address="1 Long Street",
        sku="mug",
        quantity=1,
        amount=1450,
        currency="eur",
        payment_method="pm_card_visa",
    )
