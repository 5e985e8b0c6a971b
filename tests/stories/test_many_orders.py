"""Many orders through the API, each request doubled, with partners that fail one call in five.

``ORDERS=500 pytest tests/stories/test_many_orders.py -s`` is the long form.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Permission, User

from integrations.sandbox.faults import struck
from integrations.sandbox.process import RunningSandbox
from project.world import World
from sagas.models import Run
from sagas.states import TERMINAL_RUNS, RunStatus
from tests.stories.conftest import QUICK
from tests.stories.waiting import history, until

pytestmark = pytest.mark.django_db(transaction=True)

ORDERS = int(os.environ.get("ORDERS", "40"))
#: Each strikes that share of the keys on their first arrival; together about one call in five.
PASSING = {
    "drop-after": 0.05,
    "drop-before": 0.04,
    "error-500": 0.03,
    "unavailable-503": 0.03,
    "rate-limit-429;retry-after=0": 0.02,
    "garbage": 0.03,
}
REFUSED = {("inventory", "reserve"): 0.04, ("payments", "capture"): 0.04}
#: What a partner still holds for an order that ended so.
LEFT = {
    RunStatus.SUCCEEDED: [
        "authorized",
        "captured",
        "courier_booked",
        "label_printed",
        "reserved",
        "sent",
    ],
    RunStatus.COMPENSATED: [],
}


@pytest.fixture
def shop(process_environment: dict[str, str], tmp_path: Path) -> Iterator[World]:
    settings = {**QUICK, "RESEND_SECONDS": 5, "API_WRITES_PER_MINUTE": 100_000}
    with World(tmp_path, {**process_environment, "SAGAS": json.dumps(settings)}) as world:
        yield world


def test_every_effect_happens_once_and_every_undone_one_is_undone(shop: World) -> None:
    sandbox = shop.partners()
    sandbox.set_stock("mug", 10 * ORDERS)
    _spoil(sandbox)
    address = shop.web(0)
    shop.workers({"one": ["sagas"], "two": ["sagas"]}, processes=2)
    token = _token(shop)

    orders = [str(uuid4()) for _ in range(ORDERS)]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda o: _order(address, token, o), [*orders, *orders]))

    by_order = {key: {a["id"] for k, a in answers if k == key} for key in orders}
    assert all(len(ids) == 1 for ids in by_order.values()), "a doubled request made two runs"
    until(lambda: not _unfinished(), 300, lambda: history(UUID(str(_unfinished()[0]))))
    _compare(sandbox, {key: UUID(ids.pop()) for key, ids in by_order.items()})


def _spoil(sandbox: RunningSandbox) -> None:
    for (service, operation), share in REFUSED.items():
        sandbox.add_fault(
            "refuse",
            service=service,
            operation=operation,
            probability=share,
            seed=operation,
            by="reference",
        )
    for fault, share in PASSING.items():
        sandbox.add_fault(fault, probability=share, seed=fault, times=1)


def _token(shop: World) -> str:
    user = User.objects.create_user("shop", password=uuid4().hex)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="sagas"))
    return shop.manage("sagas", "token", "shop").split()[-1]


def _order(address: str, token: str, order: str) -> tuple[str, dict[str, str]]:
    document = {
        "order_id": order,
        "email": "ann@example.com",
        "address": "1 Long Street",
        "sku": "mug",
        "quantity": 1,
        "amount": 1450,
        "currency": "eur",
        "payment_method": "pm_card_visa",
    }
    request = Request(
        f"{address}/api/sagas/order-fulfilment/runs",
        json.dumps(document).encode(),
        {
            "Content-Type": "application/json",
            "Idempotency-Key": order,
            "Authorization": f"Bearer {token}",
        },
    )
    try:
        with urlopen(request, timeout=30) as answer:
            return order, json.load(answer)
    except HTTPError as error:
        pytest.fail(f"{error.code}: {error.read().decode()}")


def _unfinished() -> list[UUID]:
    rest = {*TERMINAL_RUNS, RunStatus.NEEDS_ATTENTION}
    return list(Run.objects.exclude(status__in=rest).values_list("id", flat=True))


def _compare(sandbox: RunningSandbox, runs: dict[str, UUID]) -> None:
    """The record against the ledger, order by order."""
    ends: Counter[str] = Counter()
    assert sandbox.ledger.audit() == []
    for order, run_id in runs.items():
        run = Run.objects.get(id=run_id)
        ends[run.status] += 1
        expected = RunStatus.COMPENSATED if _refused(order) else RunStatus.SUCCEEDED
        assert run.status == expected, history(run_id)
        left = sorted(effect.kind for effect in sandbox.ledger.in_force(order))
        assert left == LEFT[RunStatus(run.status)], f"{left}\n{history(run_id)}"
        assert sandbox.ledger.taken(order) == (1450 if "captured" in left else 0)
    struck_arrivals = Counter(a.fault.partition(";")[0] for a in sandbox.ledger.arrivals())
    print(f"\n{ORDERS} orders, each sent twice: {dict(ends)}; arrivals by fault: {struck_arrivals}")
    assert len(struck_arrivals) > len(PASSING) / 2, "hardly any fault struck"


def _refused(order: str) -> bool:
    return any(struck(operation, order, share) for (_, operation), share in REFUSED.items())
