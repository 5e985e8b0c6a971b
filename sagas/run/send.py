"""Publishing canvases. A message is a hint: one that cannot be sent is sent by a later sweep.

For what a hold stops none is sent: nobody may take it, and a queue that stands still would grow.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from sagas.define.hold import covering
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.run.canvas import canvas, publish
from sagas.run.points import reached
from sagas.run.publishing import published
from sagas.run.queues import default_queue


def send(saga: Definition, view: RunView, rows: list[StepView]) -> bool:
    """Send what makes a worker perform these steps. False: it failed, and a sweep will do it."""
    rows = unheld(saga, view, rows)
    if not rows:
        return True
    return published(lambda: publish(canvas(saga, view, rows)), f"Run {view.id}")


def unheld(saga: Definition, view: RunView, rows: list[StepView]) -> list[StepView]:
    """Those steps that no hold stops, as far as the view knows."""
    if not view.holds:
        return rows
    default = default_queue()
    return [row for row in rows if not covering(view, saga.steps[row.name], default)]


def send_on_commit(saga: Definition, view: RunView, rows: list[StepView]) -> None:
    """Send when the caller's transaction has committed; at once if there is none."""

    def deliver() -> None:
        reached("K7")
        send(saga, view, rows)

    transaction.on_commit(deliver, robust=True)


def nothing(*_: Any) -> bool:
    """Carry nothing: what a caller that is no worker answers to the planner."""
    return False
