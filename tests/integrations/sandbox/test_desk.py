from pathlib import Path

import pytest

from integrations.sandbox.desk import Delivery, Desk
from integrations.sandbox.faults import Fault, Kind
from integrations.sandbox.inventory import Inventory
from integrations.sandbox.ledger import Ledger, Recorder
from integrations.sandbox.service import Answer, Request

ANSWER = Answer(201, {"id": "x"})


class Bench:
    """A desk with one service, and its ledger."""

    def __init__(self, path: Path) -> None:
        recorder = Recorder(path)
        self.service = Inventory(recorder.numbers())
        self.desk = Desk(recorder, [self.service])
        self.ledger = Ledger(path)

    def reserve(self, key: str = "k", fault: str = "") -> Delivery:
        return self.desk.receive(self.request(key, fault))

    def request(self, key: str, fault: str = "") -> Request:
        params = {"sku": "tea", "quantity": 1, "reference": "order:1"}
        headers = {"idempotency-key": key, "sandbox-fault": fault}
        path = "/inventory/reservations"
        return Request("inventory", "reserve", "POST", path, "", params, headers)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "ledger.sqlite3")


def status(delivery: Delivery) -> int:
    assert delivery.answer is not None
    return delivery.answer.status


@pytest.mark.parametrize("fault", ["unavailable-503", "rate-limit-429", "error-500", "drop-before"])
def test_a_fault_before_the_effect_leaves_the_key_free(bench: Bench, fault: str) -> None:
    bench.reserve(fault=fault)
    assert status(bench.reserve()) == 201
    assert len(bench.ledger.effects()) == 1


@pytest.mark.parametrize("fault", ["drop-after", "garbage", "huge", "drip"])
def test_a_fault_after_the_effect_leaves_the_answer_under_the_key(bench: Bench, fault: str) -> None:
    bench.reserve(fault=fault)
    again = bench.reserve()
    assert again.answer is not None
    assert "Idempotent-Replayed" in again.answer.headers
    assert len(bench.ledger.effects()) == 1


def test_a_replay_can_be_lost_too(bench: Bench) -> None:
    bench.reserve()
    assert bench.reserve(fault="drop-after").answer is None
    assert len(bench.ledger.effects()) == 1


def test_a_late_effect_is_recorded_when_it_lands_and_answers_its_key(bench: Bench) -> None:
    assert bench.reserve(fault="late;seconds=3600").answer is None
    assert bench.ledger.effects() == []
    assert status(bench.reserve()) == 409
    bench.desk._land(bench.service, bench.request("k"), era=0)
    assert len(bench.ledger.effects()) == 1
    assert status(bench.reserve()) == 201
    assert len(bench.ledger.effects()) == 1


def test_a_late_effect_does_not_land_after_a_reset(bench: Bench) -> None:
    bench.reserve(fault="late;seconds=3600")
    bench.desk.reset()
    bench.desk._land(bench.service, bench.request("k"), era=0)
    assert bench.ledger.effects() == []


def test_a_refusal_by_fault_is_the_keys_answer_from_then_on(bench: Bench) -> None:
    assert [status(bench.reserve(fault=fault)) for fault in ("refuse", "")] == [409, 409]


def test_how_an_answer_leaves() -> None:
    assert Delivery.of(ANSWER, None) == Delivery(ANSWER, None, 0.0)
    assert Delivery.of(None, Fault(Kind.SLOW)) == Delivery(None, None, 0.0)
    assert Delivery.of(ANSWER, Fault(Kind.DROP_AFTER)).answer is None
    assert Delivery.of(ANSWER, Fault(Kind.SLOW, {"seconds": "2"})).delay == 2.0
    assert Delivery.of(ANSWER, Fault(Kind.GARBAGE)).manner is Kind.GARBAGE
