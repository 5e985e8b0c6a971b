"""A run as a Celery canvas: the messages that hint at what the record already decided.

A chain carries the steps of one sequence up to the next fork, with an errback on every link. The
fork and the join are the record's: no chord, which a redelivered header task can break for good.
"""

from __future__ import annotations

from typing import Any

from celery import Signature, group, signature
from celery.canvas import _chain as chain  # what chain(...) gives, without joining pair by pair

from sagas.define.frontier import segment
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.define.view import RunView, StepView
from sagas.states import Direction

STEP_TASK = {Direction.FORWARD: "sagas.step", Direction.BACKWARD: "sagas.compensate"}
ERRBACK = {Direction.FORWARD: "sagas.undo", Direction.BACKWARD: "sagas.park"}


def canvas(saga: Definition, view: RunView, rows: list[StepView]) -> Signature[Any]:
    """What is sent so that some worker performs these steps and what follows them.

    Args:
        rows: steps that are ready now; several where parallel branches fork.

    Returns:
        a chain with its errback, or a group of such chains.
    """
    chains = [_chain(saga, view, row) for row in rows]
    return chains[0] if len(chains) == 1 else group(*chains)


def publish(canvas: Signature[Any]) -> None:
    """Send a canvas, as Celery does it but with less work: nobody asks for its links' results.

    Celery clones each link, gives it an id and a result, and joins these; that is a third of the
    price of a message.
    """
    for whole in canvas.tasks if isinstance(canvas, group) else [canvas]:
        links = list(whole.tasks) if isinstance(whole, chain) else [whole]
        links[0].apply_async(chain=links[:0:-1] or None)


def _chain(saga: Definition, view: RunView, row: StepView) -> Signature[Any]:
    steps = segment(saga, view, row.direction, saga.steps[row.name])
    links = [_link(view, step, row.direction) for step in steps]
    errback = _signature(ERRBACK[row.direction], str(view.id), view.epoch)
    for link in links:
        link.options["link_error"] = [errback]
    if len(links) == 1:
        return links[0]
    whole = chain(*links)
    whole.options["link_error"] = [errback]
    return whole


def _link(view: RunView, step: Step, direction: Direction) -> Signature[Any]:
    saga = f"{view.saga}/{view.version}"
    link = _signature(STEP_TASK[direction], str(view.id), view.epoch, step.name, saga)
    if step.queue is not None:
        link.set(queue=step.queue)
    return link


def _signature(task: str, *args: Any) -> Signature[Any]:
    """A link that ignores what the task before it gave, and stores no result of its own.

    It is dropped once it has waited for a day; with RabbitMQ by the broker, else by the worker
    that reads it.

    The task's own ``ignore_result`` does not count where a process sends it by name only, as a web
    process does that has not imported the tasks.
    """
    options = {"ignore_result": True, "expires": _EXPIRES, "expiration": _EXPIRES}
    return signature(task, args=args, immutable=True, **options)


# Long before, copies have followed it. A worker compares it with its own clock, so it must be more
# than any clock is wrong by: one that is ahead by an hour would else drop whatever others send.
_EXPIRES = 86_400.0  # seconds


class Links:
    """The rest of the chain that a message carries: what Celery publishes when its task ends.

    Celery keeps the links of a chain in ``request.chain``, the next one last, and reads them
    after the task's body; so a body that drops a link keeps Celery from sending it.
    """

    def __init__(self, chain: list[Any] | None) -> None:
        self._chain = chain if chain is not None else []

    def names(self) -> list[str]:
        """The steps that the links are for, the next one first."""
        return [str(link["args"][2]) for link in reversed(self._chain)]

    def drop_through(self, name: str) -> None:
        """Drop the link of that step, if it has one: it is performed here; and those before it."""
        names = [link["args"][2] for link in self._chain]
        if name in names:
            del self._chain[names.index(name) :]

    def keep_from(self, name: str) -> bool:
        """Keep the links from that step on. False, and no link kept, if there is none of it."""
        names = [link["args"][2] for link in self._chain]
        if name not in names:
            self._chain.clear()
            return False
        del self._chain[names.index(name) + 1 :]
        return True

    def clear(self) -> None:
        """Drop every link."""
        self._chain.clear()
