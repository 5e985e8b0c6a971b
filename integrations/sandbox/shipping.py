"""A stand-in carrier: sends a courier, prints a label, and takes either back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.sandbox.describe import TEXT
from integrations.sandbox.resources import Resource, ResourceService
from integrations.sandbox.service import new_id


class Shipping(ResourceService):
    """Courier bookings and labels, independent of each other."""

    name = "shipping"
    refusal = (422, "address_not_served")
    resources = (
        Resource(
            path="/shipping/bookings",
            prefix="bkg",
            make="book_courier",
            undo="cancel_courier",
            find="find_courier",
            undo_path="cancel",
            made="courier_booked",
            undone="courier_cancelled",
            fields={"address": TEXT},
        ),
        Resource(
            path="/shipping/labels",
            prefix="lbl",
            make="print_label",
            undo="void_label",
            find="find_label",
            undo_path="void",
            made="label_printed",
            undone="label_voided",
            fields={"address": TEXT},
        ),
    )

    def extra(self) -> Mapping[str, Any]:
        return {"tracking_number": new_id("trk")}
