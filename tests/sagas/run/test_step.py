"""Performing: whatever a step's code does becomes an outcome that can be recorded."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings
from pydantic import BaseModel, ConfigDict, Field, computed_field

from sagas.conf import conf
from sagas.define.outcome import (
    Done,
    Mismatch,
    NotApplied,
    NotAsked,
    Outcome,
    Refused,
    RetryLater,
    Unknown,
    Wait,
)
from sagas.define.saga import Definition
from sagas.define.step import Errors, Step
from sagas.define.view import RunView, StepView
from sagas.errors import ResultInvalid, StepTimeout
from sagas.run.limits import release
from sagas.run.step import perform
from sagas.states import Direction, StepStatus
from tests.sagas.flows import Payload
from tests.sagas.stage import BACKWARD, FORWARD

Code = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    """Else it would bite the tests that follow."""
    yield
    release()


def performed(
    code: Code,
    *,
    way: Direction = FORWARD,
    verify: Code | None = None,
    errors: Errors | None = None,
    returns: Any = Any,
    payload: str = '{"number": 7}',
    result: str | None = None,
    **options: Any,
) -> Outcome:
    """The outcome of one attempt of a step with this code."""

    def action(run: Any) -> Any:
        return code(run)

    action.__annotations__["return"] = returns
    step = Step("a", action, harmless=way is FORWARD, **options)
    if way is BACKWARD:
        step.compensate(code)
    if verify:
        step.verify(verify)
    saga = Definition("flow", payload=Payload, steps=[step], errors=errors)
    view = RunView(
        UUID(int=1), "flow", 1, saga.fingerprint, "order:1", payload,
        now=datetime(2030, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    flying, doubt = StepStatus.IN_FLIGHT, verify is not None
    forward = StepView(1, "a", FORWARD, 0, flying, attempt=2, in_doubt=doubt, result=result)
    backward = StepView(2, "a", BACKWARD, 0, flying, attempt=1)
    view.steps = {(FORWARD, "a"): forward, (BACKWARD, "a"): backward}
    return perform(saga, view, view.steps[way, "a"])


def raising(error: BaseException) -> Code:
    def code(run: Any) -> Any:
        raise error

    return code


# --- answers -------------------------------------------------------------------------------


class Receipt(BaseModel):
    number: int
    paid_at: datetime


_PAID = datetime(2030, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("returns", "answer", "stored"),
    [
        (
            Receipt,
            Receipt(number=1, paid_at=_PAID),
            '{"number":1,"paid_at":"2030-01-02T00:00:00Z"}',
        ),
        (Receipt, {"number": 1, "paid_at": _PAID}, '{"number":1,"paid_at":"2030-01-02T00:00:00Z"}'),
        (Any, {"a": [1, None]}, '{"a":[1,null]}'),
        (int, 5, "5"),
        (None, None, "null"),
        (Any, None, "null"),
    ],
)
def test_an_answer_is_done_and_stored_by_the_annotation(
    returns: Any, answer: Any, stored: str
) -> None:
    assert performed(lambda run: answer, returns=returns) == Done(stored)


@pytest.mark.parametrize(
    "outcome", [Refused("no"), RetryLater("busy", 3.0), Unknown("?", 1.0), Wait(5.0), NotApplied()]
)
def test_an_outcome_is_handed_on(outcome: Outcome) -> None:
    assert performed(lambda run: outcome) == outcome


@pytest.mark.parametrize(
    "outcome", [Refused("no"), RetryLater("busy", 3.0), Unknown("?"), Wait(5.0)]
)
@pytest.mark.parametrize("atomic", [False, True])
def test_an_outcome_may_be_raised(outcome: Any, atomic: bool) -> None:
    """And none of the saga's rules about exceptions takes it for something else."""
    errors = Errors(retry=Exception)
    assert performed(raising(outcome), errors=errors, atomic=atomic) == outcome


def test_an_outcome_may_be_named_by_its_class_alone() -> None:
    assert isinstance(performed(lambda run: Refused), Refused)
    assert isinstance(performed(lambda run: RetryLater), RetryLater)
    assert isinstance(performed(lambda run: Refused, way=BACKWARD), Refused)
    assert performed(lambda run: 1, verify=lambda run: NotApplied) == NotApplied()


@pytest.mark.parametrize("answer", [Refused, Refused(), RetryLater(), Unknown("")])
def test_an_outcome_without_a_reason_says_so(answer: Any) -> None:
    outcome: Any = performed(lambda run: answer)
    assert outcome.reason == f"it answered {type(outcome).__name__} and gave no reason"


def test_done_may_be_said_explicitly_and_must_fit_too() -> None:
    assert performed(lambda run: Done(5), returns=int) == Done("5")
    assert isinstance(performed(lambda run: Done("five"), returns=int), Mismatch)
    assert isinstance(performed(lambda run: Done(object())), Mismatch)


@pytest.mark.parametrize(
    ("returns", "answer"),
    [
        (int, "many"),
        (None, 5),
        (Any, object()),
        (str, "nul\x00"),
        (float, math.nan),
        (str, "half \ud800"),
        (str, "x" * 300_000),
    ],
)
def test_a_result_that_cannot_be_stored_is_a_mismatch_and_never_refused(
    returns: Any, answer: Any
) -> None:
    """The effect is there; only its description is unfit, and asking again would not mend it."""
    outcome = performed(lambda run: answer, returns=returns)
    assert isinstance(outcome, Mismatch)
    assert outcome.acted
    assert "then retry" in outcome.reason


class Customer:
    """It has no JSON form."""


class Quote(BaseModel):
    price: int
    lines: list[int] = []


@pytest.mark.parametrize(
    ("returns", "answer", "words"),
    [
        (Any, Customer(), "cannot be stored: Customer has no JSON form. Return"),
        (
            Any,
            {"order": {"by": [Customer()]}},
            "Customer has no JSON form, at 'order.by.0'. Return",
        ),
        (Quote, {"price": "dear"}, "price: Input should be a valid integer"),
        (Quote, {"price": 1, "lines": [1, None]}, "lines.1: Input should be a valid integer"),
        (Quote, {}, "price: Field required"),
        (Quote, Customer(), "the whole: Input should be a valid dictionary or instance of Quote"),
        (int, None, "(it is of type NoneType). Return what it says, or mend it"),
    ],
)
def test_a_result_that_does_not_fit_names_step_field_and_type(
    returns: Any, answer: Any, words: str
) -> None:
    outcome: Any = performed(lambda run: answer, returns=returns)
    assert outcome.reason.startswith("the result of 'a' ")
    assert words in outcome.reason


@pytest.mark.parametrize(
    ("returns", "answer", "place"),
    [
        (Any, math.nan, ""),
        (Any, {"rates": [1.0, math.inf]}, "rates.1"),
        (list, [None, -math.inf], "1"),
    ],
)
def test_a_number_that_json_cannot_hold_is_never_stored_as_null(
    returns: Any, answer: Any, place: str
) -> None:
    outcome: Any = performed(lambda run: answer, returns=returns)
    kept = json.loads(outcome.result) if isinstance(outcome, Done) else {"reason": outcome.reason}
    assert "is no number in JSON" in kept["reason"]
    assert place in kept["reason"]


def test_a_null_is_stored_as_null() -> None:
    assert performed(lambda run: {"a": None, "b": [1.5, None]}) == Done('{"a":null,"b":[1.5,null]}')


@pytest.mark.parametrize("returns", [Any, dict[str, Any]])
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("nul\x00", "a NUL character, at 'what'"),
        (10**5000, "4300 digits"),
        ("x" * 300_000, "larger than 262144 bytes"),
    ],
    ids=["nul", "digits", "large"],
)
def test_of_a_result_of_any_type_that_cannot_be_stored_its_size_and_hash_are_kept(
    returns: Any, what: Any, reason: str
) -> None:
    outcome = performed(lambda run: {"what": what}, returns=returns)
    assert isinstance(outcome, Done)
    kept = json.loads(outcome.result or "")
    assert kept["truncated"] is True
    assert reason in kept["reason"]
    if what == "x" * 300_000:
        whole = json.dumps({"what": what}, separators=(",", ":")).encode()
        assert (kept["bytes"], kept["sha256"]) == (len(whole), sha256(whole).hexdigest())


def test_no_declared_type_is_given_a_stand_in_for_what_cannot_be_stored() -> None:
    """A compensation would take it for the whole."""

    class Lenient(BaseModel):
        model_config = ConfigDict(extra="allow")
        id: str = ""

    outcome = performed(lambda run: Lenient(id="x" * 300_000), returns=Lenient)
    assert isinstance(outcome, Mismatch)
    assert "Keep large data in a table or an object store of your own" in outcome.reason
    assert re.search(
        r"larger than 262144 bytes \(300009 bytes, sha256 [0-9a-f]{64}\)", outcome.reason
    )


def test_an_unfit_result_does_not_quote_what_the_partner_said() -> None:
    outcome = performed(lambda run: "4242 4242 4242 4242", returns=int)
    assert isinstance(outcome, Mismatch)
    assert "4242" not in outcome.reason
    assert "'a'" in outcome.reason


def test_a_validator_that_raises_anything_is_a_mismatch() -> None:
    class Odd(BaseModel):
        def __init__(self, **data: Any) -> None:
            raise KeyError("odd")

    outcome = performed(lambda run: {"x": 1}, returns=Odd)
    assert isinstance(outcome, Mismatch)
    assert "reading it by its return annotation raised KeyError" in outcome.reason


# --- exceptions ----------------------------------------------------------------------------


class Declined(Exception): ...


class Down(Exception):
    def __init__(self, retry_after: Any = None) -> None:
        super().__init__("down")
        self.retry_after = retry_after


_ERRORS = Errors(retry=Down, refused=(Declined, LookupError))


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Declined("card"), Refused("Declined: card")),
        (KeyError("x"), Refused("KeyError: •••")),
        (Down(), RetryLater("Down: down")),
        (Down(4), RetryLater("Down: down", 4.0)),
        (ValueError("?"), Unknown("ValueError: ?")),
        (ConnectionResetError("gone"), Unknown("ConnectionResetError: gone")),
    ],
)
def test_exceptions_mean_what_the_saga_says_and_else_unknown(
    error: Exception, outcome: Outcome
) -> None:
    assert performed(raising(error), errors=_ERRORS) == outcome


class NobodyAsked(Down): ...


def test_a_partner_that_was_not_asked_is_told_apart_from_one_that_is_down() -> None:
    """Though the one is a kind of the other; and whatever the step does: ask, verify or undo."""
    errors = Errors(retry=Down, wait=NobodyAsked)
    not_asked = NotAsked("NobodyAsked: down", 4.0)
    assert performed(raising(Down(4)), errors=errors) == RetryLater("Down: down", 4.0)
    assert performed(raising(NobodyAsked(4)), errors=errors) == not_asked
    assert performed(raising(NobodyAsked(4)), errors=errors, way=BACKWARD) == not_asked
    assert performed(raising(NobodyAsked(4)), errors=errors, atomic=True) == not_asked
    verify = raising(NobodyAsked(4))
    assert performed(lambda run: 1, errors=errors, verify=verify) == not_asked


@pytest.mark.parametrize(
    ("asked", "after"), [(None, None), ("soon", None), (math.nan, None), (-3, 0.0)]
)
def test_when_to_come_back_is_a_number_or_nothing(asked: Any, after: float | None) -> None:
    errors = Errors(wait=NobodyAsked)
    outcome = performed(raising(NobodyAsked(asked)), errors=errors)
    assert outcome == NotAsked("NobodyAsked: down", after)


def test_a_subclass_named_unknown_is_not_taken_for_its_base_that_is_named_harmless() -> None:
    """Else a reset connection would count as: surely nothing happened."""
    errors = Errors(retry=OSError, unknown=ConnectionResetError)
    assert isinstance(performed(raising(ConnectionResetError()), errors=errors), Unknown)
    assert isinstance(performed(raising(ConnectionRefusedError()), errors=errors), RetryLater)


def test_a_base_named_unknown_does_not_swallow_the_subclasses_named() -> None:
    errors = Errors(unknown=Exception, refused=Declined, retry=Down)
    assert isinstance(performed(raising(Declined()), errors=errors), Refused)
    assert isinstance(performed(raising(Down()), errors=errors), RetryLater)
    assert isinstance(performed(raising(KeyError()), errors=errors), Unknown)


def test_a_class_named_twice_is_in_doubt() -> None:
    errors = Errors(unknown=Down, retry=Down, refused=Down, wait=Down)
    assert isinstance(performed(raising(Down()), errors=errors), Unknown)
    errors = Errors(retry=Down, wait=Down)
    assert isinstance(performed(raising(Down()), errors=errors), RetryLater)


def test_a_time_limit_is_in_doubt_whatever_else_is_said_about_exceptions() -> None:
    outcome = performed(raising(StepTimeout("x")), errors=Errors(retry=Exception))
    assert outcome == Unknown("the time limit was reached")


@pytest.mark.parametrize("error", [ValueError("?"), StepTimeout("x")])
def test_an_atomic_step_that_raises_was_rolled_back_so_surely_did_nothing(error: Exception) -> None:
    assert isinstance(performed(raising(error), atomic=True), RetryLater)


def test_an_atomic_step_may_be_refused() -> None:
    assert isinstance(performed(raising(Declined()), atomic=True, errors=_ERRORS), Refused)


@pytest.mark.parametrize(
    ("asked", "after"),
    [
        (2, 2.0),
        (timedelta(minutes=1), 60.0),
        ("120", None),
        (math.nan, None),
        (-5, 0.0),
        (object(), None),
        (datetime(2030, 1, 1, tzinfo=UTC), None),
    ],
)
def test_an_odd_retry_after_breaks_nothing(asked: Any, after: float | None) -> None:
    assert performed(raising(Down(asked)), errors=_ERRORS) == RetryLater("Down: down", after)


def test_an_endless_retry_after_can_still_be_stored() -> None:
    outcome = performed(raising(Down(math.inf)), errors=_ERRORS)
    assert isinstance(outcome, RetryLater)
    assert outcome.after is not None
    assert math.isfinite(outcome.after)


class Spiteful(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    @property
    def retry_after(self) -> float:
        raise RuntimeError("no number for you")


def test_an_exception_that_cannot_even_be_looked_at_breaks_nothing() -> None:
    assert performed(raising(Spiteful())) == Unknown("Spiteful")


@pytest.mark.parametrize(
    "answer",
    [
        Refused("nul\x00 half\ud800" + "x" * 5000),
        RetryLater("nul\x00", math.nan),
        Unknown("\ud800", -1),
    ],
)
def test_the_words_of_an_answer_are_made_storable(answer: Any) -> None:
    outcome: Any = performed(lambda run: answer)
    assert type(outcome) is type(answer)
    outcome.reason.encode()
    assert "\x00" not in outcome.reason
    assert len(outcome.reason) <= 500


@pytest.mark.parametrize("reason", [None, 5, {"code": "declined"}])
def test_a_reason_that_is_no_text_becomes_one(reason: Any) -> None:
    outcome: Any = performed(lambda run: Refused(reason))
    assert (outcome.reason.original or outcome.reason) == str(reason)


@pytest.mark.parametrize(
    "answer",
    [
        Wait(signal="s" * 81, correlation="c"),
        Wait(signal="s", correlation="c" * 201),
        Wait(signal="s\x00", correlation="c"),
        Wait(signal="s", correlation="\ud800"),
    ],
)
def test_a_wait_for_a_signal_that_nobody_could_send_is_refused(answer: Wait) -> None:
    assert isinstance(performed(lambda run: answer), Refused)


def test_a_wait_for_a_signal_without_a_key_is_for_the_runs_own() -> None:
    outcome: Any = performed(lambda run: Wait(9, "s"))
    assert outcome == Wait(9, "s", "order:1")


@pytest.mark.parametrize(
    "answer",
    [
        Wait(signal=5, correlation="c"),  # type: ignore[arg-type]
        Wait(signal="s", correlation=None),  # type: ignore[arg-type]
    ],
)
def test_a_wait_for_what_is_no_name_is_refused(answer: Wait) -> None:
    assert isinstance(performed(lambda run: answer), Refused)


@pytest.mark.parametrize("reason", [10**5000, Spiteful()], ids=["digits", "broken"])
def test_a_reason_that_has_no_text_breaks_nothing(reason: Any) -> None:
    outcome = performed(lambda run: Refused(reason))
    assert isinstance(outcome, Refused)
    assert type(reason).__name__ in outcome.reason


def test_a_time_beyond_any_float_is_a_long_one() -> None:
    outcome = performed(lambda run: RetryLater("busy", 10**400))
    assert isinstance(outcome, RetryLater)
    assert outcome.after == 100 * 365 * 86_400


def test_a_wait_for_nothing_is_refused() -> None:
    """It would never end: no time wakes it, and no signal can be sent to it."""
    outcome = performed(lambda run: Wait())
    assert isinstance(outcome, Refused)
    assert "neither" in outcome.reason


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.001])
def test_a_wait_is_never_shorter_than_a_sweep_so_that_it_cannot_spin(seconds: float) -> None:
    assert performed(lambda run: Wait(seconds)) == Wait(conf().SWEEP_SECONDS)


# --- verify --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returns", "answer", "outcome"),
    [
        (None, True, Done()),
        (None, Done(), Done()),
        (int, 5, Done("5")),
        (int, Done(5), Done("5")),
        (Any, {"id": 1}, Done('{"id":1}')),
        (bool, False, Done("false")),
        (None, NotApplied(), NotApplied()),
        (int, Unknown("?", 9.0), Unknown("?", 9.0)),
    ],
)
def test_a_verify_answers_with_the_result_or_not_applied(
    returns: Any, answer: Any, outcome: Outcome
) -> None:
    assert performed(lambda run: None, returns=returns, verify=lambda run: answer) == outcome


@pytest.mark.parametrize(
    ("returns", "answer"),
    [
        *((None, answer) for answer in (None, False, 0, "", "ch_1")),
        *((Any, answer) for answer in (None, False)),
        *((int, answer) for answer in (None, False, "many")),
        (bool, None),
    ],
)
def test_a_slip_in_a_verify_never_counts_as_it_happened(returns: Any, answer: Any) -> None:
    outcome = performed(lambda run: 1 / 0, returns=returns, verify=lambda run: answer)
    assert isinstance(outcome, Mismatch if answer == "many" else Unknown)


@pytest.mark.parametrize("error", [Declined(), Down(), ValueError()])
def test_a_verify_that_raises_gives_no_done(error: Exception) -> None:
    outcome = performed(lambda run: None, verify=raising(error), errors=_ERRORS)
    assert not isinstance(outcome, Done | NotApplied)


# --- compensations -------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, 5, object(), False, Done(object())])
def test_a_compensation_that_returns_has_undone_it(answer: Any) -> None:
    assert performed(lambda run: answer, way=BACKWARD) == Done()


@pytest.mark.parametrize("outcome", [Refused("no"), RetryLater("busy"), Unknown("?")])
def test_a_compensation_may_answer_otherwise(outcome: Outcome) -> None:
    assert performed(lambda run: outcome, way=BACKWARD) == outcome


# --- what the code sees --------------------------------------------------------------------


def test_the_code_sees_its_run() -> None:
    seen: list[Any] = []
    performed(seen.append, timeout=5)
    run = seen[0]
    assert (run.saga, run.business_key, run.payload.number) == ("flow", "order:1", 7)
    assert (run.attempt, run.result, run.results["a"]) == (2, None, None)
    assert run.now.year == 2030
    assert 4 < run.remaining <= 5


def test_a_compensation_sees_the_result_of_its_step() -> None:
    seen: list[Any] = []
    performed(seen.append, way=BACKWARD, returns=int, result="5")
    assert seen[0].result == 5


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", serialize_by_alias=True)

    at: datetime
    code: str = Field(alias="theCode")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def shouted(self) -> str:
        return self.code.upper()


def test_a_result_comes_back_as_the_type_that_the_step_declared() -> None:
    given = Strict(at=_PAID, theCode="x")
    stored = performed(lambda run: given, returns=Strict)
    assert isinstance(stored, Done)
    seen: list[Any] = []
    performed(seen.append, way=BACKWARD, returns=Strict, result=stored.result)
    assert seen[0].result == given


@pytest.mark.parametrize(
    ("payload", "result", "words"),
    [('{"number": "many"}', None, "number: Input"), ("{}", '"many"', "result of step 'a'")],
)
@pytest.mark.parametrize("way", [FORWARD, BACKWARD])
def test_what_is_stored_and_this_code_refuses_is_put_off_and_then_needs_a_person(
    payload: str, result: str | None, words: str, way: Direction
) -> None:
    """While a deployment may be under way other code may come; nothing was called meanwhile."""
    called: list[Any] = []
    given = {"way": way, "returns": int, "payload": payload, "result": result}
    young: Any = performed(called.append, **given)  # type: ignore[arg-type]
    assert isinstance(young, NotAsked)
    assert young.after == 60
    with override_settings(SAGAS={"DEPLOY_SECONDS": 0}):
        old: Any = performed(called.append, **given)  # type: ignore[arg-type]
    assert isinstance(old, Mismatch)
    assert not old.acted
    for outcome in (young, old):
        assert "what is stored does not fit this code" in outcome.reason
        assert words in outcome.reason
    assert called == []


def test_an_earlier_result_that_no_longer_fits_is_no_partners_fault() -> None:
    """Whatever the saga says of the exceptions that pydantic raises."""
    code = raising(ResultInvalid("The stored result of step 'b' does not fit"))
    outcome = performed(code, errors=Errors(refused=ValueError, retry=Exception))
    assert outcome == Mismatch("The stored result of step 'b' does not fit", acted=True)


class OneWay(BaseModel):
    amount: int = Field(exclude=True)


def test_a_result_that_could_not_be_read_back_is_a_mismatch() -> None:
    """Later steps would break on it, and the compensation too."""
    outcome = performed(lambda run: OneWay(amount=7), returns=OneWay)
    assert isinstance(outcome, Mismatch)
    assert "amount: Field required" in outcome.reason


def test_an_answer_that_cannot_even_be_looked_at_breaks_nothing() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    outcome = performed(lambda run: None, returns=None, verify=lambda run: Odd())
    assert isinstance(outcome, Unknown)
