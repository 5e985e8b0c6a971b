from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError

from integrations.webhooks.handlers import SCHEMAS
from integrations.webhooks.received import Event
from integrations.webhooks.redaction import field_name, reason, visible, without_rows
from integrations.webhooks.sources import SOURCES
from sagas.define.registry import all_sagas
from tests.integrations.webhooks.inboxes import an_event
from tests.integrations.webhooks.senders import received

HIDDEN = "•••"


def test_a_charge_shows_what_it_is_and_nobody_that_it_is_about() -> None:
    charge = {
        "id": "ch_1",
        "object": "charge",
        "amount": 1250,
        "captured": True,
        "billing_details": {"name": "Ann Okonkwo", "id": "okonkwo"},
        "shipping": {"name": "Okonkwo", "carrier": None},
        "receipt_email": "ann@example.com",
        "description": "for Okonkwo",
        "metadata": {"okonkwo": "1"},
    }
    shown = visible("payments", {"id": "evt_1", "type": "charge.x", "data": {"object": charge}})
    assert shown == {
        "id": "evt_1",
        "type": "charge.x",
        "data": {
            "object": {
                **{name: charge[name] for name in ("id", "object", "amount", "captured")},
                **dict.fromkeys(("billing_details", "shipping", "receipt_email"), HIDDEN),
                **dict.fromkeys(("description", "metadata"), HIDDEN),
            }
        },
    }


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("shipping", {"data": {"recipients": [{"name": "Okonkwo", "status": "okonkwo"}]}}),
        ("github", {"issue": {"user": {"login": "okonkwo"}, "assignees": [{"id": "okonkwo"}]}}),
        ("github", {"head_commit": {"author": {"name": "Okonkwo"}, "id": "okonkwo"}}),
        ("hubspot", {"propertyName": "lastname", "propertyValue": "Okonkwo"}),
        ("leads", {"data": {"name": "Okonkwo", "company": "Okonkwo Ltd"}}),
        ("payments", {"data": {"object": {"customer_details": {"id": "okonkwo"}}}}),
    ],
)
def test_each_source_declares_what_tells_of_people(source: str, told: dict[str, Any]) -> None:
    assert "okonkwo" not in json.dumps(visible(source, told)).lower()


@pytest.mark.parametrize("source", [*SOURCES, "gone"])
def test_what_nobody_declared_is_masked_whatever_it_is_called(source: str) -> None:
    told = {
        "favourite": "Okonkwo",
        "members": {"okonkwo@example.com": {"since": 1990}},
        "nested": [["Okonkwo", 7, {"shoe_size": 39}], True],
        "nothing": None,
    }
    assert visible(source, told) == {
        "favourite": HIDDEN,
        "members": {HIDDEN: {"since": HIDDEN}},
        "nested": [[HIDDEN, HIDDEN, {"shoe_size": HIDDEN}], HIDDEN],
        "nothing": None,
    }


@pytest.mark.parametrize("value", ["ann@example.com", "Ann Okonkwo", "Ängström", "a\nb", "x" * 201])
def test_a_public_field_shows_one_word_and_no_address(value: str) -> None:
    assert visible("payments", {"id": value, "status": "active"}) == {
        "id": HIDDEN,
        "status": "active",
    }


def test_what_is_no_document_or_too_deep_is_one_mark() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert visible("payments", deep) == visible("payments", "Okonkwo") == HIDDEN
    assert visible("payments", None) is None


def test_who_may_reveal_sees_it_as_it_was_sent() -> None:
    told = {"name": "Okonkwo"}
    assert visible("leads", told, reveal=True) is told


def test_every_field_that_we_read_is_public_or_personal() -> None:
    for file in SCHEMAS.rglob("*.json"):
        source = SOURCES[file.parent.name]
        fields = set(_leaves(json.loads(file.read_text())))
        assert fields <= source.public | source.personal, file
        assert not source.public & source.personal


def _leaves(schema: dict[str, Any]) -> list[str]:
    properties = schema.get("properties", {})
    inner = [leaf for each in properties.values() for leaf in _leaves(each)]
    return [*(n for n, each in properties.items() if "properties" not in each), *inner]


def test_neither_an_event_nor_a_request_shows_its_body_when_it_is_printed() -> None:
    event, request = an_event(document={"name": "Okonkwo"}), received(b"Okonkwo", {"x": "Okonkwo"})
    assert "Okonkwo" not in f"{event!r} {request!r} {[event]}"
    assert isinstance(event, Event)


def test_an_error_is_told_by_its_kind_and_place() -> None:
    with pytest.raises(LookupError) as caught:
        raise LookupError("Okonkwo")
    assert reason(caught.value).startswith("LookupError in test_redaction.py, line ")
    assert reason(LookupError("Okonkwo")) == "LookupError"


def test_an_error_of_the_database_passes_without_the_row_that_it_shows() -> None:
    with pytest.raises(DatabaseError) as caught, without_rows():
        raise IntegrityError("Failing row contains (1, Okonkwo)")
    assert caught.type is IntegrityError
    assert "contains (1" not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__suppress_context__


def test_a_name_that_may_be_a_value_is_none() -> None:
    assert field_name("billing_details") == "billing_details"
    assert field_name("ann@example.com") == field_name(7) == HIDDEN


def test_each_source_names_a_saga_that_there_is() -> None:
    """A misspelled one would show its events to nobody whose rights hold for some sagas only."""
    named = {source.saga for source in SOURCES.values() if source.saga}
    assert named <= {saga.name for saga in all_sagas()}
    assert len(named) == len(SOURCES) - 1  # those of GitHub are about no run


def test_who_may_not_see_the_runs_sees_no_value() -> None:
    told = {"id": "ch_1", "status": None, "data": [{"amount": 1}]}
    assert visible("payments", told, within=False) == {
        "id": HIDDEN,
        "status": None,
        "data": [{"amount": HIDDEN}],
    }
