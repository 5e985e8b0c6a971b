"""HubSpot's client: its CRM API, version 3, as JSON over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote, urlencode

from integrations import http
from integrations.call import Call, Model
from integrations.conf import HubSpotSettings, load
from integrations.errors import PartnerError
from integrations.hubspot.schemas import Contact, Note, Person
from integrations.oauth.exchange import FixedToken, Source, send
from integrations.oauth.flows import Client
from integrations.schemas import Answer

REFERENCE = "saga_reference"
"""The property of contacts and notes that holds our reference: custom, with unique values."""

_NOTE_TO_CONTACT = 202
"""HubSpot's own type of the association of a note with a contact."""


def connect() -> HttpHubSpot:
    """A client for the account that the environment names."""
    settings = load(HubSpotSettings)
    return HttpHubSpot(str(settings.hubspot_url), _source(settings))


def _source(settings: HubSpotSettings) -> Source:
    from integrations.oauth.tokens import Tokens  # its rows need Django's apps

    if settings.hubspot_access_token is not None:
        return FixedToken(settings.hubspot_access_token)
    assert settings.hubspot_client_id, "the settings demand one of both"
    assert settings.hubspot_client_secret, "the settings demand one of both"
    endpoint = f"{settings.hubspot_url}/oauth/v1/token"
    client = Client("hubspot", settings.hubspot_client_id, settings.hubspot_client_secret, endpoint)
    return Tokens(client, "refresh_token")


class HttpHubSpot:
    """HubSpot over HTTP. Things are read by our reference, never searched: searches lag behind."""

    def __init__(self, address: str, tokens: Source) -> None:
        self._objects = f"{address}/crm/v3/objects"
        self._tokens = tokens

    def create_contact(self, person: Person, reference: str, *, timeout: float) -> Contact:
        call = Call.within(timeout, "hubspot", "create_contact")
        properties = {name: value for name, value in asdict(person).items() if value}
        return call.shape(Contact, self._create(call, "contacts", properties, reference))

    def find_contact(self, reference: str, *, timeout: float) -> Contact | None:
        call = Call.within(timeout, "hubspot", "find_contact", writes=False)
        return _shaped(call, Contact, self._read(call, "contacts", reference, REFERENCE))

    def find_contact_by_email(self, email: str, *, timeout: float) -> Contact | None:
        call = Call.within(timeout, "hubspot", "find_contact", writes=False)
        return _shaped(call, Contact, self._read(call, "contacts", email, "email"))

    def read_contact(
        self, contact_id: str, names: Sequence[str], *, timeout: float
    ) -> dict[str, str | None] | None:
        call = Call.within(timeout, "hubspot", "read_contact", writes=False)
        query = urlencode({"properties": ",".join(names)})
        url = f"{self._objects}/contacts/{quote(contact_id, safe='')}?{query}"
        reply = self._send(call, "GET", url)
        if reply.status == 404:
            return None
        found = call.shape(_Properties, _accepted(call, reply)).properties
        return {name: found.get(name) for name in names}

    def update_contact(
        self, contact_id: str, properties: Mapping[str, str], *, timeout: float
    ) -> None:
        call = Call.within(timeout, "hubspot", "update_contact", keyed=True, critical=False)
        url = f"{self._objects}/contacts/{quote(contact_id, safe='')}"
        _accepted(call, self._send(call, "PATCH", url, {"properties": dict(properties)}))

    def archive_contact(self, contact_id: str, *, timeout: float) -> None:
        self._archive(Call.within(timeout, "hubspot", "archive_contact", keyed=True), contact_id)

    def create_note(self, contact_id: str, text: str, reference: str, *, timeout: float) -> Note:
        call = Call.within(timeout, "hubspot", "create_note")
        properties = {"hs_note_body": text, "hs_timestamp": str(int(time.time() * 1000))}
        kind = {
            "associationCategory": "HUBSPOT_DEFINED",
            "associationTypeId": _NOTE_TO_CONTACT,
        }
        about = [{"to": {"id": contact_id}, "types": [kind]}]
        made = self._create(call, "notes", properties, reference, associations=about)
        return call.shape(Note, made)

    def find_note(self, reference: str, *, timeout: float) -> Note | None:
        call = Call.within(timeout, "hubspot", "find_note", writes=False)
        return _shaped(call, Note, self._read(call, "notes", reference, REFERENCE))

    def archive_note(self, note_id: str, *, timeout: float) -> None:
        self._archive(Call.within(timeout, "hubspot", "archive_note", keyed=True), note_id)

    def _create(
        self, call: Call, kind: str, properties: Mapping[str, str], reference: str, **more: Any
    ) -> dict[str, Any]:
        wanted = {"properties": {**properties, REFERENCE: reference}, **more}
        reply = self._send(call, "POST", f"{self._objects}/{kind}", wanted)
        if not _is_taken(reply):
            return {**_accepted(call, reply), "reference": reference}
        # The value of a unique property is taken: by our own earlier call, or by somebody else's.
        # If the read fails, that stays open: nothing was made now, so the call may be repeated.
        ours = self._read(replace(call, writes=False), kind, reference, REFERENCE)
        if ours is None:
            raise call.refused("another one with the same e-mail address exists")
        return ours

    def _read(self, call: Call, kind: str, value: str, name: str) -> dict[str, Any] | None:
        """The living object whose unique property `name` is `value`, with its `reference`."""
        query = urlencode({"idProperty": name, "properties": REFERENCE})
        url = f"{self._objects}/{kind}/{quote(value, safe='')}?{query}"
        reply = self._send(call, "GET", url)
        if reply.status == 404:
            return None
        found = _accepted(call, reply)
        properties = found.get("properties")
        known = properties.get(REFERENCE) if isinstance(properties, dict) else None
        return {**found, "reference": known}

    def _archive(self, call: Call, thing_id: str) -> None:
        kind = "notes" if call.operation == "archive_note" else "contacts"
        url = f"{self._objects}/{kind}/{quote(thing_id, safe='')}"
        reply = self._send(call, "DELETE", url)
        if reply.status not in (204, 404):
            raise _failure(call, reply)

    def _send(
        self, call: Call, method: str, url: str, body: Mapping[str, Any] | None = None
    ) -> http.Reply:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        tokens = self._tokens
        return send(call, tokens, method, url, headers=headers, content=content, failure=_failure)


class _Properties(Answer):
    properties: dict[str, str | None]


def _shaped(call: Call, model: type[Model], found: dict[str, Any] | None) -> Model | None:
    return None if found is None else call.shape(model, found)


def _accepted(call: Call, reply: http.Reply) -> dict[str, Any]:
    if not 200 <= reply.status < 300:
        raise _failure(call, reply)
    return http.parse(call, reply)


_LOCKED, _MIGRATING = 423, 477
"""HubSpot's own: something else is writing the object; the account is being moved. Both pass."""


def _failure(call: Call, reply: http.Reply) -> PartnerError:
    if reply.status == 429 and http.word(reply, "policyName") == "DAILY":
        return call.quota_spent("answered 429 DAILY", reply.headers, _until_midnight())
    if reply.status in (_LOCKED, _MIGRATING):
        return call.failure(503, reply.headers, http.word(reply, "category"))
    return call.failure(reply.status, reply.headers, http.word(reply, "category"))


def _until_midnight() -> float:
    """Seconds until the account may have a new day: it begins at midnight of a time zone that the
    answer does not name, so at a full hour nearly everywhere."""
    return max(60.0, 3600.0 - time.time() % 3600.0)


def _is_taken(reply: http.Reply) -> bool:
    """Whether the value of a unique property is another object's: an e-mail address, our own."""
    return reply.status == 409 or (
        reply.status == 400 and b"CONFLICTING_UNIQUE_VALUE" in reply.body
    )
