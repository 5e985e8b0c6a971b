from __future__ import annotations

from datetime import timedelta

from sagas.api import Retry, parallel, pivot, wait_for
from sagas.define import registry
from sagas.define.saga import Definition
from tests.sagas.flows import flow, simple
from tests.sagas.views.callers import Caller


def test_the_list_names_every_saga_and_version_with_its_steps(
    saga: Definition, caller: Caller
) -> None:
    registry.register(flow(["other"], version=2))
    listed = [s for s in caller.get("/api/sagas").json() if s["name"] == "flow"]
    assert listed == [
        {"name": "flow", "version": 1, "steps": ["reserve", "charge", "ship"]},
        {"name": "flow", "version": 2, "steps": ["other"]},
    ]


def test_a_saga_tells_its_structure(caller: Caller) -> None:
    with registry.isolated():
        registry.register(
            flow(
                [
                    wait_for("approved", timeout=timedelta(days=1)),
                    simple("reserve", queue="stock", retry=Retry(attempts=2), timeout=3),
                    pivot(simple("charge")),
                    parallel([simple("book"), simple("load")], simple("print", optional=True)),
                ],
                deadline=timedelta(hours=1),
            )
        )
        told = caller.get("/api/sagas/flow").json()
    assert (told["pivot"], told["deadline"]) == ("charge", 3600)
    approved, reserve, charge, block = told["steps"]
    assert (approved["kind"], approved["waits"]) == ("harmless", True)
    assert (reserve["kind"], reserve["queue"], reserve["timeout"]) == ("compensatable", "stock", 3)
    assert (reserve["retry"]["attempts"], reserve["compensation"]["timeout"]) == (2, 30)
    assert charge["kind"] == "pivot"
    assert [[s["step"] for s in branch] for branch in block["parallel"]] == [
        ["book", "load"],
        ["print"],
    ]
    assert block["parallel"][0][0]["retry"]["attempts"] is None
    assert block["parallel"][1][0]["optional"] is True


def test_a_saga_tells_the_schema_of_its_payload(saga: Definition, caller: Caller) -> None:
    schema = caller.get("/api/sagas/flow").json()["payload"]
    assert schema["properties"]["number"]["type"] == "integer"


def test_an_unknown_saga_is_not_found(saga: Definition, caller: Caller) -> None:
    assert caller.get("/api/sagas/flaw").status_code == 404
