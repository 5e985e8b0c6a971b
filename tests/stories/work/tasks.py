"""A task of the host project, in the process that performs the sagas' steps."""

from __future__ import annotations

from celery import shared_task

from project.chaos.flows.neighbours import DEEDS
from tests.stories.work.neighbours import do


@shared_task(name="stories.leave", ignore_result=True)
def leave(deeds: list[str]) -> None:
    """Do the first of these, and have a task of its own do the next."""
    try:
        do(deeds[0], DEEDS[deeds[0]], "task")
    finally:
        if deeds[1:]:
            leave.delay(deeds[1:])
