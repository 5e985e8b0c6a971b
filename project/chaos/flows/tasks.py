"""A task of another app, in the same workers."""

from __future__ import annotations

from celery import shared_task

from project.chaos.flows.neighbours import DEEDS


@shared_task(name="chaos.neighbour", ignore_result=True)
def neighbour(deed: str) -> None:
    """Leave behind what that deed leaves behind."""
    DEEDS[deed]()
