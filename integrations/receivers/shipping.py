"""The carrier: parcels that it has fetched are followed until it says that they have arrived.

Its events may come in any order. Either starts the run that follows the parcel, and an arrival that
comes first is remembered until the run waits for it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from integrations.models import Order
from integrations.sagas.parcel_delivery import DELIVERED, key_of, parcel_delivery
from integrations.webhooks.handlers import Unfit, on
from integrations.webhooks.received import Event
from sagas.api import send_signal, start


@on("shipping", "parcel.collected", schema="shipping/parcel")
def collected(event: Event, document: dict[str, Any]) -> None:
    """Follow the parcel."""
    _follow(document["data"])


@on("shipping", "parcel.delivered", schema="shipping/parcel")
def delivered(event: Event, document: dict[str, Any]) -> None:
    """Tell the run that follows the parcel."""
    key = _follow(document["data"])
    send_signal(DELIVERED, key, {"at": document["timestamp"]}, deduplication_id=event.id)


def _follow(parcel: dict[str, Any]) -> str:
    order_id = UUID(parcel["reference"].removeprefix("order:").strip())
    order = Order.objects.filter(pk=order_id).only("email").first()
    if order is None:
        raise Unfit(f"There is no order {order_id}, which the parcel is said to belong to.")
    key = key_of(parcel["tracking_number"])
    payload = {
        "order_id": order_id,
        "tracking_number": parcel["tracking_number"],
        "email": order.email,
    }
    start(parcel_delivery, payload, key=key)
    return key
