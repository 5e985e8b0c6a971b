"""The pages of others where people ask us for an offer: each of them is a lead."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from integrations.sagas.lead_qualification import Inquiry, key_of, lead_qualification
from integrations.webhooks.handlers import on
from integrations.webhooks.received import Event
from sagas.api import start


@on("leads", "lead.captured", schema="leads/lead.captured")
def captured(event: Event, document: dict[str, Any]) -> None:
    """Work on the lead; what else the page told is not ours to keep."""
    inquiry = {name: document["data"][name] for name in Inquiry.model_fields}
    start(lead_qualification, inquiry, key=key_of(uuid5(NAMESPACE_URL, event.key)))
