from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator

from integrations.webhooks import handlers
from integrations.webhooks.handlers import SCHEMAS, Unfit, handled, handler, on
from integrations.webhooks.received import Event, Malformed
from integrations.webhooks.sources import SOURCES
from tests.integrations.webhooks.inboxes import an_event, handling


def test_an_unknown_source_and_a_second_handler_are_refused() -> None:
    with pytest.raises(ValueError, match="'nobody'; there are: github, hubspot"):
        on("nobody", "a.kind", schema="shipping/parcel")(lambda *_: None)
    with pytest.raises(ValueError, match="of 'shipping' has a handler already"):
        on("shipping", "parcel.collected", schema="shipping/parcel")(lambda *_: None)


def test_every_schema_is_one_and_belongs_to_a_source_and_a_handler() -> None:
    used = {json.dumps(each.validator.schema) for each in handlers._HANDLERS.values()}
    files = sorted(SCHEMAS.rglob("*.json"))
    for file in files:
        schema = json.loads(file.read_text())
        Draft202012Validator.check_schema(schema)
        assert file.parent.name in SOURCES
        assert json.dumps(schema) in used, f"{file} is nobody's"
    assert len(files) == len(used)


def test_no_pattern_of_a_schema_takes_longer_than_its_text() -> None:
    """A text is matched before its length is known to be wrong, and strangers may have written it.

    With two repetitions without bounds the time grows with the square of its length: minutes for
    the largest body.
    """
    patterns = [p for f in SCHEMAS.rglob("*.json") for p in _patterns(json.loads(f.read_text()))]
    assert len(patterns) > 5
    assert [p for p in patterns if len(re.findall(r"(?<!\\)[+*]|,\}", p)) > 1] == []


def _patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from _patterns(each)
    elif isinstance(schema, dict):
        if isinstance(pattern := schema.get("pattern"), str):
            yield pattern
        yield from _patterns(list(schema.values()))


def test_handlers_are_known_as_soon_as_the_application_has_started() -> None:
    assert ("shipping", "parcel.delivered") in handled()
    assert ("payments", "customer.subscription.updated") in handled()
    assert handler("shipping", "truck.washed") is None


def test_a_handler_gets_what_fits_its_schema() -> None:
    schema = {"required": ["data"], "properties": {"data": {"type": "object"}}}
    with handling(lambda event, document: str(document["data"]["a"]), schema=schema):
        act = handler("shipping", "a.kind")
        assert act is not None
        assert act(an_event(document={"data": {"a": 7}})) == "7"
        with pytest.raises(Unfit, match=r"^It does not fit its schema: data breaks 'type'"):
            act(an_event(document={"data": []}))


def test_a_reason_names_a_place_only_by_what_looks_like_a_field() -> None:
    schema = {"additionalProperties": {"properties": {"age": {"type": "integer"}}}}
    document = {"ann@example.com": {"age": "old"}}
    with (
        handling(lambda *_: None, schema=schema),
        pytest.raises(Unfit, match=r"schema: •••\.age breaks 'type'"),
    ):
        _handle(an_event(document=document))


def _handle(event: Event) -> None:
    act = handler("shipping", "a.kind")
    assert act is not None
    act(event)


def test_a_body_that_cannot_be_read_any_more_is_malformed() -> None:
    with pytest.raises(Malformed):
        an_event(document=float("nan")).document()
