"""What our runs are called: enough to know one, and nothing of who it is for."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel

from integrations.sagas.customer_registration import Registration, customer_registration
from integrations.sagas.lead_qualification import lead_qualification
from integrations.sagas.order_fulfilment import order_fulfilment
from integrations.sagas.parcel_delivery import Parcel, parcel_delivery
from sagas.api import Saga
from sagas.run.title import run_title
from tests.integrations.sagas.leads import PROMISING
from tests.integrations.sagas.rig import an_order

ORDER = an_order().model_copy(
    update={"sku": "mug", "quantity": 2, "amount": 2900, "currency": "eur"}
)
WHO = Registration(registration_id=UUID(int=10**38), name="Ann Smith", email="ann@example.com")
PARCEL = Parcel(order_id=uuid4(), tracking_number="trk_1", email="ann@example.com")
LEAD = PROMISING.model_copy(update={"company": "Acme", "employees": 1200, "budget": 50_000})


@pytest.mark.parametrize(
    ("saga", "payload", "title"),
    [
        (order_fulfilment, ORDER, "2 × mug, 29.00 EUR"),
        (customer_registration, WHO, "registration 4b3b4ca8"),
        (lead_qualification, LEAD, "1,200 employees, budget 50,000"),
        (parcel_delivery, PARCEL, "parcel trk_1"),
    ],
)
def test_a_run_is_called_by_what_it_is_about(saga: Saga, payload: BaseModel, title: str) -> None:
    assert run_title(saga, payload) == title
