from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from integrations.sagas.parcel_delivery import Parcel, key_of, parcel_delivery
from sagas.api import NotApplied, Run
from sagas.testing import given
from tests.integrations.sagas.rig import Partners, fake_partners

STEPS = parcel_delivery.steps
A_PARCEL = Parcel(order_id=uuid4(), tracking_number="trk_1", email="ann@example.com")
ARRIVED = {"at": "2026-05-01T12:00:00Z"}


@pytest.fixture
def partners() -> Iterator[Partners]:
    with fake_partners() as partners:
        yield partners


def run_of(arrival: Any) -> Run[Parcel]:
    return Run(
        id=uuid4(),
        saga="parcel-delivery",
        business_key=key_of("trk_1"),
        payload=A_PARCEL,
        results={"arrival": arrival},
        key="k",
        attempt=1,
        result=None,
        now=datetime.now(UTC),
        started_at=datetime.now(UTC) - timedelta(minutes=1),
        elapsed=0.0,
        clock=lambda: 5.0,
    )


def test_a_parcel_that_arrives_is_confirmed() -> None:
    scenario = given(parcel_delivery, A_PARCEL).signal("parcel.delivered", ARRIVED)
    scenario.expect("succeeded", done=["arrival", "confirm_arrival"], skipped=["admit_delay"])


def test_a_parcel_that_does_not_is_admitted_to_be_late() -> None:
    scenario = given(parcel_delivery, A_PARCEL)
    scenario.expect("succeeded", done=["arrival", "admit_delay"], skipped=["confirm_arrival"])


def test_it_is_late_after_two_weeks() -> None:
    waited = STEPS["arrival"].action(run_of(None))
    assert waited.seconds == pytest.approx(timedelta(days=14).total_seconds())


@pytest.mark.parametrize("name", ["confirm_arrival", "admit_delay"])
def test_each_mail_is_found_again_and_so_not_sent_twice(partners: Partners, name: str) -> None:
    step, run = STEPS[name], run_of(ARRIVED)
    assert step.verifier is not None
    assert isinstance(step.verifier(run), NotApplied)
    sent = step.action(run)
    assert step.verifier(run) == sent
    assert partners.effects() == ["sent"]
