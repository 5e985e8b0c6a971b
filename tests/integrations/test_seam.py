import threading

import pytest

from integrations import (
    accounts,
    analytics,
    inventory,
    notifications,
    payments,
    shipping,
    slack,
)
from integrations.accounts.fake import FakeAccounts
from integrations.analytics.fake import FakeAnalytics
from integrations.inventory.fake import FakeInventory
from integrations.notifications.fake import FakeNotifications
from integrations.payments.fake import FakePayments
from integrations.sandbox.process import RunningSandbox
from integrations.seam import Seam
from integrations.shipping.fake import FakeShipping
from integrations.slack.fake import FakeSlack


def test_the_real_connector_is_made_once_and_when_first_asked_for() -> None:
    made: list[object] = []

    def connect() -> object:
        made.append(object())
        return made[-1]

    seam = Seam(connect)
    assert made == []
    assert seam.connector() is seam.connector()
    assert len(made) == 1


def test_a_replacement_is_used_for_the_length_of_the_block_only() -> None:
    seam = Seam(lambda: "real")
    with seam.use("outer"):
        with seam.use("inner") as used:
            assert seam.connector() == used == "inner"
        assert seam.connector() == "outer"
    assert seam.connector() == "real"


def test_an_error_in_the_block_brings_the_real_connector_back() -> None:
    seam = Seam(lambda: "real")
    with pytest.raises(ZeroDivisionError), seam.use("fake"):
        raise ZeroDivisionError
    assert seam.connector() == "real"


def test_other_threads_see_the_replacement() -> None:
    seam = Seam(lambda: "real")
    seen: list[str] = []
    with seam.use("fake"):
        thread = threading.Thread(target=lambda: seen.append(seam.connector()))
        thread.start()
        thread.join()
    assert seen == ["fake"]


@pytest.mark.parametrize(
    ("partner", "fake"),
    [
        (payments, FakePayments),
        (inventory, FakeInventory),
        (shipping, FakeShipping),
        (notifications, FakeNotifications),
        (accounts, FakeAccounts),
        (analytics, FakeAnalytics),
        (slack, FakeSlack),
    ],
)
def test_every_partner_can_be_replaced_by_its_fake(partner: object, fake: type) -> None:
    replacement = fake()
    with partner.use(replacement):  # type: ignore[attr-defined]
        assert partner.connector() is replacement  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "partner", [payments, inventory, shipping, notifications, accounts, analytics, slack]
)
def test_every_partner_has_a_real_connector(partner: object, sandbox: RunningSandbox) -> None:
    connect = partner._seam._connected  # type: ignore[attr-defined]
    connect.cache_clear()
    assert partner.connector() is partner.connector()  # type: ignore[attr-defined]
    connect.cache_clear()
