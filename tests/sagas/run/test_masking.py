"""What a step's code says, as the record keeps it, and what is kept of it apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, TypeAdapter

from sagas.api import Redacted, Run, step
from sagas.define import registry
from sagas.define.outcome import Refused, RetryLater, Unknown, Wait
from sagas.define.saga import Definition
from sagas.define.step import Errors
from sagas.models import Event, Original
from sagas.operate.reveal import originals
from sagas.retire import remove
from sagas.run.masking import Masking
from tests.sagas.driven import driven
from tests.sagas.stage import row, run_of
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db


class Who(BaseModel):
    name: str = ""
    sku: str = ""
    secret: Annotated[str, Redacted] = ""
    loose: dict[str, Any] = {}


SAYS: dict[str, Any] = {}


@step
def look_up(run: Run[Who]) -> dict[str, Any]:
    return {"status": "found", "note": "zwirbel"}


@look_up.compensate
def forget(run: Run[Who]) -> None:
    if "undo" in SAYS:
        raise SAYS["undo"]


@step
def tell(run: Run[Who]) -> Any:
    answer = SAYS.get("do")
    if isinstance(answer, Exception) and not isinstance(answer, Refused | RetryLater | Unknown):
        raise answer
    return answer


@tell.compensate
def untell(run: Run[Who]) -> None:
    return None


@pytest.fixture(autouse=True)
def saga() -> Iterator[Definition]:
    SAYS.clear()
    with registry.isolated():
        errors = Errors(refused=(ValueError, KeyError))
        known = Definition("flow", payload=Who, steps=[look_up, tell], errors=errors)
        registry.register(known)
        yield known


def told(saga: Definition, answer: Any, **payload: Any) -> UUID:
    SAYS["do"] = answer
    return driven(saga, Who(**payload))


@pytest.mark.parametrize("how", [ValueError, Refused])
def test_words_of_the_runs_own_redacted_values_are_masked_wherever_they_stand(
    saga: Definition, how: Any
) -> None:
    text = "no mustermann, no quaste, no zwirbel, no zottel, but a mug"
    run_id = told(
        saga, how(text), name="erika mustermann", secret="quaste", loose={"a": "zottel"}, sku="mug"
    )
    error = row(run_id, "tell").error
    assert error.endswith("no •••, no •••, no •••, no •••, but a mug")
    events = Event.objects.filter(run=run_id).values_list("data", flat=True)
    assert "mustermann" not in f"{list(events)}{run_of(run_id).error_group}"


def test_what_was_said_is_kept_apart_with_its_attempt(saga: Definition) -> None:
    run_id = told(saga, ValueError("no Erika"))
    assert row(run_id, "tell").error == "ValueError: no •••"
    [said] = originals(run_id)
    assert (said.step, said.direction, said.attempt) == ("tell", "forward", 1)
    assert said.text == "ValueError: no Erika"


def test_of_a_compensation_too(saga: Definition) -> None:
    SAYS["undo"] = KeyError("Erika")
    run_id = told(saga, Refused("out of stock"))
    assert run_of(run_id).attention == "'undo of look_up' gave up: key error: •••."
    assert [(said.direction, said.text) for said in originals(run_id)] == [
        ("backward", "KeyError: 'Erika'")
    ]


def test_where_nothing_is_masked_nothing_is_kept(saga: Definition) -> None:
    run_id = told(saga, Refused("out of stock"))
    assert row(run_id, "tell").error == "out of stock"
    assert not Original.objects.exists()


def test_names_of_the_definition_and_of_the_code_are_shown(saga: Definition) -> None:
    run_id = told(saga, KeyError("This saga has no 'look_up', 'sku' or 'erika'."))
    assert row(run_id, "tell").error == ("KeyError: This saga has no 'look_up', 'sku' or •••.")


def test_an_error_of_pydantics_is_told_by_field_and_type(saga: Definition) -> None:
    with pytest.raises(ValueError, match="Erika") as caught:
        TypeAdapter(dict[str, int]).validate_python({"x@y.example": "Erika"})
    run_id = told(saga, caught.value)
    assert row(run_id, "tell").error == (
        "ValidationError: •••: Input should be a valid integer, unable to parse string as an "
        "integer (it is of type str)"
    )
    assert "Erika" in originals(run_id)[0].text


def test_a_verify_that_waits_says_no_more_than_that(saga: Definition) -> None:
    asking = step(name="ask")(lambda run: Unknown("no answer"))
    asking.compensate(lambda run: None)
    asking.verify(lambda run: Wait(5, result={"name": "Erika"}))
    known = Definition("asking", payload=Who, steps=[asking])
    registry.register(known)
    run_id = driven(known, Who())
    assert "Erika" not in str(list(Event.objects.filter(run=run_id).values_list("data")))


def test_originals_go_with_their_run(saga: Definition) -> None:
    run_id = told(saga, ValueError("no Erika"))
    remove({run_id: run_of(run_id).revision})
    assert not Original.objects.exists()


def test_a_run_that_works_masks_nothing_and_writes_nothing_more(
    saga: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mask(*_: Any) -> Any:
        raise AssertionError("there is no text to mask")

    monkeypatch.setattr(Masking, "_kept", mask)
    with counted() as queries:
        run_id = told(saga, None)
    assert run_of(run_id).status == "succeeded"
    assert not [sql for sql in queries if "sagas_original" in sql]
