"""Lead qualification, killed at every moment of the protocol: both ways that a lead can go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from pydantic import SecretStr

from integrations import hubspot, salesforce, slack
from integrations.hubspot import Contact, Note, Person
from integrations.hubspot.client import HttpHubSpot
from integrations.leads.models import Lead, Stage
from integrations.leads.score import Score
from integrations.oauth.exchange import FixedToken
from integrations.sagas.lead_qualification import Inquiry, lead_qualification
from integrations.salesforce import Opportunity
from integrations.salesforce.client import connect as connect_salesforce
from integrations.sandbox.hubspot import ACCESS_TOKEN
from integrations.sandbox.process import RunningSandbox, running_sandbox
from integrations.slack.client import connect as connect_slack
from sagas.testing import crash_matrix

pytestmark = pytest.mark.django_db(transaction=True)

PROMISING = Inquiry(
    name="Ann Lee", email="ann@lee.example", company="Lee Ltd", employees=500, budget=20_000
)
FOR_LATER = Inquiry(name="Bob Ray", email="bob@gmail.com", company="Ray", employees=1, budget=500)
RESULTS: dict[str, Any] = {
    "create_contact": Contact(id="101", reference="lead"),
    "open_opportunity": Opportunity(id="006A", reference="lead"),
    "write_nurture_note": Note(id="102", reference="lead"),
}

WAYS = {
    "opportunity": (PROMISING, Score(75, qualified=True), "write_nurture_note"),
    "nurture": (FOR_LATER, Score(0, qualified=False), "open_opportunity"),
}


class _NewPeople(HttpHubSpot):
    """The matrix has one payload: so that each run makes a contact, each has its own address."""

    def create_contact(self, person: Person, reference: str, *, timeout: float) -> Contact:
        own = replace(person, email=f"{uuid5(NAMESPACE_URL, reference)}.{person.email}")
        return super().create_contact(own, reference, timeout=timeout)


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSandbox]:
    """The sandbox in the place of all partners of a lead."""
    with running_sandbox(tmp_path / "ledger") as sandbox, ExitStack() as connected:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        people = _NewPeople(sandbox.address, FixedToken(SecretStr(ACCESS_TOKEN)))
        connected.enter_context(hubspot.use(people))
        connected.enter_context(salesforce.use(connect_salesforce()))
        connected.enter_context(slack.use(connect_slack()))
        yield sandbox


@pytest.mark.parametrize("way", WAYS)
def test_no_crash_breaks_a_lead(way: str) -> None:
    inquiry, judged, left_out = WAYS[way]
    results = {**RESULTS, "score_lead": judged}
    report = crash_matrix(lead_qualification, inquiry, results=results)
    assert not report.violations, str(report)
    crashed = {(case.point, case.step, case.direction) for case in report.cases}
    steps = lead_qualification.steps.keys() - {left_out}
    if way == "nurture":
        steps -= {"tell_sales"}
    undone = [name for name in steps if lead_qualification.steps[name].compensation]
    places = {*((name, "forward") for name in steps), *((name, "backward") for name in undone)}
    for point in ("K1", "K2", "K3", "K4"):
        assert {(point, *place) for place in places} <= crashed
    assert not any(step == left_out for _, step, _ in crashed)


@pytest.mark.parametrize("way", WAYS)
def test_no_crash_breaks_a_lead_at_crms_over_http(way: str, sandbox: RunningSandbox) -> None:
    report = crash_matrix(lead_qualification, WAYS[way][0], live=True)
    assert not report.violations, str(report)
    assert sandbox.ledger.audit() == []
    stages = dict(Lead.objects.values_list("key", "stage"))
    assert {*stages.values()} == {Stage(way), Stage.DROPPED}
    made = [e for e in sandbox.ledger.in_force() if e.kind.endswith("_created")]
    assert Counter(effect.reference for effect in made) == {
        key: 2 for key, stage in stages.items() if stage == way
    }
