"""From the record to what a step's code sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import OperationalError
from pydantic import BaseModel

from sagas import record
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.define.view import RunView, StepView
from sagas.errors import PayloadInvalid, ResultInvalid
from sagas.run.context import condition, result_of, run_context
from sagas.states import StepStatus
from tests.sagas.flows import Payload
from tests.sagas.stage import FORWARD

_NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Receipt(BaseModel):
    number: int


def a_view(saga: Definition, payload: str = "{}", **results: str) -> RunView:
    view = RunView(UUID(int=1), "flow", 1, saga.fingerprint, "order:1", payload, now=_NOW)
    for name, place in saga.order.items():
        row = StepView(place, name, FORWARD, place, StepStatus.READY, result=results.get(name))
        view.steps[FORWARD, name] = row
    return view


def receipt(run: object) -> Receipt: ...  # type: ignore[empty-body]


def a_saga(**options: object) -> Definition:
    steps = [
        Step("pay", receipt, harmless=True),
        Step("ship", receipt, harmless=True, **options),  # type: ignore[arg-type]
    ]
    return Definition("flow", payload=Payload, steps=steps)


def test_results_come_back_as_their_declared_types() -> None:
    saga = a_saga()
    view = a_view(saga, pay='{"number": 7}')
    run = run_context(saga, view, view.steps[FORWARD, "ship"])
    assert run.results["pay"] == Receipt(number=7)
    assert run.results["ship"] is None
    assert run.result is None


def _gone(*asked: object) -> str:
    raise OperationalError("the server is away")


def test_an_error_of_the_database_is_not_the_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What conditions need is read before they are asked: what they raise parks the run."""
    saga = a_saga(when=lambda run: True)
    view = a_view(saga)
    view.payload = None
    view.steps[FORWARD, "ship"].status = StepStatus.PENDING
    monkeypatch.setattr(record, "complete", _gone)
    with pytest.raises(OperationalError):
        condition(saga, view)
    view.steps[FORWARD, "ship"].status = StepStatus.SUCCEEDED
    condition(saga, view)  # none is still to be asked, so nothing is read


def test_the_key_is_the_steps_own() -> None:
    saga = a_saga()
    view = a_view(saga)
    keys = {run_context(saga, view, row).key for row in view.rows(FORWARD)}
    assert keys == {view.key_of(row) for row in view.rows(FORWARD)}
    assert len(keys) == 2


def test_without_a_limit_no_time_remains() -> None:
    saga = a_saga()
    view = a_view(saga)
    assert run_context(saga, view, view.steps[FORWARD, "pay"]).remaining == 0.0


def test_a_payload_that_no_longer_fits_names_its_fields() -> None:
    saga = a_saga()
    view = a_view(saga, payload='{"number": "many"}')
    with pytest.raises(PayloadInvalid, match="number"):
        run_context(saga, view, view.steps[FORWARD, "pay"])


def test_a_result_that_no_longer_fits_is_no_result() -> None:
    saga = a_saga()
    with pytest.raises(ResultInvalid, match=r"step 'pay' .* Input should be an object"):
        result_of(saga.steps["pay"], a_view(saga, pay='"old"'))


def test_a_step_that_is_not_in_the_run_has_no_result() -> None:
    saga = a_saga()
    view = a_view(saga)
    del view.steps[FORWARD, "pay"]
    assert result_of(saga.steps["pay"], view) is None


@pytest.mark.parametrize(("answer", "holds"), [(True, True), (0, False), ("yes", True)])
def test_a_condition_is_asked_with_the_run(answer: object, holds: bool) -> None:
    seen: list[str] = []

    def when(run: object) -> object:
        seen.append(run.business_key)  # type: ignore[attr-defined]
        return answer

    saga = a_saga(when=when)
    assert condition(saga, a_view(saga))(saga.steps["ship"]) is holds
    assert seen == ["order:1"]


def test_the_run_was_started_before_whatever_it_did() -> None:
    saga = a_saga()
    view = a_view(saga)
    view.lifetime = 3600.0
    for row in view.rows(FORWARD):
        assert run_context(saga, view, row).started_at == _NOW - timedelta(hours=1)
