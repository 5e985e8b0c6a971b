"""Order fulfilment, killed at every moment of the protocol; and engines broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.db import connection

from integrations import inventory, notifications, payments, shipping
from integrations.inventory import Reservation
from integrations.notifications import Sent
from integrations.payments import Authorization, Capture
from integrations.sagas.order_fulfilment import Order, order_fulfilment
from integrations.sandbox.process import running_sandbox
from integrations.shipping import Booking, Label
from sagas import transitions
from sagas.define.draft import Draft
from sagas.define.view import RunView, StepView
from sagas.testing import Report, crash_matrix

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = Order(
    order_id=UUID(int=7),
    email="ann@example.com",
    address="1 Long Street",
    sku="mug",
    quantity=1,
    amount=1450,
    currency="eur",
    payment_method="pm_card_visa",
)
RESULTS = {
    "reserve_stock": Reservation(id="rsv_1", sku="mug", quantity=1, reference="order"),
    "authorize_payment": Authorization(id="pi_1", amount=1450, currency="eur", reference="order"),
    "capture_payment": Capture(id="pi_1", amount=1450),
    "book_courier": Booking(id="bkg_1", reference="order"),
    "print_label": Label(id="lbl_1", reference="order", tracking_number="T1"),
    "notify_customer": Sent(id="mail_1"),
}


def matrix() -> Report:
    return crash_matrix(order_fulfilment, ORDER, results=RESULTS)


def test_no_crash_breaks_an_order() -> None:
    report = matrix()
    assert not report.violations, str(report)
    crashed = {(case.point, case.step, case.direction) for case in report.cases}
    steps = [(name, "forward") for name in order_fulfilment.steps]
    undone = [("reserve_stock", "backward"), ("authorize_payment", "backward")]
    for point in ("K1", "K2", "K3", "K4"):
        assert {(point, *place) for place in [*steps, *undone]} <= crashed
    assert ("K7", "", "") in crashed


def test_no_crash_breaks_an_order_at_partners_over_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sandbox(tmp_path / "ledger") as sandbox, ExitStack() as connected:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        sandbox.set_stock("mug", 1000)
        for partner in (inventory, notifications, payments, shipping):
            connected.enter_context(
                partner.use(import_module(f"{partner.__name__}.client").connect())
            )
        report = crash_matrix(order_fulfilment, ORDER, live=True)
        assert not report.violations, str(report)
        assert sandbox.ledger.audit() == []
        assert len(sandbox.ledger.effects()) > len(report.cases)
        sums = {(e.kind, e.amount) for e in sandbox.ledger.effects() if e.service == "payments"}
        kinds = ("authorized", "voided", "captured")
        assert sums == {(kind, ORDER.amount) for kind in kinds}


def _without_the_claims_guard() -> AbstractContextManager[Any]:
    """A copy of a message takes what another attempt holds or has done."""
    return patch.object(StepView, "needs_worker", property(lambda _self: True))


def _without_the_idempotency_key() -> AbstractContextManager[Any]:
    return patch.object(RunView, "key_of", lambda _self, _step: str(uuid4()))


@contextmanager
def _without_the_transactional_start() -> Iterator[None]:
    """The run is written on a connection of its own, whatever becomes of the caller's."""
    with patch.object(transitions, "insert", _elsewhere):
        yield


def _elsewhere(draft: Draft, *how: Any) -> bool:
    with ThreadPoolExecutor(1) as other:
        return other.submit(_insert_and_close, draft, *how).result()


def _insert_and_close(draft: Draft, *how: Any) -> bool:
    try:
        return _INSERT(draft, *how)
    finally:
        connection.close()


_INSERT = transitions.insert


@pytest.mark.parametrize(
    ("broken", "invariant"),
    [
        (_without_the_claims_guard, "I"),
        (_without_the_idempotency_key, "I3"),
        (_without_the_transactional_start, "I2"),
    ],
)
def test_a_broken_engine_turns_the_matrix_red(
    broken: Callable[[], AbstractContextManager[Any]], invariant: str
) -> None:
    with broken():
        report = matrix()
    assert any(f": {invariant}" in violation for violation in report.violations), str(report)
