"""Holds for tests, placed and lifted without the operator's verbs around them."""

from __future__ import annotations

from django.db.models.functions import Now

from sagas.models import Hold
from tests.sagas.stage import at_once


def stopped(kind: str, target: object) -> Hold:
    """Place a hold."""
    return Hold.objects.create(kind=kind, target=str(target), reason="a test", placed_by="ann")


def stopped_meanwhile(kind: str, target: object) -> None:
    """Place a hold on another connection, committed at once."""
    (outcome,) = at_once(lambda: stopped(kind, target))
    assert isinstance(outcome, Hold), outcome


def let_go() -> None:
    """Lift every hold by hand, so that nobody is woken: as if the one who lifted it had died."""
    Hold.objects.filter(lifted_at=None).update(lifted_at=Now(), lifted_by="ann")
