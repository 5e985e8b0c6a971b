"""Messages that tell workers to look into the inbox. Of a lost one, a sweep sends another."""

from __future__ import annotations

import logging
import time

from celery import current_app

from integrations.webhooks import inbox

logger = logging.getLogger("integrations.webhooks")

TASK = "integrations.webhooks.work"

_EXPIRES = 60  # what is older tells a worker nothing: sweeps have said it again
_SILENT = 5.0  # after a failure: no request waits for a broker that was away a moment ago
_next_try = 0.0


def send() -> bool:
    """Tell a worker. False: no message went out."""
    global _next_try
    if time.monotonic() < _next_try:
        return False
    try:
        current_app.send_task(TASK, ignore_result=True, expires=_EXPIRES)
    except Exception as error:  # whatever the broker's client raises: the inbox has the event
        _next_try = time.monotonic() + _SILENT
        logger.warning("No message sent (%s); a sweep will send it.", type(error).__name__)
        return False
    return True


def after_sweep(**_: object) -> None:
    """What a worker does about it each second."""
    send_if_late()


def send_if_late() -> bool:
    """Tell a worker if an event waits of which none seems to know."""
    return inbox.late() and send()
