from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from integrations.errors import NotAsked, PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.hubspot import Contact
from integrations.leads.models import Lead, Stage
from integrations.leads.score import Score
from integrations.sagas.lead_qualification import Inquiry, key_of, lead_page, lead_qualification
from integrations.salesforce import Opportunity
from sagas.api import NotApplied, Refused, RetryLater, Step, Unknown
from sagas.define.step import Kind
from sagas.testing import given
from tests.integrations.sagas.leads import (
    FOR_LATER,
    KEY,
    PROMISING,
    Crms,
    fake_crms,
    run_of,
)

STEPS = lead_qualification.steps
AT_CRMS = [STEPS[n] for n in ("create_contact", "open_opportunity", "write_nurture_note")]
MADE = {
    "create_contact": ["contact_created"],
    "open_opportunity": ["opportunity_created"],
    "write_nurture_note": ["note_created"],
}
UNDONE = {
    "create_contact": "contact_archived",
    "open_opportunity": "opportunity_deleted",
    "write_nurture_note": "note_archived",
}
GOOD, POOR = Score(75, qualified=True), Score(0, qualified=False)
CONTACT = Contact(id="101", reference=KEY)
OPPORTUNITY = Opportunity(id="006A", reference=KEY)

each_step = pytest.mark.parametrize("step", AT_CRMS, ids=lambda step: step.name)


@pytest.fixture
def crms() -> Iterator[Crms]:
    with fake_crms() as crms:
        yield crms


@pytest.fixture
def earlier(crms: Crms) -> dict[str, Any]:
    """The results that a step builds on: a contact that another lead's run made, for one."""
    other = run_of(FOR_LATER, key="lead:other")
    contact = STEPS["create_contact"].action(other)
    crms.hubspot.effects.clear()
    return {"score_lead": GOOD, "create_contact": contact}


# --- steps at the CRMs -----------------------------------------------------------------------


@each_step
def test_a_step_has_its_effect_once_for_the_runs_key(
    step: Step, crms: Crms, earlier: dict[str, Any]
) -> None:
    run = run_of(**earlier)
    assert step.action(run) == step.action(run)
    assert crms.effects() == MADE[step.name]
    (effect,) = [effect for fake in crms.all for effect in fake.effects]
    assert effect.reference == KEY


@each_step
def test_a_step_that_is_not_known_to_have_happened_is_found_or_found_missing(
    step: Step, crms: Crms, earlier: dict[str, Any]
) -> None:
    run = run_of(**earlier)
    assert step.verifier is not None
    assert step.verifier(run) == NotApplied()
    assert step.verifier(run_of(result=step.action(run), **earlier)) == step.action(run)


@each_step
def test_no_partner_is_asked_when_no_time_is_left(
    step: Step, crms: Crms, earlier: dict[str, Any]
) -> None:
    for ask in (step.action, step.verifier):
        assert ask is not None
        with pytest.raises(PartnerUnavailable):
            ask(run_of(remaining=0.0, **earlier))
    assert crms.effects() == []


@each_step
@pytest.mark.parametrize("known", [True, False], ids=["result known", "result not known"])
def test_an_effect_is_undone_whether_its_result_is_known_or_not(
    step: Step, known: bool, crms: Crms, earlier: dict[str, Any]
) -> None:
    made = step.action(run_of(**earlier))
    assert step.compensation is not None
    run = run_of(result=made if known else None, **earlier)
    step.compensation.action(run)
    step.compensation.action(run)
    assert crms.effects() == [*MADE[step.name], UNDONE[step.name]]


@each_step
def test_there_may_be_nothing_to_undo(step: Step, crms: Crms, earlier: dict[str, Any]) -> None:
    assert step.compensation is not None
    assert step.compensation.tolerates_nothing
    step.compensation.action(run_of(**earlier))
    assert crms.effects() == []


def test_a_contact_that_was_there_is_taken_and_never_archived(crms: Crms) -> None:
    there = crms.hubspot.add_contact_of_others(PROMISING.email)
    create = STEPS["create_contact"]
    taken = create.action(run_of())
    assert taken.id == there.id
    assert create.compensation is not None
    create.compensation.action(run_of(result=taken))
    assert crms.effects() == ["contact_created"]


def test_a_contact_of_another_run_is_taken_and_never_archived(crms: Crms) -> None:
    create = STEPS["create_contact"]
    first = create.action(run_of(key="lead:first"))
    second = create.action(run_of(key="lead:second"))
    assert second.id == first.id
    assert create.compensation is not None
    create.compensation.action(run_of(key="lead:second", result=second))
    assert crms.effects() == ["contact_created"]


def test_an_address_that_hubspot_does_not_take_is_refused(crms: Crms) -> None:
    crms.hubspot.fail_next("create_contact", PartnerRefused)
    with pytest.raises(PartnerRefused):
        STEPS["create_contact"].action(run_of())


def test_the_opportunity_is_worth_the_budget_and_closes_in_a_month(
    crms: Crms, earlier: dict[str, Any]
) -> None:
    STEPS["open_opportunity"].action(run_of(**earlier))
    (deal,) = crms.salesforce.deals.values()
    assert (deal.name, deal.amount) == ("Lee Ltd", Decimal(20_000))
    assert deal.closes.isoformat() == "2030-01-31"


def test_the_note_says_how_promising_the_lead_is_on_its_contact(
    crms: Crms, earlier: dict[str, Any]
) -> None:
    STEPS["write_nurture_note"].action(run_of(FOR_LATER, **{**earlier, "score_lead": POOR}))
    ((contact, text),) = crms.hubspot.notes.values()
    assert contact == earlier["create_contact"].id
    assert "0 of 100 points" in text


@pytest.mark.parametrize(("opportunity", "status"), [(OPPORTUNITY, "OPEN_DEAL"), (None, "OPEN")])
def test_the_contact_shows_where_the_lead_went(
    opportunity: Opportunity | None, status: str, crms: Crms, earlier: dict[str, Any]
) -> None:
    run = run_of(**earlier, open_opportunity=opportunity)
    STEPS["mark_contact"].action(run)
    STEPS["mark_contact"].action(run)
    assert crms.effects() == ["contact_updated"]
    assert crms.hubspot.properties[earlier["create_contact"].id]["hs_lead_status"] == status


def test_sales_are_told_nothing_personal(crms: Crms) -> None:
    STEPS["tell_sales"].action(run_of())
    (message,) = crms.slack.messages
    assert KEY in message
    assert "ann" not in message.lower()


# --- our own record --------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_lead_is_captured_judged_and_routed() -> None:
    for name in ("capture_lead", "score_lead"):
        STEPS[name].action(run_of())
    results: dict[str, Any] = {"create_contact": CONTACT, "open_opportunity": OPPORTUNITY}
    assert Lead.objects.get().stage == Stage.NEW
    STEPS["route_lead"].action(run_of(**results))
    lead = Lead.objects.get()
    assert (lead.key, lead.email, lead.points) == (KEY, "ann@lee.example", 75)
    assert (lead.stage, lead.contact, lead.opportunity) == (Stage.OPPORTUNITY, "101", "006A")


@pytest.mark.django_db
def test_a_lead_without_an_opportunity_is_nurtured() -> None:
    STEPS["capture_lead"].action(run_of(FOR_LATER))
    STEPS["route_lead"].action(run_of(FOR_LATER, create_contact=CONTACT))
    lead = Lead.objects.get()
    assert (lead.stage, lead.contact, lead.opportunity) == (Stage.NURTURE, "101", "")


@pytest.mark.django_db
def test_a_lead_that_is_turned_back_is_kept_as_dropped() -> None:
    capture = STEPS["capture_lead"]
    assert capture.compensation is not None
    capture.action(run_of())
    capture.action(run_of(key="lead:other"))
    capture.compensation.action(run_of())
    stages = dict(Lead.objects.values_list("key", "stage"))
    assert stages == {KEY: Stage.DROPPED, "lead:other": Stage.NEW}


# --- the flow --------------------------------------------------------------------------------


def test_a_promising_lead_becomes_an_opportunity() -> None:
    given(lead_qualification, PROMISING).when("score_lead", GOOD).expect(
        "succeeded",
        calls=[
            "do capture_lead",
            "do score_lead",
            "do create_contact",
            "do open_opportunity",
            "do route_lead",
            "do mark_contact",
            "do tell_sales",
        ],
        skipped=["write_nurture_note"],
    )


def test_any_other_lead_gets_a_note() -> None:
    given(lead_qualification, FOR_LATER).when("score_lead", POOR).expect(
        "succeeded",
        calls=[
            "do capture_lead",
            "do score_lead",
            "do create_contact",
            "do write_nurture_note",
            "do route_lead",
            "do mark_contact",
        ],
        skipped=["open_opportunity", "tell_sales"],
    )


@pytest.mark.parametrize(
    ("judged", "refused"), [(GOOD, "open_opportunity"), (POOR, "write_nurture_note")]
)
def test_a_lead_that_cannot_be_routed_is_undone(judged: Score, refused: str) -> None:
    scenario = given(lead_qualification, PROMISING).when("score_lead", judged)
    scenario.when(refused, Refused("no")).expect(
        "compensated", undone=["create_contact", "capture_lead"]
    )


def test_a_refused_contact_leaves_the_crms_alone() -> None:
    scenario = given(lead_qualification, PROMISING).when("score_lead", GOOD)
    scenario.when("create_contact", Refused("no")).expect("compensated", undone=["capture_lead"])


@pytest.mark.parametrize(
    ("judged", "step"), [(GOOD, "open_opportunity"), (POOR, "write_nurture_note")]
)
def test_what_nobody_can_answer_for_is_undone_too(judged: Score, step: str) -> None:
    scenario = given(lead_qualification, PROMISING).when("score_lead", judged)
    scenario.when(step, Unknown("no answer")).when_verifying(step, Unknown("still none"))
    scenario.expect("compensated", undone=[step, "create_contact", "capture_lead"])


@pytest.mark.parametrize("step", ["mark_contact", "tell_sales"])
def test_a_routed_lead_stays_routed_whatever_follows(step: str) -> None:
    scenario = given(lead_qualification, PROMISING).when("score_lead", GOOD)
    scenario.when(step, Refused("no")).expect("succeeded")


def test_sales_are_not_told_twice() -> None:
    scenario = given(lead_qualification, PROMISING).when("score_lead", GOOD)
    scenario.when("tell_sales", Unknown("no answer")).expect("succeeded")
    assert scenario.calls.count("do tell_sales") == 1


def test_a_crm_that_is_away_is_tried_five_times() -> None:
    scenario = given(lead_qualification, PROMISING).when("score_lead", GOOD)
    scenario.when("open_opportunity", RetryLater("away")).expect(
        "compensated", undone=["create_contact", "capture_lead"]
    )
    assert scenario.calls.count("do open_opportunity") == 5


def test_partners_errors_mean_what_they_say() -> None:
    for step in STEPS.values():
        errors = lead_qualification.errors_of(step)
        assert errors.wait == (NotAsked,)
        assert errors.refused == (PartnerRefused,)
        assert errors.meaning(PartnerUnavailable) is RetryLater
        assert errors.unknown == (PartnerUnknown,)


def test_routing_is_the_point_of_no_return() -> None:
    kinds = {step.name: step.kind for step in STEPS.values()}
    assert kinds["route_lead"] is Kind.PIVOT
    undoable = {n for n, k in kinds.items() if k is Kind.COMPENSATABLE}
    assert undoable == {"capture_lead", *MADE}


def test_a_run_leads_to_its_page() -> None:
    assert lead_page(key_of(UUID(int=7))).endswith("-000000000007/")


# --- the payload -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("email", "ann@example.com\nBcc: all@example.com"),
        ("name", ""),
        ("company", ""),
        ("employees", 0),
        ("budget", -1),
        ("budget", 1.5),
        ("score", 100),
    ],
)
def test_an_inquiry_that_cannot_be_worked_on_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Inquiry.model_validate({**PROMISING.model_dump(), field: value})
