"""Customer registration: an account, a customer who can be billed, a contact; then let them in."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from django.urls import reverse
from pydantic import BaseModel, ConfigDict, Field

from integrations import accounts, analytics, hubspot, notifications, payments, slack
from integrations.hubspot import Person
from integrations.sagas import contacts
from integrations.sagas.outcomes import PARTNER_ERRORS
from sagas.api import NotApplied, Redacted, Retry, Run, Saga, parallel, pivot, step

A_DAY = 24 * 3600.0

SIGN_UP = "sign_up"
"""The event of Google's that counts registrations."""
SIGN_UP_PARAMS: analytics.Params = {"method": "form"}

_PREFIX = "registration:"
_NAME = r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"

_WELCOME = """Welcome, {name}!

Your account is ready. It has no password yet: choose one at your first visit by way of
"Forgotten your password?".
"""


class Registration(BaseModel):
    """Who registers. There is no password in it: a run's payload is stored."""

    model_config = ConfigDict(extra="forbid")

    registration_id: UUID
    name: Annotated[str, Redacted, Field(max_length=100, pattern=_NAME)]
    email: Annotated[str, Redacted, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


def key_of(registration_id: UUID) -> str:
    """The business key of the run of the registration with that id."""
    return f"{_PREFIX}{registration_id}"


def registration_page(business_key: str) -> str:
    """The address of the registration's page in the shop."""
    return reverse("shop:registration", args=[business_key.removeprefix(_PREFIX)])


def registration_title(who: Registration) -> str:
    """Its number as people say it: all else that is known of it is the customer's own."""
    return f"registration {str(who.registration_id)[:8]}"


# Make an account. Nobody can sign in to it yet.


@step(partner="accounts", retry=Retry(attempts=5), timeout=10)
def create_account(run: Run[Registration]) -> accounts.Account:
    """Make the account, disabled, so that nobody is let in who may be turned away."""
    who = run.payload
    return accounts.connector().create(who.email, who.name, run.business_key, timeout=run.remaining)


@create_account.verify
def find_account(run: Run[Registration]) -> accounts.Account | NotApplied:
    """Ask whether the account is there."""
    return accounts.connector().find(run.business_key, timeout=run.remaining) or NotApplied()


@create_account.compensate(timeout=10, tolerates_nothing=True)
def delete_account(run: Run[Registration]) -> None:
    """Delete the account; its id is our reference, whether we got an answer or not."""
    accounts.connector().delete(run.business_key, timeout=run.remaining)


# Make a customer of the payment partner.


@step(partner="payments", retry=Retry(attempts=5), timeout=10)
def create_customer(run: Run[Registration]) -> payments.Customer:
    """Make them a customer who can be billed."""
    who = run.payload
    return payments.connector().create_customer(
        who.email, who.name, run.business_key, key=run.key, timeout=run.remaining
    )


@create_customer.verify
def find_customer(run: Run[Registration]) -> payments.Customer | NotApplied:
    """Ask whether the payment partner has the customer."""
    found = payments.connector().find_customer(
        run.payload.email, run.business_key, run.key, timeout=run.remaining
    )
    return found or NotApplied()


@create_customer.compensate(timeout=10, tolerates_nothing=True)
def delete_customer(run: Run[Registration]) -> None:
    """Delete the customer, also if only the payment partner knows that there is one."""
    partner = payments.connector()
    made = run.result or partner.find_customer(
        run.payload.email, run.business_key, timeout=run.remaining
    )
    if made:
        partner.delete_customer(made.id, key=run.key, timeout=run.remaining)


# Make a contact in the CRM, unless there is one: whoever registers may have been a lead before.


@step(partner="hubspot", retry=Retry(attempts=5), timeout=10)
def create_contact(run: Run[Registration]) -> hubspot.Contact:
    """Make the contact, or keep the one that has their address already."""
    person = Person(email=run.payload.email, firstname=run.payload.name)
    return contacts.keep(person, run.business_key, timeout=run.remaining)


@create_contact.verify
def find_contact(run: Run[Registration]) -> hubspot.Contact | NotApplied:
    """Ask whether the CRM has a contact made by us, or one with their address."""
    crm = hubspot.connector()
    found = crm.find_contact(run.business_key, timeout=run.remaining)
    return (
        found or crm.find_contact_by_email(run.payload.email, timeout=run.remaining) or NotApplied()
    )


@create_contact.compensate(timeout=10, tolerates_nothing=True)
def archive_contact(run: Run[Registration]) -> None:
    """Archive the contact that we made, and never one that was there before."""
    contacts.archive_made(run.business_key, timeout=run.remaining)


# Let them in: from here on they are registered.


@step(partner="accounts", retry=Retry(attempts=5), timeout=10)
def enable_account(run: Run[Registration]) -> accounts.Account:
    """Enable the account. Its owner chooses a password by the reset link, so none is known here."""
    made = run.results["create_account"]
    return accounts.connector().enable(made.id, timeout=run.remaining)


@enable_account.verify
def find_enabled_account(run: Run[Registration]) -> accounts.Account | NotApplied:
    """Ask whether the account is enabled."""
    there = accounts.connector().find(run.business_key, timeout=run.remaining)
    return there if there and not there.disabled else NotApplied()


# Tell those who want to know. None of it can be taken back, so it follows the point of no return;
# and none of it may hold up or undo a registration.


@step(
    partner="notifications",
    retry=Retry(attempts=None, cap=300, total=A_DAY),
    timeout=10,
    optional=True,
)
def send_welcome(run: Run[Registration]) -> notifications.Sent:
    """Mail the customer that the account is ready."""
    return notifications.connector().send(
        run.payload.email,
        "Your account is ready",
        _WELCOME.format(name=run.payload.name),
        run.business_key,
        key=run.key,
        timeout=run.remaining,
    )


@send_welcome.verify
def find_welcome(run: Run[Registration]) -> notifications.Sent | NotApplied:
    """Ask the mail partner whether it took the mail: a mail server would take it twice."""
    return notifications.connector().find(run.key, timeout=run.remaining) or NotApplied()


@step(partner="analytics", retry=Retry(attempts=5), timeout=10, optional=True, idempotent=False)
def record_sign_up(run: Run[Registration]) -> None:
    """Count the registration, once or not at all: Google can neither be asked nor told again."""
    analytics.connector().record(SIGN_UP, SIGN_UP_PARAMS, run.business_key, timeout=run.remaining)


@step(partner="slack", retry=Retry(attempts=5), timeout=10, optional=True, idempotent=False)
def tell_team(run: Run[Registration]) -> None:
    """Tell our people, once or not at all, that somebody registered, and not who."""
    slack.connector().post(
        "A new customer has registered.", run.business_key, timeout=run.remaining
    )


customer_registration = Saga(
    "customer-registration",
    payload=Registration,
    errors=PARTNER_ERRORS,
    steps=[
        create_account,
        create_customer,
        create_contact,
        pivot(enable_account),
        parallel(send_welcome, record_sign_up, tell_team),
    ],
    about=registration_page,
    queue="anonymous",
    backlog=200,
    title=registration_title,
)
