"""What the planner or a definition raises in a worker is counted like an attempt that was lost.

Without it the message fails, its errback sends the step again, and the same exception follows at
once, for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

from django.db import InterfaceError, InternalError, OperationalError

from sagas import record, transitions
from sagas.conf import conf
from sagas.define import plan, registry
from sagas.define.mask import masked_error
from sagas.define.view import RunView, StepView
from sagas.run.masking import Masking

if TYPE_CHECKING:
    from sagas.run.dispatch import Message

logger = logging.getLogger("sagas.faults")
Carry = Callable[["Message"], None]
_AWAY = (OperationalError, InterfaceError, InternalError)  # no run is at fault


def counted(carry: Carry) -> Carry:
    """Let a message never fail for what the planner or a definition raises.

    The step comes up again a little later each time. After ``SAGAS["POISON_ATTEMPTS"]`` in a row
    the run needs attention, with the exception's class and text.
    """

    @wraps(carry)
    def guarded(message: Message) -> None:
        try:
            carry(message)
        except _AWAY:
            raise
        except Exception as error:
            why = masked_error(error)
            logger.error(
                "Run %s: step %r could not be planned.", message.run_id, message.step, exc_info=why
            )
            message.links.clear()
            _count(message, error)

    return guarded


def _count(message: Message, error: Exception) -> None:
    try:
        view = record.read(message.run_id)
        row = _at_fault(message, view)
        saga = registry.fitting(view.saga, view.version, view.fingerprint)
        if row is not None and saga is not None:
            record.complete(view)
            reason = Masking(saga, view).error(error)
            transitions.write(plan.fault(saga, view, row, reason, conf().POISON_ATTEMPTS))
    except _AWAY:
        raise
    except Exception as failure:  # then a sweep sends the step again, many seconds later
        why = masked_error(failure)
        logger.error("Run %s: the exception could not be counted.", message.run_id, exc_info=why)


def _at_fault(message: Message, view: RunView) -> StepView | None:
    """The step that the message was about, if it still is as it was then."""
    mine = message.claimed
    if mine is None:
        row = view.step(message.step, message.direction)
        return row if row is not None and row.needs_worker else None
    row = view.step(mine.name, mine.direction)
    same = row is not None and row.attempt == mine.attempt and row.awaits
    return row if same and view.epoch == message.epoch else None
