from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from integrations.accounts import Account
from integrations.analytics.events import problems
from integrations.errors import PartnerRefused, PartnerUnavailable
from integrations.hubspot import Contact
from integrations.notifications import Sent
from integrations.payments import Customer
from integrations.sagas.customer_registration import (
    SIGN_UP,
    SIGN_UP_PARAMS,
    Registration,
    customer_registration,
)
from integrations.sagas.outcomes import PARTNER_ERRORS
from sagas.api import NotApplied, Refused, RetryLater, Step, Unknown
from sagas.define.redact import HIDDEN, redact
from sagas.define.step import Kind
from sagas.testing import crash_matrix, given
from tests.integrations.sagas.rig import Partners, a_registration, fake_partners, run_of

STEPS = list(customer_registration.steps.values())
UNDOABLE = [step for step in STEPS if step.compensation]
VERIFIED = [step for step in STEPS if step.verifier]
TOLD_ONCE = ["record_sign_up", "tell_team"]
MADE = {
    "create_account": ["account_created"],
    "create_customer": ["customer_created"],
    "create_contact": ["contact_created"],
    "enable_account": ["account_created", "account_enabled"],
    "send_welcome": ["sent"],
    "record_sign_up": ["event_recorded"],
    "tell_team": ["posted"],
}
UNDONE = {
    "create_account": "account_deleted",
    "create_customer": "customer_deleted",
    "create_contact": "contact_archived",
}
RESULTS = {
    "create_account": Account(id="registration:1", disabled=True),
    "create_customer": Customer(id="cus_1", reference="registration:1"),
    "create_contact": Contact(id="1", reference="registration:1"),
    "enable_account": Account(id="registration:1"),
    "send_welcome": Sent(id="mail_1"),
}


def named(steps: list[Step]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("step", steps, ids=lambda step: step.name)


@pytest.fixture
def partners() -> Iterator[Partners]:
    with fake_partners() as partners:
        yield partners


@pytest.fixture
def who() -> Registration:
    return a_registration()


Earlier = Callable[[Step], dict[str, Any]]


@pytest.fixture
def earlier(partners: Partners, who: Registration) -> Earlier:
    """The results that a step builds on."""

    def results(step: Step) -> dict[str, Any]:
        if step.name != "enable_account":
            return {}
        create = customer_registration.steps["create_account"].action
        return {"create_account": create(run_of(who, key="earlier"))}

    return results


# --- steps -----------------------------------------------------------------------------------


@named(STEPS)
def test_a_step_has_its_effect_once_for_the_runs_reference(
    step: Step, partners: Partners, who: Registration, earlier: Earlier
) -> None:
    run = run_of(who, **earlier(step))
    step.result_type.validate_python(step.action(run))
    assert partners.effects() == MADE[step.name]
    effects = [effect for fake in partners.all for effect in fake.effects]
    assert {effect.reference for effect in effects} == {run.business_key}


@named(VERIFIED)
def test_a_step_that_is_not_known_to_have_happened_is_found_or_found_missing(
    step: Step, partners: Partners, who: Registration, earlier: Earlier
) -> None:
    run = run_of(who, **earlier(step))
    assert step.verifier is not None
    assert step.verifier(run) == NotApplied()
    made = step.action(run)
    assert step.verifier(run) == made
    assert partners.doubles() == []


@named([step for step in VERIFIED if step.name != "send_welcome"])
def test_a_step_may_be_repeated_whatever_its_answer_was(
    step: Step, partners: Partners, who: Registration, earlier: Earlier
) -> None:
    run = run_of(who, **earlier(step))
    assert step.action(run) == step.action(run)
    assert partners.effects() == MADE[step.name]


@named(STEPS)
def test_no_partner_is_asked_when_no_time_is_left(
    step: Step, partners: Partners, who: Registration, earlier: Earlier
) -> None:
    run = run_of(who, remaining=0.0, **earlier(step))
    before = partners.effects()
    for ask in filter(None, (step.action, step.verifier)):
        with pytest.raises(PartnerUnavailable):
            ask(run)
    assert partners.effects() == before


@named(UNDOABLE)
@pytest.mark.parametrize("known", [True, False], ids=["result known", "result not known"])
def test_an_effect_is_undone_whether_its_result_is_known_or_not(
    step: Step, known: bool, partners: Partners, who: Registration
) -> None:
    made = step.action(run_of(who))
    assert step.compensation is not None
    run = run_of(who, key="undo", result=made if known else None)
    step.compensation.action(run)
    step.compensation.action(run)
    assert partners.effects() == [*MADE[step.name], UNDONE[step.name]]


@named(UNDOABLE)
def test_there_may_be_nothing_to_undo(step: Step, partners: Partners, who: Registration) -> None:
    assert step.compensation is not None
    assert step.compensation.tolerates_nothing
    step.compensation.action(run_of(who, key="undo"))
    assert partners.effects() == []


def test_undoing_leaves_what_belongs_to_others(partners: Partners, who: Registration) -> None:
    other = a_registration().model_copy(update={"email": "bob@example.com"})
    for step in UNDOABLE:
        step.action(run_of(other, key=f"other {step.name}"))
        assert step.compensation is not None
        step.compensation.action(run_of(who, key="undo"))
    made = ["account_created", "customer_created", "contact_created"]
    assert sorted(partners.effects()) == sorted(made)


def test_an_address_that_has_an_account_is_refused(partners: Partners, who: Registration) -> None:
    create = customer_registration.steps["create_account"].action
    create(run_of(who))
    again = a_registration()
    with pytest.raises(PartnerRefused, match="EMAIL_EXISTS"):
        create(run_of(again))


def test_a_contact_that_was_there_before_is_kept_and_never_archived(
    partners: Partners, who: Registration
) -> None:
    lead = partners.hubspot.add_contact_of_others(who.email)
    step = customer_registration.steps["create_contact"]
    assert step.action(run_of(who)) == lead
    assert step.verifier is not None
    assert step.verifier(run_of(who)) == lead
    assert step.compensation is not None
    step.compensation.action(run_of(who, key="undo", result=lead))
    assert partners.hubspot.find_contact_by_email(who.email, timeout=5.0) == lead


def test_a_contact_that_the_crm_refuses_for_another_reason_is_refused(
    partners: Partners, who: Registration
) -> None:
    partners.hubspot.fail_next("create_contact", PartnerRefused)
    with pytest.raises(PartnerRefused):
        customer_registration.steps["create_contact"].action(run_of(who))


def test_nobody_is_let_in_before_everything_is_set_up() -> None:
    kinds = {step.name: step.kind for step in STEPS}
    assert kinds["enable_account"] is Kind.PIVOT
    assert [n for n, k in kinds.items() if k is Kind.COMPENSATABLE] == list(UNDONE)


def test_the_mail_says_who_is_meant_and_our_people_read_no_name(
    partners: Partners, who: Registration
) -> None:
    for name in ("send_welcome", "tell_team", "record_sign_up"):
        customer_registration.steps[name].action(run_of(who))
    (mail,) = partners.notifications.messages
    assert (mail.to, mail.body.splitlines()[0]) == ("ann@example.com", "Welcome, Ann Smith!")
    (message,), (event,) = partners.slack.messages, partners.analytics.events
    assert "Ann" not in message
    assert "ann@" not in f"{message} {event}"


def test_the_event_is_one_that_google_takes() -> None:
    assert problems(SIGN_UP, SIGN_UP_PARAMS, "registration:1") == []


# --- the flow --------------------------------------------------------------------------------


def test_somebody_is_registered_let_in_and_told_of(who: Registration) -> None:
    scenario = given(customer_registration, who).expect("succeeded")
    assert scenario.calls == [f"do {name}" for name in customer_registration.steps]


@pytest.mark.parametrize(
    ("step", "undone"),
    [
        ("create_account", []),
        ("create_customer", ["create_account"]),
        ("create_contact", ["create_customer", "create_account"]),
        ("enable_account", ["create_contact", "create_customer", "create_account"]),
    ],
)
def test_a_refusal_undoes_what_was_done_in_reverse(
    step: str, undone: list[str], who: Registration
) -> None:
    given(customer_registration, who).when(step, Refused("no")).expect("compensated", undone=undone)


@pytest.mark.parametrize("step", list(UNDONE))
def test_what_nobody_can_answer_for_is_undone_too(step: str, who: Registration) -> None:
    scenario = given(customer_registration, who).when(step, Unknown("no answer"))
    scenario.when_verifying(step, Unknown("still none"))
    names = list(UNDONE)
    scenario.expect("compensated", undone=names[: names.index(step) + 1][::-1])


@pytest.mark.parametrize("step", [*UNDONE, "enable_account"])
def test_a_lost_answer_is_looked_up_and_nothing_is_repeated(step: str, who: Registration) -> None:
    scenario = given(customer_registration, who).when(step, Unknown("no answer"))
    found = RESULTS[step].model_dump(mode="json")
    scenario.when_verifying(step, found).expect("succeeded")
    assert scenario.calls.count(f"do {step}") == 1


def test_an_enabling_that_nobody_can_answer_for_needs_a_person(who: Registration) -> None:
    scenario = given(customer_registration, who).when("enable_account", Unknown("no answer"))
    scenario.when_verifying("enable_account", Unknown("still none")).expect("needs_attention")


@pytest.mark.parametrize("step", ["send_welcome", *TOLD_ONCE])
@pytest.mark.parametrize("answer", [Refused("no"), RetryLater("away")])
def test_nothing_that_is_only_told_can_undo_a_registration(
    step: str, answer: object, who: Registration
) -> None:
    given(customer_registration, who).when(step, answer).expect("succeeded", undone=[])


@pytest.mark.parametrize("step", TOLD_ONCE)
def test_what_cannot_be_asked_for_is_told_once_or_not_at_all(step: str, who: Registration) -> None:
    scenario = given(customer_registration, who).when(step, Unknown("no answer"))
    scenario.expect("succeeded")
    assert scenario.calls.count(f"do {step}") == 1


def test_partners_errors_mean_what_they_say() -> None:
    assert all(customer_registration.errors_of(step) is PARTNER_ERRORS for step in STEPS)


# --- crashes ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_no_crash_breaks_a_registration() -> None:
    report = crash_matrix(customer_registration, a_registration(), results=RESULTS)
    assert not report.violations, str(report)
    crashed = {(case.point, case.step, case.direction) for case in report.cases}
    steps = [(name, "forward") for name in customer_registration.steps]
    undone = [(name, "backward") for name in UNDONE]
    for point in ("K1", "K2", "K3", "K4"):
        assert {(point, *place) for place in [*steps, *undone]} <= crashed


# --- the payload -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", " Ann"),
        ("name", "Ann "),
        ("name", "Ann\nBcc: all@example.com"),
        ("name", "x" * 101),
        ("email", "nobody"),
        ("email", "ann@example.com\nBcc: all@example.com"),
        ("email", f"{'x' * 250}@example.com"),
        ("password", "hunter2"),
    ],
)
def test_a_registration_that_cannot_be_made_is_refused(
    field: str, value: str, who: Registration
) -> None:
    with pytest.raises(ValidationError):
        Registration.model_validate({**who.model_dump(), field: value})


def test_name_and_address_are_shown_to_nobody_who_may_not_reveal_them(who: Registration) -> None:
    shown = redact(who.model_dump(mode="json"), (), Registration)
    assert shown == {
        "registration_id": str(who.registration_id),
        "name": HIDDEN,
        "email": HIDDEN,
    }


@pytest.mark.parametrize("name", ["A", "Ann", "Ann-Marie O'Neill", "李小龍", "X Æ A-12"])
def test_people_have_all_kinds_of_names(name: str, who: Registration) -> None:
    assert Registration.model_validate({**who.model_dump(), "name": name}).name == name
