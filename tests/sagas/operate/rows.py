"""Rows of the record, written without the engine, for what only reads them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from sagas.models import Run, Step


def a_run(key: str = "k", status: str = "running", **values: Any) -> Run:
    """A run in a state, with what that state demands."""
    given: dict[str, Any] = {
        "saga": "flow",
        "version": 1,
        "business_key": key,
        "payload": {},
        "status": status,
    }
    if status == "needs_attention":
        given["attention"] = "why"
    if status in ("succeeded", "compensated", "resolved"):
        given["finished_at"] = timezone.now()
    return Run.objects.create(**given | values)


def a_step(run: Run, status: str = "ready", name: str = "a", **values: Any) -> Step:
    """A forward step of a run."""
    return Step.objects.create(
        run=run, name=name, direction="forward", position=0, status=status, **values
    )


def ago(**span: float) -> Any:
    """A moment before now."""
    return timezone.now() - timedelta(**span)
