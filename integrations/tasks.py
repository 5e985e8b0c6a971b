"""The Celery tasks: thin, so that everything they do can be called without Celery."""

from __future__ import annotations

from celery import shared_task

from integrations.webhooks import hint
from integrations.webhooks.work import work


@shared_task(name=hint.TASK, acks_late=True, ignore_result=True)
def handle_webhooks() -> None:
    """Handle the webhook events that are due, for a while; then let other tasks have the worker."""
    work(_SLICE)
    hint.send_if_late()


_SLICE = 2.0  # seconds
