"""Rows for the admin's pages, written without the engine."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from sagas.models import Event, Run, Signal, Step, uuid7

PAGES = {
    "run": "/admin/sagas/run/",
    "step": "/admin/sagas/step/",
    "event": "/admin/sagas/event/",
    "signal": "/admin/sagas/signal/",
}


def run(key: str = "order:1", **values: Any) -> Run:
    """A run with two steps, four events and a signal that its second step took."""
    made = Run.objects.create(
        **{
            "id": uuid7(),
            "saga": "flow",
            "version": 1,
            "business_key": key,
            "payload": {"name": "<script>alert(1)</script>"},
            "status": "running",
            **values,
        }
    )
    for position, name in enumerate(("reserve", "charge")):
        step = Step.objects.create(
            run=made, name=name, direction="forward", position=position, status="succeeded",
            result={"secret": "<b>"}, error="<i>late</i>",
        )  # fmt: skip
        for new in ("in_flight", "succeeded"):
            Event.objects.create(run=made, step=name, new=new, epoch=1, data={"why": "<u>"})
    Signal.objects.create(
        name="approved", correlation=key, payload="<s>", taken_by=step, taken_at=Now()
    )
    return made


def pages_of(made: Run) -> dict[str, str]:
    """The address of one row's page for each table."""
    step = made.steps.latest("id")
    ids = {
        "run": made.pk,
        "step": step.pk,
        "event": made.events.latest("id").pk,
        "signal": Signal.objects.get(taken_by=step).pk,
    }
    return {table: f"{PAGES[table]}{pk}/change/" for table, pk in ids.items()}
