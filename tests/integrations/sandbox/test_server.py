"""The wire: what a client without our connectors sees."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from integrations.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from integrations.sandbox.process import RunningSandbox
from tests.integrations.oauth.rig import ENDPOINTS, THINGS


@pytest.fixture
def http(sandbox: RunningSandbox) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=sandbox.address, timeout=10) as client:
        yield client


def reserve(
    http: httpx2.Client, key: str, fault: str = "", quantity: object = 1
) -> httpx2.Response:
    headers = {"Idempotency-Key": key} | ({"Sandbox-Fault": fault} if fault else {})
    params = {"sku": "tea", "quantity": quantity, "reference": key}
    return http.post("/inventory/reservations", json=params, headers=headers)


def code(response: httpx2.Response) -> Any:
    return response.json()["error"]["code"]


def test_a_reservation_is_made_once_per_key(http: httpx2.Client, reference: str) -> None:
    first, second = (reserve(http, reference) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    other = reserve(http, reference, quantity=2)
    assert (other.status_code, code(other)) == (422, "idempotency_key_reused")


def test_a_write_without_a_key_is_turned_away(http: httpx2.Client) -> None:
    answer = http.post("/inventory/reservations", json={})
    assert (answer.status_code, code(answer)) == (400, "idempotency_key_missing")


@pytest.mark.parametrize("quantity", [0, -1, "1", True, None, 1.5])
def test_a_field_of_the_wrong_type_is_turned_away(
    http: httpx2.Client, reference: str, quantity: object
) -> None:
    answer = reserve(http, reference, quantity=quantity)
    assert (answer.status_code, code(answer)) == (400, "invalid_field")
    assert reserve(http, reference).status_code == 201


@pytest.mark.parametrize("path", ["/", "/inventory", "/inventory/reservations/x/undo", "/v1/x"])
def test_an_unknown_path_is_not_found(http: httpx2.Client, path: str) -> None:
    assert http.get(path).status_code == 404


def test_a_body_that_cannot_be_read_is_turned_away(http: httpx2.Client) -> None:
    answer = http.post(
        "/inventory/reservations", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("fault", "status"),
    [("refuse", 409), ("error-500", 500), ("unavailable-503", 503), ("rate-limit-429", 429)],
)
def test_a_fault_can_be_asked_for_by_header(
    http: httpx2.Client, sandbox: RunningSandbox, reference: str, fault: str, status: int
) -> None:
    assert reserve(http, reference, fault).status_code == status
    (arrival,) = (a for a in sandbox.ledger.arrivals() if a.key == reference)
    assert (arrival.fault, arrival.status) == (fault, status)
    assert sandbox.ledger.effects(reference) == []


@pytest.mark.parametrize("fault", ["drop-before", "drop-after", "late;seconds=60"])
def test_a_dropped_connection_is_recorded_as_not_answered(
    http: httpx2.Client, sandbox: RunningSandbox, reference: str, fault: str
) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        reserve(http, reference, fault)
    (arrival,) = (a for a in sandbox.ledger.arrivals() if a.key == reference)
    assert arrival.status is None
    assert len(sandbox.ledger.effects(reference)) == (1 if fault == "drop-after" else 0)


def test_retry_after_is_sent_as_given(http: httpx2.Client, reference: str) -> None:
    answer = reserve(http, reference, "unavailable-503;retry-after=Wed, 21 Oct 2026 07:28:00 GMT")
    assert answer.headers["Retry-After"] == "Wed, 21 Oct 2026 07:28:00 GMT"


def test_a_fault_that_does_not_exist_is_turned_away(http: httpx2.Client, reference: str) -> None:
    assert reserve(http, reference, "nonsense").status_code == 400


def test_a_key_is_in_use_while_its_slow_answer_is_on_the_way(
    sandbox: RunningSandbox, reference: str
) -> None:
    impatient = httpx2.Client(base_url=sandbox.address, timeout=0.5)
    with impatient, pytest.raises(httpx2.ReadTimeout):
        reserve(impatient, reference, "slow;seconds=60")
    with httpx2.Client(base_url=sandbox.address) as http:
        busy = reserve(http, reference)
    assert (busy.status_code, code(busy)) == (409, "idempotency_key_in_use")
    assert len(sandbox.ledger.effects(reference)) == 1


def test_threads_with_one_key_have_one_effect(
    http: httpx2.Client, sandbox: RunningSandbox, reference: str
) -> None:
    threads = [threading.Thread(target=reserve, args=(http, reference)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sandbox.ledger.effects(reference)) == 1
    replays = [a.replayed for a in sandbox.ledger.arrivals() if a.key == reference]
    assert sorted(replays) == [False] + [True] * 7


def test_a_key_that_the_partner_forgot_acts_again_and_the_audit_shows_it(
    http: httpx2.Client, sandbox: RunningSandbox, reference: str
) -> None:
    sandbox.control("POST", "keys", {"lifetime": 0})
    reserve(http, reference)
    reserve(http, reference)
    ours = [p.why for p in sandbox.ledger.audit() if p.second.reference == reference]
    assert ours == ["same key", "same reference"]


def test_whatever_a_test_made_unusual_is_usual_again_once_the_faults_are_cleared(
    http: httpx2.Client, sandbox: RunningSandbox, reference: str
) -> None:
    sandbox.add_fault("refuse", service="inventory")
    sandbox.set_capacity("inventory", 1, 60.0)
    sandbox.control("POST", "keys", {"lifetime": 0})
    for service in ENDPOINTS:
        sandbox.set_tokens(service, lifetime=0, rotates=True)
    sandbox.clear_faults()
    assert reserve(http, reference).json() == reserve(http, reference).json()
    assert len(sandbox.ledger.effects(reference)) == 1
    form = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    for service, path in ENDPOINTS.items():
        asked = {**form, "refresh_token": sandbox.set_tokens(service)}
        token = http.post(path, data=asked).json()["access_token"]
        thing = http.get(THINGS[service], headers={"Authorization": f"Bearer {token}"})
        assert thing.status_code == 404, "the token is still taken"


def test_the_ledger_can_be_read_over_http(http: httpx2.Client, reference: str) -> None:
    reserve(http, reference)
    ledger = http.get("/control/ledger").json()["result"]
    (effect,) = (e for e in ledger["effects"] if e["reference"] == reference)
    assert (effect["kind"], effect["key"], effect["undoes"]) == ("reserved", reference, None)
    assert {"arrivals", "effects", "problems"} == set(ledger)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/control/faults", {"fault": "nonsense"}, 400),
        ("POST", "/control/faults", {}, 400),
        ("POST", "/control/faults", {"fault": "refuse", "colour": "red"}, 400),
        ("POST", "/control/stock", {"tea": "many"}, 400),
        ("GET", "/control/faults", None, 404),
        ("POST", "/control/nothing", {}, 404),
    ],
)
def test_a_control_that_cannot_be_used_says_why(
    http: httpx2.Client, method: str, path: str, body: object, status: int
) -> None:
    answer = http.request(method, path, json=body)
    assert answer.status_code == status
    assert json.loads(answer.text)["error"]["message"]
