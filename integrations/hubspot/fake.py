"""A HubSpot in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from integrations.fakes import HoldingFake
from integrations.hubspot.schemas import Contact, Note, Person

Thing = TypeVar("Thing", Contact, Note)


class FakeHubSpot(HoldingFake):
    """Keeps contacts, whose e-mail addresses and references are unique, and notes on them."""

    partner = "hubspot"
    idempotent = False

    def __init__(self) -> None:
        super().__init__()
        self.properties: dict[str, dict[str, str]] = {}
        self.notes: dict[str, tuple[str, str]] = {}
        """By the note's id: whose it is, and what it says."""

    def add_contact_of_others(self, email: str) -> Contact:
        """A contact that somebody else made."""
        contact = Contact(id=self._new_id("contact"), reference=None)
        self._hold("contact_created", contact, "", "")
        self.properties[contact.id] = {"email": email}
        return contact

    def create_contact(self, person: Person, reference: str, *, timeout: float) -> Contact:
        def make() -> Contact:
            if self._with_email(person.email) is not None:
                raise self.refusal("create_contact", "e-mail address exists")
            contact = Contact(id=self._new_id("contact"), reference=reference)
            self.properties[contact.id] = {"email": person.email}
            return self._held_as("contact_created", contact, reference)

        return self._made_once("create_contact", Contact, make, reference, timeout)

    def find_contact(self, reference: str, *, timeout: float) -> Contact | None:
        return self._read(
            "find_contact", lambda: self._found(Contact, reference, None), timeout=timeout
        )

    def find_contact_by_email(self, email: str, *, timeout: float) -> Contact | None:
        return self._read("find_contact", lambda: self._with_email(email), timeout=timeout)

    def read_contact(
        self, contact_id: str, names: Sequence[str], *, timeout: float
    ) -> dict[str, str | None] | None:
        def look() -> dict[str, str | None] | None:
            held = self._held.get(contact_id)
            if held is None or not held.in_force:
                return None
            return {name: self.properties[contact_id].get(name) for name in names}

        return self._read("read_contact", look, timeout=timeout)

    def update_contact(
        self, contact_id: str, properties: Mapping[str, str], *, timeout: float
    ) -> None:
        def do() -> None:
            held = self._held.get(contact_id)
            if held is None or not held.in_force:
                raise self.refusal("update_contact", "there is no such contact")
            if self.properties[contact_id].items() >= properties.items():
                return
            self.properties[contact_id] |= properties
            self._happened("contact_updated", contact_id, "", held.reference)

        self._write("update_contact", do, key="", timeout=timeout, asked=contact_id)

    def archive_contact(self, contact_id: str, *, timeout: float) -> None:
        self._archive("contact", contact_id, timeout)

    def create_note(self, contact_id: str, text: str, reference: str, *, timeout: float) -> Note:
        def make() -> Note:
            held = self._held.get(contact_id)
            if held is None or not held.in_force:
                raise self.refusal("create_note", "there is no such contact")
            note = Note(id=self._new_id("note"), reference=reference)
            self.notes[note.id] = (contact_id, text)
            return self._held_as("note_created", note, reference)

        return self._made_once("create_note", Note, make, reference, timeout)

    def find_note(self, reference: str, *, timeout: float) -> Note | None:
        return self._read("find_note", lambda: self._found(Note, reference, None), timeout=timeout)

    def archive_note(self, note_id: str, *, timeout: float) -> None:
        self._archive("note", note_id, timeout)

    def _made_once(
        self,
        operation: str,
        kind: type[Thing],
        make: Callable[[], Thing],
        reference: str,
        timeout: float,
    ) -> Thing:
        def do() -> Thing:
            return self._found(kind, reference, None) or make()

        return self._write(operation, do, key="", timeout=timeout, asked=reference)

    def _held_as(self, kind: str, thing: Thing, reference: str) -> Thing:
        self._hold(kind, thing, "", reference)
        return thing

    def _archive(self, noun: str, thing_id: str, timeout: float) -> None:
        def do() -> None:
            self._undo(f"{noun}_archived", thing_id, "")

        self._write(f"archive_{noun}", do, key="", timeout=timeout, asked=thing_id)

    def _with_email(self, email: str) -> Contact | None:
        for held in self._held.values():
            contact = held.answer
            if held.in_force and self.properties.get(contact.id, {}).get("email") == email:
                return Contact.model_validate(contact)
        return None
