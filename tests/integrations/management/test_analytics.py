from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from integrations import analytics
from integrations.analytics.client import connect
from integrations.analytics.fake import FakeAnalytics
from integrations.errors import PartnerUnavailable
from integrations.management.commands import analytics as command
from integrations.sandbox.process import RunningSandbox


@pytest.fixture
def fake() -> Iterator[FakeAnalytics]:
    with analytics.use(FakeAnalytics()) as fake:
        assert isinstance(fake, FakeAnalytics)
        yield fake


def printed() -> str:
    out = StringIO()
    call_command("analytics", stdout=out)
    return out.getvalue()


def test_our_events_are_what_the_partner_takes(sandbox: RunningSandbox) -> None:
    with analytics.use(connect()):
        assert printed().startswith("sign_up: ok\n")


def test_an_event_that_would_vanish_fails_the_command(
    fake: FakeAnalytics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "EVENTS", (("sign_up", {}), ("session_start", {})))
    with pytest.raises(CommandError, match=r"session_start: .* reserved") as caught:
        printed()
    assert "sign_up: ok" in str(caught.value)


def test_a_partner_that_is_away_fails_the_command(fake: FakeAnalytics) -> None:
    fake.fail_next("validate", PartnerUnavailable)
    with pytest.raises(CommandError, match="analytics validate"):
        printed()


def test_nothing_is_counted(fake: FakeAnalytics) -> None:
    printed()
    assert fake.effects == []
