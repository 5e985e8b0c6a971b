"""HubSpot: how far a contact has come towards being a customer, which sales people change there."""

from __future__ import annotations

from typing import Any

from integrations.sagas.refresh import STAGE, Doubt, contact_refresh, contact_subject, key_of
from integrations.webhooks.handlers import on
from integrations.webhooks.known import News, keep_newest
from integrations.webhooks.received import Event
from sagas.api import start

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
    if document.get("objectTypeId", _CONTACT) != _CONTACT or document["propertyName"] != STAGE:
        return f"Only the {STAGE} of contacts is kept."
    subject = contact_subject(document["objectId"])
    news = keep_newest(event, subject, {STAGE: document["propertyValue"]})
    if news is News.UNCLEAR:  # another of the same millisecond; neither says what was before
        start(contact_refresh, Doubt(subject=subject, event_id=event.id), key=key_of(event.id))
        return "Another event tells of the same moment; a run asks for the contact."
    return "A newer event had told the contact's stage." if news is News.OLD else None
