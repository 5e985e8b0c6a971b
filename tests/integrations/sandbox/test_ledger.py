import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from integrations.effects import Effect
from integrations.sandbox.ledger import Arrival, Ledger, Recorder

ARRIVAL = Arrival("payments", "capture", "k", "order:1", "drop-after", None, replayed=False)


def effect(seq: int, kind: str, undoes: int | None = None, reference: str = "order:1") -> Effect:
    return Effect("payments", kind, "pi_1", f"k{seq}", reference, undoes, seq)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def test_what_was_recorded_is_read_back(path: Path) -> None:
    Recorder(path).record(ARRIVAL, [effect(1, "authorized"), effect(2, "voided", undoes=1)])
    ledger = Ledger(path)
    (arrival,) = ledger.arrivals()
    assert (arrival.service, arrival.fault, arrival.status) == ("payments", "drop-after", None)
    assert arrival.replayed is False
    assert [(e.seq, e.kind, e.undoes) for e in ledger.effects()] == [
        (1, "authorized", None),
        (2, "voided", 1),
    ]
    assert all(e.at > 0 for e in ledger.effects())


def test_a_ledger_of_before_there_were_amounts_gets_them(path: Path) -> None:
    recorder = Recorder(path)
    recorder._connection.execute("ALTER TABLE effects DROP COLUMN amount")
    Recorder(path).record(None, [replace(effect(1, "captured"), amount=400)])
    assert Ledger(path).taken("order:1") == 400


def test_effects_can_be_read_for_one_reference(path: Path) -> None:
    Recorder(path).record(None, [effect(1, "sent"), effect(2, "sent", reference="order:2")])
    assert [e.seq for e in Ledger(path).effects("order:2")] == [2]


def test_in_force_is_what_was_done_and_not_undone(path: Path) -> None:
    effects = [effect(1, "authorized"), effect(2, "reserved"), effect(3, "voided", undoes=1)]
    Recorder(path).record(None, effects)
    assert [e.kind for e in Ledger(path).in_force("order:1")] == ["reserved"]


def test_an_arrival_and_its_effects_are_recorded_together_or_not_at_all(path: Path) -> None:
    recorder = Recorder(path)
    with pytest.raises(sqlite3.IntegrityError):
        recorder.record(ARRIVAL, [effect(1, "authorized"), effect(1, "again")])
    assert Ledger(path).arrivals() == []
    assert Ledger(path).effects() == []


def test_every_commit_waits_for_the_disk(path: Path) -> None:
    recorder = Recorder(path)
    (level,) = recorder._connection.execute("PRAGMA synchronous").fetchone()
    (mode,) = recorder._connection.execute("PRAGMA journal_mode").fetchone()
    assert (level, mode) == (2, "wal")  # 2 is FULL


def test_numbers_go_on_where_an_earlier_process_stopped(path: Path) -> None:
    Recorder(path).record(None, [effect(7, "sent")])
    assert next(Recorder(path).numbers()) == 8


def test_a_cleared_ledger_is_empty(path: Path) -> None:
    recorder = Recorder(path)
    recorder.record(ARRIVAL, [effect(1, "sent")])
    recorder.clear()
    assert (Ledger(path).arrivals(), Ledger(path).effects()) == ([], [])


def test_the_ledger_shows_what_happened_twice(path: Path) -> None:
    Recorder(path).record(None, [effect(1, "authorized"), effect(2, "authorized")])
    assert [problem.why for problem in Ledger(path).audit()] == ["same reference"]
