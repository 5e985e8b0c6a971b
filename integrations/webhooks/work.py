"""Events are handed to their handlers: each in one transaction with all that it causes."""

from __future__ import annotations

import logging
import math
import time
import traceback
from pathlib import Path

from django.db import transaction

from integrations.webhooks import inbox
from integrations.webhooks.handlers import Unfit, handler
from integrations.webhooks.inbox import Claim
from integrations.webhooks.models import EventStatus
from integrations.webhooks.received import Malformed
from sagas.api import KeyConflict, PayloadInvalid, Retry, SagaError

logger = logging.getLogger("integrations.webhooks")

RETRY = Retry(attempts=12, base=5, cap=3600)
"""About an hour in all, for what a deployment or a repaired table can cure."""

_HOPELESS = (Unfit, Malformed, PayloadInvalid, KeyConflict)
_ROOT = Path(__file__).resolve().parents[2]


def work(seconds: float = math.inf) -> int:
    """Handle what is due until nothing is, or time is up. Gives how many events were tried.

    Raises:
        django.db.Error: the database is away.
    """
    end = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < end and (claim := inbox.claim()) is not None:
        handle(claim)
        tried += 1
    return tried


def handle(claim: Claim) -> None:
    """Have one event handled, and say what came of it.

    Raises:
        django.db.Error: the database is away. The claim lapses, and the event comes again.
    """
    if claim.attempt > (RETRY.attempts or 0):  # its last attempt ended with its process
        _bury(claim, f"{claim.attempt - 1} attempts ended without an answer.")
        return
    try:
        _handle(claim)
    except _HOPELESS as error:
        _bury(claim, str(error))
    except Exception as error:  # whatever a handler may raise is that event's failure alone
        _failed(claim, error)  # raises if the database is away


def _handle(claim: Claim) -> None:
    event = claim.event
    found = handler(event.source, event.kind)
    if found is None:
        inbox.finish(claim, EventStatus.IGNORED, f"Nobody handles {event.kind} of {event.source}.")
        return
    with transaction.atomic():
        # First: it locks the event, so of two workers one waits here, and then finds it done.
        if inbox.finish(claim, EventStatus.DONE) and (note := found(event)):
            inbox.add_note(claim, note)


def _failed(claim: Claim, error: Exception) -> None:
    reason = _reason(error)
    logger.warning("Webhook event %s, attempt %s: %s", claim.id, claim.attempt, reason)
    if RETRY.spent(claim.attempt, 0.0):
        _bury(claim, f"{reason} ({claim.attempt} attempts)")
    else:
        inbox.postpone(claim, RETRY.delay(claim.attempt), reason)


def _bury(claim: Claim, reason: str) -> None:
    if inbox.finish(claim, EventStatus.DEAD, reason):
        logger.error("Webhook event %s is a dead letter: %s", claim.id, reason)


def _reason(error: Exception) -> str:
    """What happened and where. The message only of our own: others' may repeat what was sent."""
    if isinstance(error, SagaError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    last = next((f for f in reversed(frames) if _is_ours(f.filename)), frames[-1])
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(_ROOT) and "site-packages" not in path.parts
