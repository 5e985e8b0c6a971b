"""What the stand-ins take and answer: checked at the door, and published as OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, ValidationError

if TYPE_CHECKING:
    from integrations.sandbox.service import Route, Service

Schema = Mapping[str, Any]

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
KEY = "[!-~]{1,255}"
"""The pattern of an idempotency key."""
EMAIL = r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$"
"""The pattern of an e-mail address, as loose as vendors are."""
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NULLABLE_TEXT: Schema = {"type": ["string", "null"]}
FLAG: Schema = {"type": "boolean"}
_OWN_WORDS = {"required", "pattern", "minLength", "minProperties"}
"""What some services put in words of their own."""


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these fields. An answer may have others, a request may not: see `closed`."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required)}


def items(schema: Schema) -> Schema:
    """A list of such things."""
    return {"type": "array", "items": schema}


def closed(schema: Schema) -> Schema:
    """The same without any field that it does not name, at any depth."""
    if "items" in schema:
        return {**schema, "items": closed(schema["items"])}
    if "properties" not in schema:
        return schema
    properties = {name: closed(inner) for name, inner in schema["properties"].items()}
    return {"additionalProperties": False, **schema, "properties": properties}


@dataclass(frozen=True, slots=True)
class Problem:
    """A parameter that is not as described: where it stands, and by which rule of JSON Schema."""

    where: Sequence[str]
    rule: str

    @property
    def is_unknown(self) -> bool:
        """Whether the operation does not take it at all."""
        return self.rule == "additionalProperties"

    def __str__(self) -> str:
        where = ".".join(self.where) or "the request"
        return f"{where} is missing something or not as described ({self.rule})."


@dataclass(frozen=True)
class About:
    """What one operation takes and answers.

    Attributes:
        takes: the parameters, an object: the body's where there is one, else the address's. What
            is not named here is refused.
        query: parameters in the address beside a body.
        gives: the answers to what is accepted, by status; None: without a body.
        refuses: statuses of refusals besides those that any operation of the service has.
        errors: the form of its own errors, besides the service's.
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
        self, params: Mapping[str, Any], query: Mapping[str, Any], *, own_words: bool
    ) -> Problem | None:
        """What is wrong with the parameters of a request: first of all one that is not taken.

        Args:
            own_words: leave to the service what it puts in words of its own.
        """
        given = zip(self._validators, (params, query), strict=True)
        problems = [_problem(error) for v, part in given for error in v.iter_errors(part)]
        told = (p for p in problems if not own_words or p.rule not in _OWN_WORDS)
        return min(told, key=lambda problem: not problem.is_unknown, default=None)

    @cached_property
    def _validators(self) -> tuple[Draft202012Validator, Draft202012Validator]:
        in_address = record({}, self.query)
        return Draft202012Validator(closed(self.takes)), Draft202012Validator(closed(in_address))


def _problem(error: ValidationError) -> Problem:
    where = [*map(str, error.absolute_path)]
    if error.validator == "additionalProperties":
        where.append(min(error.instance.keys() - error.schema["properties"].keys()))
    return Problem(where, error.validator)


def document(services: Iterable[Service]) -> dict[str, Any]:
    """The OpenAPI description of all operations."""
    paths: dict[str, dict[str, Any]] = {}
    for service in services:
        for route in service.routes:
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
        takes = closed(_flat(about.takes) if media == FORM else about.takes)
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
    if service.remembers(route.method):
        inner, needed = {"type": "string", "pattern": f"^{KEY}$"}, service.needs_key
        yield {"name": "Idempotency-Key", "in": "header", "required": needed, "schema": inner}


def _responses(service: Service, route: Route, about: About) -> dict[str, Any]:
    statuses = {400, 404, 405, 413, 415, 429, 500, 503, *about.refuses}
    statuses |= {401} if service.bearer else set()
    if service.remembers(route.method):
        statuses |= {409, service.other_request[0]}
    errors = {"anyOf": [about.errors, service.errors]} if about.errors else service.errors
    refusals = dict.fromkeys(statuses, errors)
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
    return {"type": "object", "properties": properties, "required": required}


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
