"""Lead qualification: capture it, judge it, make a contact, and hand it to sales or nurture it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from django.urls import reverse
from pydantic import BaseModel, ConfigDict, Field

from integrations import hubspot, salesforce, slack
from integrations.hubspot import Person
from integrations.leads.models import Lead, Stage
from integrations.leads.score import Score, score
from integrations.sagas import contacts
from integrations.sagas.outcomes import PARTNER_ERRORS
from integrations.salesforce import Deal
from sagas.api import NotApplied, Redacted, Retry, Run, Saga, pivot, step

A_DAY = 24 * 3600.0
STAGE = "Prospecting"
"""The stage that a new opportunity is in: one of Salesforce's own."""
CLOSES_IN = timedelta(days=30)


class Inquiry(BaseModel):
    """What somebody told us who asked for an offer."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Redacted, Field(min_length=1, max_length=100)]
    email: Annotated[str, Redacted, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    company: Annotated[str, Redacted, Field(min_length=1, max_length=100)]
    employees: Annotated[int, Field(ge=1, le=10_000_000)]
    budget: Annotated[int, Field(ge=0, le=1_000_000_000, description="in whole units")]


def key_of(lead_id: UUID) -> str:
    """The business key of the run that works on that lead, and our reference at the CRMs."""
    return f"{_PREFIX}{lead_id}"


def lead_page(business_key: str) -> str:
    """The address of the page that tells how far a lead's run is."""
    return reverse("shop:lead", args=[business_key.removeprefix(_PREFIX)])


def lead_title(asked: Inquiry) -> str:
    """What is asked for; not by whom, for a small company goes by its owner's name."""
    return f"{asked.employees:,} employees, budget {asked.budget:,}"


_PREFIX = "lead:"


def _is_qualified(run: Run[Inquiry]) -> bool:
    return bool(run.results["score_lead"].qualified)


def _is_for_later(run: Run[Inquiry]) -> bool:
    return not _is_qualified(run)


# Our own record: a row that is written with the steps' outcomes, so exactly once.


@step(atomic=True, timeout=10)
def capture_lead(run: Run[Inquiry]) -> None:
    """Write the lead down, so that it is known whatever becomes of it."""
    asked = run.payload.model_dump()
    Lead.objects.update_or_create(key=run.business_key, defaults={**asked, "stage": Stage.NEW})


@capture_lead.compensate(timeout=10)
def drop_lead(run: Run[Inquiry]) -> None:
    """Mark the lead as dropped. It is kept: somebody wanted something of us."""
    Lead.objects.filter(key=run.business_key).update(
        stage=Stage.DROPPED, contact="", opportunity=""
    )


@step(atomic=True, harmless=True, timeout=10)
def score_lead(run: Run[Inquiry]) -> Score:
    """Judge the lead by what it told us."""
    judged = score(run.payload.email, run.payload.employees, run.payload.budget)
    Lead.objects.filter(key=run.business_key).update(points=judged.points)
    return judged


# A contact in the CRM, unless there is one: people ask more than once.


@step(partner="hubspot", retry=Retry(attempts=5), timeout=10)
def create_contact(run: Run[Inquiry]) -> hubspot.Contact:
    """Make the contact, or take the one that has their address already."""
    who = run.payload
    person = Person(who.email, who.name, company=who.company)
    return contacts.keep(person, run.business_key, timeout=run.remaining)


@create_contact.verify
def find_contact(run: Run[Inquiry]) -> hubspot.Contact | NotApplied:
    """Ask HubSpot whether it has the contact."""
    found = hubspot.connector().find_contact(run.business_key, timeout=run.remaining)
    return found or NotApplied()


@create_contact.compensate(timeout=10, tolerates_nothing=True)
def archive_contact(run: Run[Inquiry]) -> None:
    """Archive the contact that this run made, and never one that was there before."""
    contacts.archive_made(run.business_key, timeout=run.remaining)


# Either an opportunity for the sales people, or a note that reminds them to come back.


@step(partner="salesforce", retry=Retry(attempts=5), timeout=10, when=_is_qualified)
def open_opportunity(run: Run[Inquiry]) -> salesforce.Opportunity:
    """Open an opportunity in Salesforce for a promising lead."""
    deal = Deal(
        name=run.payload.company,
        stage=STAGE,
        closes=(run.now + CLOSES_IN).date(),
        amount=Decimal(run.payload.budget),
    )
    return salesforce.connector().create_opportunity(deal, run.business_key, timeout=run.remaining)


@open_opportunity.verify
def find_opportunity(run: Run[Inquiry]) -> salesforce.Opportunity | NotApplied:
    """Ask Salesforce whether it has the opportunity."""
    found = salesforce.connector().find_opportunity(run.business_key, timeout=run.remaining)
    return found or NotApplied()


@open_opportunity.compensate(timeout=10, tolerates_nothing=True)
def delete_opportunity(run: Run[Inquiry]) -> None:
    """Delete the opportunity, also if only Salesforce knows that there is one."""
    crm = salesforce.connector()
    made = run.result or crm.find_opportunity(run.business_key, timeout=run.remaining)
    if made:
        crm.delete_opportunity(made.id, timeout=run.remaining)


@step(partner="hubspot", retry=Retry(attempts=5), timeout=10, when=_is_for_later)
def write_nurture_note(run: Run[Inquiry]) -> hubspot.Note:
    """Note on the contact that the lead is not promising yet, and why."""
    points = run.results["score_lead"].points
    text = f"Asked for an offer. {points} of 100 points: send news, and ask again later."
    contact = run.results["create_contact"]
    return hubspot.connector().create_note(
        contact.id, text, run.business_key, timeout=run.remaining
    )


@write_nurture_note.verify
def find_nurture_note(run: Run[Inquiry]) -> hubspot.Note | NotApplied:
    """Ask HubSpot whether it has the note."""
    found = hubspot.connector().find_note(run.business_key, timeout=run.remaining)
    return found or NotApplied()


@write_nurture_note.compensate(timeout=10, tolerates_nothing=True)
def archive_nurture_note(run: Run[Inquiry]) -> None:
    """Archive the note, also if only HubSpot knows that there is one."""
    crm = hubspot.connector()
    made = run.result or crm.find_note(run.business_key, timeout=run.remaining)
    if made:
        crm.archive_note(made.id, timeout=run.remaining)


# From here on people work with it, so nothing is undone any more.


@step(atomic=True, timeout=10)
def route_lead(run: Run[Inquiry]) -> None:
    """Write down where the lead went."""
    opportunity = run.results["open_opportunity"]
    Lead.objects.filter(key=run.business_key).update(
        stage=Stage.OPPORTUNITY if opportunity else Stage.NURTURE,
        contact=run.results["create_contact"].id,
        opportunity=opportunity.id if opportunity else "",
    )


@step(
    partner="hubspot",
    retry=Retry(attempts=None, cap=300, total=A_DAY),
    timeout=10,
    optional=True,
)
def mark_contact(run: Run[Inquiry]) -> None:
    """Set the contact's lead status, so that HubSpot's own lists know. To repeat it is harmless."""
    status = "OPEN_DEAL" if run.results["open_opportunity"] else "OPEN"
    hubspot.connector().update_contact(
        run.results["create_contact"].id, {"hs_lead_status": status}, timeout=run.remaining
    )


@step(
    partner="slack",
    retry=Retry(attempts=5),
    timeout=10,
    optional=True,
    idempotent=False,
    when=_is_qualified,
)
def tell_sales(run: Run[Inquiry]) -> None:
    """Tell the sales people, once or not at all, that there is something for them."""
    slack.connector().post("A new opportunity is open.", run.business_key, timeout=run.remaining)


lead_qualification = Saga(
    "lead-qualification",
    payload=Inquiry,
    errors=PARTNER_ERRORS,
    steps=[
        capture_lead,
        score_lead,
        create_contact,
        open_opportunity,
        write_nurture_note,
        pivot(route_lead),
        mark_contact,
        tell_sales,
    ],
    about=lead_page,
    queue="anonymous",
    backlog=200,
    title=lead_title,
)
