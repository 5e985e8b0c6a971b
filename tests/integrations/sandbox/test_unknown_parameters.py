"""Every operation refuses what it does not take, wherever that stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from integrations.sandbox import google, slack
from integrations.sandbox.__main__ import PARTNERS
from integrations.sandbox.accounts import Accounts
from integrations.sandbox.describe import JSON
from integrations.sandbox.process import RunningSandbox
from tests.integrations.sandbox.tokens import tokens

_STRANGER = "colour_of_hair"


@pytest.fixture
def ask(sandbox: RunningSandbox) -> Iterator[Callable[..., httpx2.Response]]:
    """Sends a request with all credentials."""
    known = tokens(sandbox)

    def ask(method: str, path: str, **sent: Any) -> httpx2.Response:
        token = next((t for pattern, t in known.items() if re.match(pattern, path)), "none")
        headers = {"Authorization": f"Bearer {token}"}
        headers |= {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        return client.request(method, path, headers=headers, **sent)

    with httpx2.Client(base_url=sandbox.address, timeout=10) as client:
        yield ask


def _path(template: str) -> str:
    """A path of this template, with what must be right in it."""
    own = google.PROJECT if "/projects/" in template else slack.TOKEN
    return template.replace("{version}", "v62.0").replace("{id}", own)


def _operations() -> Iterator[Any]:
    """Each operation, and each place in its body where a stranger may stand."""
    for service, route in ((s, r) for s in (*PARTNERS, Accounts) for r in s.routes):
        name = f"{service.name}_{route.operation}"
        path, media = _path(route.path), route.about.media or service.media
        strangers = [*_strange(route.about.takes)] if route.has_body else []
        for number, body in enumerate(strangers):
            sent = {"json": body} if media == JSON else {"data": dict(_form(body))}
            yield pytest.param(route.method, path, sent, id=f"{name}-body{number}")
        yield pytest.param(route.method, path, {"params": {_STRANGER: "red"}}, id=f"{name}-query")


def _strange(schema: Mapping[str, Any]) -> Iterator[Any]:
    """What has a stranger in it, and nothing else."""
    if "items" in schema:
        yield from ([inner] for inner in _strange(schema["items"]))
    elif "properties" in schema:
        if "additionalProperties" not in schema:
            yield {_STRANGER: "red"}
        for name, inner in schema["properties"].items():
            yield from ({name: below} for below in _strange(inner))


def _form(body: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    for name, value in body.items():
        full = f"{within}[{name}]" if within else name
        if isinstance(value, Mapping):
            yield from _form(value, full)
        else:
            yield full, value


@pytest.mark.parametrize(("method", "path", "sent"), [*_operations()])
def test_a_parameter_that_an_operation_does_not_take_is_refused_by_name(
    ask: Callable[..., httpx2.Response],
    sandbox: RunningSandbox,
    method: str,
    path: str,
    sent: dict[str, Any],
) -> None:
    before = len(sandbox.ledger.effects())
    answer = ask(method, path, **sent)
    assert answer.status_code == 400, answer.text
    assert _STRANGER in answer.text
    assert len(sandbox.ledger.effects()) == before


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/customers", "email=a@example.com&email=b@example.com"),
        ("/inventory/reservations", "reference=a&reference=b"),
        ("/messages", "message_id=a&message_id=b"),
    ],
)
def test_a_value_given_twice_is_refused_where_one_is_taken(
    ask: Callable[..., httpx2.Response], path: str, query: str
) -> None:
    assert ask("GET", f"{path}?{query}").status_code == 400


def test_a_value_given_twice_is_kept_twice_where_several_are_taken(
    ask: Callable[..., httpx2.Response],
) -> None:
    path = "/crm/v3/objects/contacts"
    wanted = {"email": "several@example.com", "firstname": "Ann"}
    made = ask("POST", path, json={"properties": wanted}).json()
    read = ask("GET", f"{path}/{made['id']}?properties=email&properties=firstname").json()
    assert wanted.items() <= read["properties"].items()


def test_a_body_is_taken_only_as_what_it_is_said_to_be(
    ask: Callable[..., httpx2.Response],
) -> None:
    assert ask("POST", "/v1/customers", json={"email": "a@example.com"}).status_code == 415
    assert ask("POST", "/inventory/reservations", data={"sku": "tea"}).status_code == 415
    assert ask("DELETE", "/v1/customers/cus_1", data={"a": "b"}).status_code == 415
