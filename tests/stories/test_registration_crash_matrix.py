"""Customer registration, killed at every moment of the protocol, at partners over HTTP."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from pydantic import SecretStr

from integrations import accounts, analytics, hubspot, notifications, payments, slack
from integrations.accounts import Account
from integrations.accounts.client import FirebaseAccounts
from integrations.accounts.credentials import ServiceAccount
from integrations.accounts.tokens import AssertedTokens
from integrations.analytics.client import connect as connect_analytics
from integrations.conf import AccountsSettings, load
from integrations.hubspot import Contact, Person
from integrations.hubspot.client import HttpHubSpot
from integrations.notifications.client import connect as connect_notifications
from integrations.oauth.exchange import FixedToken
from integrations.payments.client import connect as connect_payments
from integrations.sagas.customer_registration import Registration, customer_registration
from integrations.sandbox.hubspot import ACCESS_TOKEN
from integrations.sandbox.process import RunningSandbox, running_sandbox
from integrations.slack.client import connect as connect_slack
from sagas.testing import crash_matrix

pytestmark = pytest.mark.django_db(transaction=True)

SOMEBODY = Registration(registration_id=UUID(int=7), name="Ann Smith", email="ann@example.com")
KEPT = {"account_created", "account_enabled", "customer_created", "contact_created"}
TOLD_ONCE = {"event_recorded", "posted"}


def own(email: str, reference: str) -> str:
    """The matrix has one payload: so that each run is somebody else's, each has its own address."""
    return f"{uuid5(NAMESPACE_URL, reference)}.{email}"


class _NewAccounts(FirebaseAccounts):
    def create(self, email: str, name: str, reference: str, *, timeout: float) -> Account:
        return super().create(own(email, reference), name, reference, timeout=timeout)


class _NewPeople(HttpHubSpot):
    def create_contact(self, person: Person, reference: str, *, timeout: float) -> Contact:
        somebody = replace(person, email=own(person.email, reference))
        return super().create_contact(somebody, reference, timeout=timeout)


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSandbox]:
    """The sandbox in the place of all partners of a registration."""
    with running_sandbox(tmp_path / "ledger") as sandbox, ExitStack() as connected:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        settings = load(AccountsSettings)
        account = ServiceAccount.read(settings.accounts_credentials)
        tokens = AssertedTokens(account, str(settings.accounts_token_url))
        for replaced in (
            accounts.use(_NewAccounts(settings, account.project, tokens)),
            hubspot.use(_NewPeople(sandbox.address, FixedToken(SecretStr(ACCESS_TOKEN)))),
            payments.use(connect_payments()),
            notifications.use(connect_notifications()),
            analytics.use(connect_analytics()),
            slack.use(connect_slack()),
        ):
            connected.enter_context(replaced)
        yield sandbox


def test_no_crash_breaks_a_registration_at_partners_over_http(sandbox: RunningSandbox) -> None:
    report = crash_matrix(customer_registration, SOMEBODY, live=True)
    assert not report.violations, str(report)
    assert sandbox.ledger.audit() == []
    left: dict[str, Counter[str]] = defaultdict(Counter)
    for effect in sandbox.ledger.in_force():
        left[effect.reference][effect.kind] += 1
    registered = {key for key, kinds in left.items() if kinds.keys() >= KEPT}
    assert registered
    assert left.keys() == registered, "what was turned back left something"
    for kinds in left.values():
        assert all(count == 1 for count in kinds.values())
        assert kinds.keys() <= {*KEPT, *TOLD_ONCE, "sent"}
