"""Events are handed to their handlers: each in one transaction with all that it causes."""

from __future__ import annotations

import logging
import math
import time

from django.db import transaction

from integrations.webhooks import inbox
from integrations.webhooks.handlers import Unfit, handler
from integrations.webhooks.inbox import Claim
from integrations.webhooks.models import EventStatus
from integrations.webhooks.received import Malformed
from integrations.webhooks.redaction import reason, without_rows
from sagas.api import KeyConflict, PayloadInvalid, Retry, SagaError

logger = logging.getLogger("integrations.webhooks")

RETRY = Retry(attempts=12, base=5, cap=3600)
"""About an hour in all, for what a deployment or a repaired table can cure."""


def work(seconds: float = math.inf) -> int:
    """Handle what is due until nothing is, or time is up. Gives how many events were tried.

    Raises:
        django.db.Error: the database is away.
    """
    end = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < end and (claim := inbox.claim()) is not None:
        with without_rows():
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
    # Not while the handler's error is handled: what the database raises would carry it along.
    match _failure(claim):
        case None:
            pass
        case Unfit() | Malformed() | PayloadInvalid() | KeyConflict() as error:
            _bury(claim, str(error) or type(error).__name__)
        case error:
            _failed(claim, error)


def _failure(claim: Claim) -> Exception | None:
    try:
        _handle(claim)
    except Exception as error:  # whatever a handler may raise is that event's failure alone
        return error
    return None


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
    """What happened. The message only of our own: others' may repeat what was sent."""
    return str(error) if isinstance(error, SagaError) else reason(error)
