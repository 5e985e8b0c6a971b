"""``manage.py breaker``: what it shows, forces, refuses and notes."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from integrations.resilience import state, store
from integrations.resilience.state import State
from sagas.models import AuditEntry

pytestmark = pytest.mark.django_db


def said(*words: str) -> str:
    out = io.StringIO()
    call_command("breaker", *words, stdout=out)
    return out.getvalue()


def test_without_a_word_it_lists_the_partners_that_steps_name() -> None:
    lines = said().splitlines()
    assert lines[0].split() == ["PARTNER", "STATE", "GENERATION", "SINCE", "DETAIL"]
    (payments,) = [line for line in lines if line.startswith("payments")]
    assert payments.split()[1:3] == ["closed", "0"]
    assert "0 of 0 calls failed" in payments


def test_one_is_opened_and_closed_by_force_and_the_audit_knows_who_and_why() -> None:
    text = said("open", "payments", "--reason", "maintenance until noon")
    assert text == "The circuit breaker of payments is forced open (generation 1).\n"
    (found,) = state.standings(["payments"])
    assert found.state is State.FORCED
    assert found.why.startswith("shell:")
    assert found.why.endswith(": maintenance until noon")
    assert "forced open" in said("list")
    said("close", "payments", "--reason", "it is over")
    verbs = AuditEntry.objects.order_by("number").values_list("verb", "reason", "subject")
    assert list(verbs) == [
        ("open breaker", "maintenance until noon", "partner payments"),
        ("close breaker", "it is over", "partner payments"),
    ]


def test_a_partner_that_nobody_knows_is_refused() -> None:
    with pytest.raises(CommandError, match="Did you mean 'payments'"):
        said("open", "paymnts", "--reason", "r")
    assert state.troubled() == frozenset()


def test_a_reason_is_demanded() -> None:
    with pytest.raises(CommandError, match="reason"):
        said("open", "payments")
    with pytest.raises(CommandError, match="Say why"):
        said("open", "payments", "--reason", " ")


def test_without_redis_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: store.Shared, ask: object) -> None:
        raise store.Away

    monkeypatch.setattr(store.Shared, "do", away)
    with pytest.raises(CommandError, match="Redis cannot be reached"):
        said()
    assert not AuditEntry.objects.exists()
