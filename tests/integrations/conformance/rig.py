"""A partner under test: its fake, or its real client against the sandbox, driven alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from integrations.accounts.client import connect as connect_accounts
from integrations.accounts.fake import FakeAccounts
from integrations.analytics.client import connect as connect_analytics
from integrations.analytics.fake import FakeAnalytics
from integrations.effects import Effect
from integrations.errors import (
    PartnerError,
    PartnerRefused,
    PartnerUnavailable,
    PartnerUnknown,
)
from integrations.fakes import Fake
from integrations.hubspot.client import connect as connect_hubspot
from integrations.hubspot.fake import FakeHubSpot
from integrations.inventory.client import connect as connect_inventory
from integrations.inventory.fake import FakeInventory
from integrations.notifications.client import connect as connect_notifications
from integrations.notifications.fake import FakeNotifications
from integrations.payments.client import connect as connect_payments
from integrations.payments.fake import FakePayments
from integrations.salesforce.client import connect as connect_salesforce
from integrations.salesforce.fake import FakeSalesforce
from integrations.sandbox.process import RunningSandbox
from integrations.shipping.client import connect as connect_shipping
from integrations.shipping.fake import FakeShipping
from integrations.slack.client import connect as connect_slack
from integrations.slack.fake import FakeSlack

FAKES: dict[str, Callable[[], Fake]] = {
    "payments": FakePayments,
    "inventory": FakeInventory,
    "shipping": FakeShipping,
    "notifications": FakeNotifications,
    "accounts": FakeAccounts,
    "hubspot": FakeHubSpot,
    "salesforce": FakeSalesforce,
    "analytics": FakeAnalytics,
    "slack": FakeSlack,
}
CONNECTS: dict[str, Callable[[], Any]] = {
    "payments": connect_payments,
    "inventory": connect_inventory,
    "shipping": connect_shipping,
    "notifications": connect_notifications,
    "accounts": connect_accounts,
    "hubspot": connect_hubspot,
    "salesforce": connect_salesforce,
    "analytics": connect_analytics,
    "slack": connect_slack,
}
"""The real clients, by partner."""

# What each fault of the sandbox means to a caller, and whether the effect came first.
MEANINGS: dict[str, tuple[type[PartnerError], bool]] = {
    "refuse": (PartnerRefused, False),
    "unavailable-503": (PartnerUnavailable, False),
    "rate-limit-429": (PartnerUnavailable, False),
    "error-500": (PartnerUnknown, False),
    "drop-before": (PartnerUnknown, False),
    "drop-after": (PartnerUnknown, True),
    "garbage": (PartnerUnknown, True),
    "slow": (PartnerUnknown, True),
}


@dataclass
class Rig:
    """One client and the ways to make it fail and to see what it did."""

    partner: str
    client: Any
    reference: str
    fake: Fake | None
    sandbox: RunningSandbox | None

    def fault(self, operation: str, fault: str) -> None:
        """Let the next call of a writing operation meet `fault`, once."""
        if self.fake is not None:
            self._script(operation, fault)
        else:
            self._rule(operation, fault, reference=self.reference)

    def fault_reading(self, operation: str) -> None:
        """Let the next call of a reading operation get no answer."""
        if self.fake is not None:
            self.fake.fail_next(operation, PartnerUnavailable)
        else:
            self._rule(operation, "drop-before")

    def effects(self) -> list[str]:
        """The kinds of what happened for this test's reference, in order."""
        return [effect.kind for effect in self._effects()]

    def doubles(self) -> list[str]:
        ours = {effect.seq for effect in self._effects()}
        problems = self.fake.audit() if self.fake is not None else self._sandbox().ledger.audit()
        return [str(problem) for problem in problems if problem.second.seq in ours]

    def set_stock(self, sku: str, quantity: int) -> None:
        target = self.fake if isinstance(self.fake, FakeInventory) else self._sandbox()
        target.set_stock(sku, quantity)

    def _effects(self) -> list[Effect]:
        if self.fake is not None:
            return [e for e in self.fake.effects if e.reference == self.reference]
        return self._sandbox().ledger.effects(self.reference)

    def _script(self, operation: str, fault: str) -> None:
        assert self.fake is not None
        kind, _, parameter = fault.partition(";")
        error, after_effect = MEANINGS[kind]
        wait = float(parameter.partition("=")[2]) if "retry-after" in parameter else None
        self.fake.fail_next(operation, error, after_effect=after_effect, retry_after=wait)

    def _rule(self, operation: str, fault: str, **conditions: str) -> None:
        service = "messages" if self.partner == "notifications" else self.partner
        sandbox = self._sandbox()
        sandbox.add_fault(fault, service=service, operation=operation, times=1, **conditions)

    def _sandbox(self) -> RunningSandbox:
        assert self.sandbox is not None
        return self.sandbox
