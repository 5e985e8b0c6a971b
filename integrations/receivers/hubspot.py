"""HubSpot: how far a contact has come towards being a customer, which sales people change there."""

from __future__ import annotations

from typing import Any

from integrations.webhooks.handlers import on
from integrations.webhooks.known import keep_newest
from integrations.webhooks.received import Event

_STAGE = "lifecyclestage"


@on("hubspot", "contact.propertyChange", schema="hubspot/contact.propertyChange")
def contact(event: Event, document: dict[str, Any]) -> str | None:
    """Keep a contact's stage; of what else changes about people we keep nothing."""
    if document["propertyName"] != _STAGE:
        return f"Only {_STAGE} is kept."
    state = {_STAGE: document["propertyValue"]}
    if keep_newest(event, f"contact {document['objectId']}", state):
        return None
    return "A newer event had told the contact's stage."
