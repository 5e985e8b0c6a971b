"""One contact in HubSpot for one e-mail address, whichever saga comes first."""

from __future__ import annotations

from integrations import hubspot
from integrations.errors import PartnerRefused
from integrations.hubspot import Contact, Person


def keep(person: Person, reference: str, *, timeout: float) -> Contact:
    """Make a contact for `reference`, or take the one that has the address already.

    Raises PartnerError; refused if HubSpot takes no such contact and has none.
    """
    crm = hubspot.connector()
    try:
        return crm.create_contact(person, reference, timeout=timeout)
    except PartnerRefused:
        there = crm.find_contact_by_email(person.email, timeout=timeout)
        if there is None:
            raise
        return there


def archive_made(reference: str, *, timeout: float) -> None:
    """Archive the contact that was made for `reference`, and never one that was there before.

    Raises PartnerError.
    """
    crm = hubspot.connector()
    made = crm.find_contact(reference, timeout=timeout)
    if made:
        crm.archive_contact(made.id, timeout=timeout)
