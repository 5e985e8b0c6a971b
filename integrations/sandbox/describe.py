"""What the stand-ins take and answer: checked at the door, and published as OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from integrations.sandbox.service import Route, Service

Schema = Mapping[str, Any]

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
KEY = "[!-~]{1,255}"
"""The pattern of an idempotency key."""
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NULLABLE_TEXT: Schema = {"type": ["string", "null"]}
FLAG: Schema = {"type": "boolean"}


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these fields; others may be there too."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required)}


def only(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these fields and no others."""
    return {**record(required, optional), "additionalProperties": False}


def items(schema: Schema) -> Schema:
    """A list of such things."""
    return {"type": "array", "items": schema}


@dataclass(frozen=True)
class About:
    """What one operation takes and answers.

    Attributes:
        takes: the parameters, an object: the body's where there is one, else the address's.
        query: parameters in the address beside a body.
        gives: the answers to what is accepted, by status; None: without a body.
        refuses: statuses of refusals besides those that any operation of the service has.
        errors: the form of its errors, if not the service's.
        media: how the body is written, if not as the service's others.
        open: whether it needs no credentials where the service needs some.
    """

    summary: str
    gives: Mapping[int, Schema | None]
    takes: Schema = field(default_factory=lambda: record({}))
    query: Mapping[str, Schema] = field(default_factory=dict)
    refuses: Sequence[int] = ()
    errors: Schema | None = None
    media: str = ""
    open: bool = False

    def problem(
        self, params: Mapping[str, Any], query: Mapping[str, Any], *, types_only: bool
    ) -> str | None:
        """What is wrong with the parameters of a request, None if nothing is."""
        for validator, given in zip(self._validators, (params, query), strict=True):
            for error in validator.iter_errors(given):
                if error.validator == "type" or not types_only:
                    where = ".".join(map(str, error.absolute_path)) or "the request"
                    return f"{where} is missing something or not as described ({error.validator})."
        return None

    @cached_property
    def _validators(self) -> tuple[Draft202012Validator, Draft202012Validator]:
        in_address = {"type": "object", "properties": dict(self.query)}
        return Draft202012Validator(self.takes), Draft202012Validator(in_address)


def document(services: Iterable[Service]) -> dict[str, Any]:
    """The OpenAPI description of all operations that say what they are about."""
    paths: dict[str, dict[str, Any]] = {}
    for service in services:
        for route in service.routes:
            if route.about is not None:
                operation = _operation(service, route, route.about)
                paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sandbox", "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(service: Service, route: Route, about: About) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{service.name}_{route.operation}",
        "tags": [service.name],
        "summary": about.summary,
        "parameters": list(_parameters(service, route, about)),
        "responses": _responses(service, route, about),
    }
    if service.bearer and not about.open:
        described["security"] = [{"bearer": []}]
    media = about.media or service.media
    if route.has_body:
        takes = _flat(about.takes) if media == FORM else about.takes
        needed = bool(takes["required"])
        described["requestBody"] = {"content": {media: {"schema": takes}}, "required": needed}
    return described


def _parameters(service: Service, route: Route, about: About) -> Iterator[dict[str, Any]]:
    for name, pattern in route.places.items():
        inner = {"type": "string", "pattern": f"^{pattern}$"}
        yield {"name": name, "in": "path", "required": True, "schema": inner}
    if not route.has_body:
        required = about.takes.get("required", ())
        for name, schema in _flat(about.takes)["properties"].items():
            yield {"name": name, "in": "query", "required": name in required, "schema": schema}
    for name, schema in about.query.items():
        yield {"name": name, "in": "query", "required": False, "schema": schema}
    if service.idempotent and route.method != "GET":
        inner, needed = {"type": "string", "pattern": f"^{KEY}$"}, service.needs_key
        yield {"name": "Idempotency-Key", "in": "header", "required": needed, "schema": inner}


def _responses(service: Service, route: Route, about: About) -> dict[str, Any]:
    statuses = {400, 404, 405, 429, 500, 503, *about.refuses}
    statuses |= {401} if service.bearer else set()
    if service.idempotent and route.method != "GET":
        statuses |= {409, service.other_request[0]}
    refusals = dict.fromkeys(statuses, about.errors or service.errors)
    answers: dict[int, Schema | None] = {**refusals, **about.gives}
    return {str(status): _response(status, answers[status]) for status in sorted(answers)}


def _response(status: int, schema: Schema | None) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if schema is not None:
        media = "text/plain" if schema is TEXT else JSON
        described["content"] = {media: {"schema": schema}}
    return described


def _flat(schema: Schema) -> dict[str, Any]:
    """A schema of nested objects as one of the fields of a form: `metadata[reference]`."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, inner in schema["properties"].items():
        needed = name in schema.get("required", ())
        if "properties" not in inner:
            properties[name] = inner
            required += [name] if needed else []
            continue
        below = _flat(inner)
        properties |= {_within(name, part): s for part, s in below["properties"].items()}
        required += [_within(name, part) for part in below["required"]] if needed else []
    flat = {"type": "object", "properties": properties, "required": required}
    closed = schema.get("additionalProperties") is False
    return {**flat, "additionalProperties": False} if closed else flat


def _within(name: str, part: str) -> str:
    first, bracket, rest = part.partition("[")
    return f"{name}[{first}]{bracket}{rest}"


_GROUP = re.compile(r"\(\?P<(\w+)>((?:\[[^\]]*\]|[^)])*)\)")


def places(pattern: str) -> dict[str, str]:
    """The named parts of a path's pattern, and what each matches."""
    return dict(_GROUP.findall(pattern))


def template(pattern: str) -> str:
    """A path's pattern as a template: `/things/{id}`. Raises ValueError if it is none."""
    path = _GROUP.sub(r"{\1}", pattern).replace("\\", "")
    if not re.fullmatch(r"[\w.:/{}-]+", path):
        raise ValueError(f"{pattern!r} is no template of a path: name its variable parts")
    return path
