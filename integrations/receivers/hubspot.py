"""HubSpot: how far a contact has come towards being a customer, which sales people change there."""

from __future__ import annotations

from typing import Any

from integrations.webhooks.handlers import on
from integrations.webhooks.known import keep_newest
from integrations.webhooks.received import Event

_STAGE = "lifecyclestage"
_CONTACT = "0-1"
"""The type of a contact, in events of HubSpot's newer, generic kinds."""


@on(
    "hubspot",
    "contact.propertyChange",
    "object.propertyChange",
    schema="hubspot/propertyChange",
)
def contact(event: Event, document: dict[str, Any]) -> str | None:
    """Keep a contact's stage; of what else changes about people we keep nothing."""
    if document.get("objectTypeId", _CONTACT) != _CONTACT or document["propertyName"] != _STAGE:
        return f"Only the {_STAGE} of contacts is kept."
    state = {_STAGE: document["propertyValue"]}
    if keep_newest(event, f"contact {document['objectId']}", state):
        return None
    return "A newer event had told the contact's stage."
