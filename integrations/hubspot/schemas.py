"""What HubSpot does for us, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from integrations.schemas import Answer, Identifier, Reference


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """Who a contact is about. It is kept out of answers, which are stored with the run."""

    email: str
    firstname: str = ""
    lastname: str = ""
    company: str = ""


class Contact(Answer):
    """A contact. `reference` is ours, None for one that others made."""

    id: Identifier
    reference: Reference | None


class Note(Answer):
    """A note on a contact's timeline."""

    id: Identifier
    reference: Reference


class HubSpot(Protocol):
    """HubSpot's CRM. A call takes at most `timeout` seconds.

    HubSpot knows no idempotency keys: our reference is a property whose values are unique, so a
    second thing for the same reference cannot be made, and a repeat finds the first one.

    Every method raises a PartnerError: refused, unavailable, or, if it changes something, unknown.
    """

    def create_contact(self, person: Person, reference: str, *, timeout: float) -> Contact:
        """Make a contact, or find what this reference made.

        Refused if somebody else made one with the same e-mail address.
        """

    def find_contact(self, reference: str, *, timeout: float) -> Contact | None:
        """The contact that was made for `reference` and is not archived."""

    def find_contact_by_email(self, email: str, *, timeout: float) -> Contact | None:
        """The contact with that e-mail address, whoever made it."""

    def read_contact(
        self, contact_id: str, names: Sequence[str], *, timeout: float
    ) -> dict[str, str | None] | None:
        """Properties of a contact, whoever made it; None if there is none or it is archived."""

    def update_contact(
        self, contact_id: str, properties: Mapping[str, str], *, timeout: float
    ) -> None:
        """Set properties of a contact; to set them again changes nothing. Refused if it is gone."""

    def archive_contact(self, contact_id: str, *, timeout: float) -> None:
        """Take a contact out of sight. Nothing to archive is a success."""

    def create_note(self, contact_id: str, text: str, reference: str, *, timeout: float) -> Note:
        """Write a note on a contact's timeline, or find what this reference wrote."""

    def find_note(self, reference: str, *, timeout: float) -> Note | None:
        """The note that was written for `reference` and is not archived."""

    def archive_note(self, note_id: str, *, timeout: float) -> None:
        """Take a note out of sight. Nothing to archive is a success."""
