"""What the sandbox says of itself, and what it does with what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from integrations.sandbox.describe import TEXT, About, Problem, items, places, record, template
from integrations.sandbox.process import API_KEY, RunningSandbox

_KEY = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture
def described(sandbox: RunningSandbox) -> Any:
    return httpx2.get(f"{sandbox.address}/openapi.json", timeout=10).json()


def test_every_operation_is_described_with_its_answers_and_refusals(described: Any) -> None:
    reserve = described["paths"]["/inventory/reservations"]["post"]
    assert {"201", "400", "409", "422", "429", "503"} <= set(reserve["responses"])
    (key,) = (p for p in reserve["parameters"] if p["name"] == "Idempotency-Key")
    assert key["required"]
    release = described["paths"]["/inventory/reservations/{id}/release"]["post"]
    assert release["parameters"][0]["in"] == "path"


def test_what_a_form_nests_is_described_as_it_is_sent(described: Any) -> None:
    body = described["paths"]["/v1/payment_intents"]["post"]["requestBody"]["content"]
    form = body["application/x-www-form-urlencoded"]["schema"]
    assert "metadata[reference]" in form["properties"]
    assert "automatic_payment_methods[allow_redirects]" in form["required"]


def test_what_does_not_fit_is_told_by_its_place() -> None:
    one_of = {"enum": ["a", "b"]}
    about = About("", {200: None}, record({"who": record({"name": TEXT})}, {"kind": one_of}))
    assert about.problem({"who": {"name": "Ann"}}, {}, own_words=False) is None
    for given in ({"who": {"name": 1}}, {"who": {"name": "Ann"}, "kind": "c"}):
        assert about.problem(given, {}, own_words=True)
    wrong = about.problem({"who": {"name": 1}}, {}, own_words=False)
    assert wrong == Problem(["who", "name"], "type")
    assert str(wrong).startswith("who.name is")
    assert about.problem({}, {}, own_words=True) is None
    assert about.problem({}, {}, own_words=False) == Problem([], "required")


def test_what_is_not_described_is_unknown_at_any_depth() -> None:
    inner = record({}, {"name": TEXT})
    free = {**record({}), "additionalProperties": TEXT}
    takes = record({}, {"who": inner, "several": items(inner), "free": free})
    about = About("", {200: None}, takes, {"id": TEXT})

    def unknown(params: dict[str, Any], **query: str) -> Sequence[str]:
        problem = about.problem(params, query, own_words=True)
        return problem.where if problem and problem.is_unknown else ()

    assert unknown({"who": {"name": "Ann"}, "free": {"x": "y"}}, id="1") == ()
    assert unknown({"age": 1}) == ["age"]
    assert unknown({"who": {"age": 1}}) == ["who", "age"]
    assert unknown({"several": [{}, {"age": 1}]}) == ["several", "1", "age"]
    assert unknown({}, age="1") == ["age"]
    assert unknown({"who": 7, "age": 1}) == ["age"], "told before what else is wrong"


def test_a_path_that_leaves_something_unnamed_is_no_template() -> None:
    assert template(r"/v(?P<version>\d+)\.0/things/(?P<id>[^/)]+)") == "/v{version}.0/things/{id}"
    assert places(r"/v(?P<version>\d+)/(?P<id>[^/)]+)") == {"version": r"\d+", "id": "[^/)]+"}
    with pytest.raises(ValueError, match="name its variable parts"):
        template(r"/v\d+/things")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/payment_intents", b"metadata=text", 400),
        ("POST", "/v1/payment_intents", b"amount=1&amount[b]=2", 400),
        ("GET", "/v1/payment_intents?limit=0", b"", 400),
        ("GET", "/v1/payment_intents?created[gte]=-1", b"", 400),
        ("GET", "/v1/payment_intents/a/b", b"", 404),
        ("PUT", "/v1/payment_intents", b"", 405),
    ],
)
def test_bad_input_gets_an_error_in_the_partners_own_form(
    sandbox: RunningSandbox, method: str, path: str, body: bytes, status: int
) -> None:
    headers = {**_KEY, "Content-Type": "application/x-www-form-urlencoded"}
    url = f"{sandbox.address}{path}"
    answer = httpx2.request(method, url, content=body, headers=headers, timeout=10)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_method_that_does_not_exist_is_told_from_a_path_that_does_not(
    sandbox: RunningSandbox,
) -> None:
    answer = httpx2.delete(f"{sandbox.address}/inventory/reservations", timeout=10)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")


def test_a_key_that_is_none_is_turned_away(sandbox: RunningSandbox) -> None:
    answer = httpx2.post(
        f"{sandbox.address}/v1/customers",
        headers={**_KEY, "Idempotency-Key": "with spaces"},
        timeout=10,
    )
    assert answer.status_code == 400
