"""Parcel delivery, killed at every moment of the protocol: parcels that arrive, and late ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from integrations import notifications
from integrations.notifications import Sent
from integrations.notifications.client import connect
from integrations.sagas.outcomes import PARTNER_ERRORS
from integrations.sagas.parcel_delivery import (
    DELIVERED,
    Parcel,
    admit_delay,
    confirm_arrival,
    parcel_delivery,
)
from integrations.sandbox.process import running_sandbox
from sagas.api import Saga, wait_for
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.testing import crash_matrix

pytestmark = pytest.mark.django_db(transaction=True)

A_PARCEL = Parcel(order_id=UUID(int=7), tracking_number="trk_1", email="ann@example.com")
RESULTS = {"confirm_arrival": Sent(id="mail_1"), "admit_delay": Sent(id="mail_2")}

Way = tuple[Definition, Mapping[str, Any], str]


def _arrives() -> Way:
    return parcel_delivery, {DELIVERED: {"at": "2026-05-01T12:00:00Z"}}, "confirm_arrival"


def _is_late() -> Way:
    """The same saga without its patience: no parcel arrives in time."""
    arrival = wait_for(
        DELIVERED, timeout=timedelta(microseconds=1), on_timeout="continue", name="arrival"
    )
    impatient = Saga(
        "impatient-parcel-delivery",
        payload=Parcel,
        errors=PARTNER_ERRORS,
        steps=[arrival, confirm_arrival, admit_delay],
    )
    return impatient, {}, "admit_delay"


WAYS = {"arrives": _arrives, "is late": _is_late}


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    with registry.isolated():
        yield


@pytest.mark.parametrize("way", WAYS)
def test_no_crash_breaks_a_parcel(way: str) -> None:
    saga, signals, told_by = WAYS[way]()
    report = crash_matrix(saga, A_PARCEL, results=RESULTS, signals=signals, refuse=told_by)
    assert not report.violations, str(report)
    crashed = {(case.point, case.step, case.direction) for case in report.cases}
    assert {(point, told_by, "forward") for point in ("K1", "K2", "K3", "K4")} <= crashed
    assert ("K7", "", "") in crashed
    assert {step for _, step, _ in crashed} == {"", "arrival", told_by}


@pytest.mark.parametrize("way", WAYS)
def test_no_crash_sends_a_customer_two_mails(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga, signals, told_by = WAYS[way]()
    with running_sandbox(tmp_path / "ledger") as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        with notifications.use(connect()):
            report = crash_matrix(saga, A_PARCEL, signals=signals, refuse=told_by, live=True)
        assert not report.violations, str(report)
        assert sandbox.ledger.audit() == []
        sent = [effect.reference for effect in sandbox.ledger.effects()]
    assert sent
    assert len(sent) == len(set(sent)), "a customer was told twice"
