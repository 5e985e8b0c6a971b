"""The queues that Celery's settings know."""

from __future__ import annotations

from celery import current_app


def default_queue() -> str:
    """Where steps go that name no queue."""
    return str(current_app.conf.task_default_queue)


def routed_queues() -> frozenset[str]:
    """The names of the queues that Celery's settings know."""
    queues = current_app.conf.task_queues or ()
    names = {q if isinstance(q, str) else q.name for q in queues}
    return frozenset({*names, default_queue()})
