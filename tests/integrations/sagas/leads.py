"""The CRMs' fakes in the place of their connectors, inquiries, and what a step is called with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from integrations import hubspot, salesforce, slack
from integrations.fakes import Fake
from integrations.hubspot.fake import FakeHubSpot
from integrations.sagas.lead_qualification import Inquiry
from integrations.salesforce.fake import FakeSalesforce
from integrations.slack.fake import FakeSlack
from sagas.api import Run

PROMISING = Inquiry(
    name="Ann Lee", email="ann@lee.example", company="Lee Ltd", employees=500, budget=20_000
)
FOR_LATER = Inquiry(name="Bob Ray", email="bob@gmail.com", company="Ray", employees=1, budget=500)
KEY = "lead:5ea1"


@dataclass
class Crms:
    """All partners of a lead, in this process."""

    hubspot: FakeHubSpot = field(default_factory=FakeHubSpot)
    salesforce: FakeSalesforce = field(default_factory=FakeSalesforce)
    slack: FakeSlack = field(default_factory=FakeSlack)

    @property
    def all(self) -> list[Fake]:
        return [self.hubspot, self.salesforce, self.slack]

    def effects(self) -> list[str]:
        return [effect.kind for fake in self.all for effect in fake.effects]

    def doubles(self) -> list[object]:
        return [problem for fake in self.all for problem in fake.audit()]


@contextmanager
def fake_crms() -> Iterator[Crms]:
    """Let the saga's steps meet fakes for the length of the block."""
    fakes = Crms()
    with ExitStack() as stack:
        stack.enter_context(hubspot.use(fakes.hubspot))
        stack.enter_context(salesforce.use(fakes.salesforce))
        stack.enter_context(slack.use(fakes.slack))
        yield fakes


def run_of(
    inquiry: Inquiry = PROMISING,
    *,
    key: str = KEY,
    result: Any = None,
    remaining: float = 5.0,
    **results: Any,
) -> Run[Inquiry]:
    """What a step's function of the lead's run is called with."""
    known = {"open_opportunity": None, "write_nurture_note": None, **results}
    return Run(
        id=uuid4(),
        saga="lead-qualification",
        business_key=key,
        payload=inquiry,
        results=known,
        key="k",
        attempt=1,
        result=result,
        now=datetime(2030, 1, 1, tzinfo=UTC),
        started_at=datetime(2030, 1, 1, tzinfo=UTC),
        elapsed=0.0,
        clock=lambda: remaining,
    )
