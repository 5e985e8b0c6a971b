"""What events cause: a function for each kind that somebody cares about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from integrations.webhooks.received import Event
from integrations.webhooks.redaction import field_name
from integrations.webhooks.sources import SOURCES

SCHEMAS = Path(__file__).parent / "schemas"

Act = Callable[[Event, Any], str | None]
Given = TypeVar("Given", bound=Act)


class Unfit(Exception):
    """An event that cannot be handled, now or later: a dead letter.

    The message says why, without what the event says of anybody.
    """


@dataclass(frozen=True, slots=True)
class Handler:
    """What happens when an event comes."""

    act: Act
    validator: Draft202012Validator

    def __call__(self, event: Event) -> str | None:
        """Do it in the caller's transaction. Gives a note for people.

        Raises:
            Unfit: the event is not as its schema says, or otherwise of no use.
        """
        document = event.document()
        if (error := best_match(self.validator.iter_errors(document))) is not None:
            raise Unfit(f"It does not fit its schema: {_told(error)}.")
        return self.act(event, document)


def on(source: str, *kinds: str, schema: str) -> Callable[[Given], Given]:
    """Decorate the function that handles events of these kinds.

    It gets the event and its document, which fits the schema. What it writes commits together with
    the event's being done, or not at all: sagas that it starts, signals that it sends, rows. So it
    calls nobody; a saga's step does. It is tried again when it raises, except for ``Unfit``.

    Args:
        source: a name of ``sources.SOURCES``.
        kinds: in the source's words.
        schema: a file below ``schemas``, without its ending.

    Raises:
        ValueError: the source is unknown, or a kind has a handler already.
        jsonschema.SchemaError: the file is no JSON Schema.
    """
    validator = _validator(schema)

    def register(act: Given) -> Given:
        for kind in kinds:
            _add(source, kind, Handler(act, validator))
        return act

    return register


def handler(source: str, kind: str) -> Handler | None:
    """What handles such events, if anything does."""
    return _HANDLERS.get((source, kind))


def handled() -> list[tuple[str, str]]:
    """The sources and kinds that have a handler."""
    return sorted(_HANDLERS)


_HANDLERS: dict[tuple[str, str], Handler] = {}


def _add(source: str, kind: str, added: Handler) -> None:
    if source not in SOURCES:
        raise ValueError(f"There is no source {source!r}; there are: {', '.join(sorted(SOURCES))}.")
    if (source, kind) in _HANDLERS:
        raise ValueError(f"{kind!r} of {source!r} has a handler already.")
    _HANDLERS[source, kind] = added


def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _told(error: ValidationError) -> str:
    """Where and why, without the value: that may be somebody's."""
    place = ".".join(map(_part, error.absolute_path)) or "the whole"
    rule = json.dumps(error.validator_value, sort_keys=True)
    return f"{place} breaks {error.validator!r}: {rule[:200]}"


def _part(part: str | int) -> str:
    return str(part) if isinstance(part, int) else field_name(part)
