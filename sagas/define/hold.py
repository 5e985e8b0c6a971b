"""Which holds stop a step: an operator's, on its run, its saga, its queue or its partner.

A hold is named ``kind:target``. It stops claims and nothing else: it is no state of a run.
"""

from __future__ import annotations

from collections.abc import Iterable

from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.define.view import RunView


def covering(view: RunView, step: Step, default_queue: str) -> frozenset[str]:
    """Those of the holds in force that stop a step of a run, in both directions.

    Args:
        default_queue: where steps go that name no queue.
    """
    return view.holds & names(view, step, default_queue) if view.holds else view.holds


def names(view: RunView, step: Step, default_queue: str) -> frozenset[str]:
    """Every hold that would stop a step of a run, whether or not it is in force."""
    return frozenset({f"run:{view.id}", f"saga:{view.saga}", *of_step(step, default_queue)})


def of_step(step: Step, default_queue: str) -> frozenset[str]:
    """Those of them that would stop it in every run."""
    queue = f"queue:{step.queue or default_queue}"
    return frozenset({queue} if step.partner is None else {queue, f"partner:{step.partner}"})


def reach(
    kind: str, target: str, sagas: Iterable[Definition], default_queue: str
) -> list[tuple[str, int, str]]:
    """The steps that a hold on a queue or a partner stops: saga, version and step by name."""
    return [
        (saga.name, saga.version, step.name)
        for saga in sagas
        for step in saga.steps.values()
        if target == (step.partner if kind == "partner" else step.queue or default_queue)
    ]
