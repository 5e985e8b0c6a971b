"""The payment partner: how subscriptions and refunds stand, which changes without our asking.

Stripe delivers in no particular order, and its times have whole seconds. So the newest event of a
subscription counts; of one second, a deletion comes after a change and a change after the creation,
and of two changes the one that starts where the other ended. Where that does not tell, and where an
event is thin, a run asks for the subscription. A refund's statuses tell their order themselves.
"""

from __future__ import annotations

import logging
from typing import Any

from integrations.sagas.refresh import Doubt, key_of, subscription_refresh
from integrations.webhooks.handlers import on
from integrations.webhooks.known import News, keep_mention, keep_newest, settle
from integrations.webhooks.received import Event
from sagas.api import start

logger = logging.getLogger("integrations.webhooks")

_PREFIX, _THIN_PREFIX = "customer.subscription.", "v1.customer.subscription."
_KINDS = ("created", "updated", "paused", "resumed", "deleted")
_RANKS = {"created": 0, "deleted": 2}
_KEPT = ("status", "customer", "cancel_at_period_end")
_KEPT_OF_REFUNDS = ("status", "amount", "currency", "payment_intent", "failure_reason")
_PROGRESS = {"requires_action": 0, "pending": 1, "succeeded": 2, "canceled": 2, "failed": 3}


@on("payments", *(_PREFIX + kind for kind in _KINDS), schema="payments/customer.subscription")
def subscription(event: Event, document: dict[str, Any]) -> str | None:
    """Keep how a subscription stands."""
    told = document["data"]["object"]
    state = {name: told.get(name) for name in _KEPT}
    previous = document["data"].get("previous_attributes")
    before = None if previous is None else {n: previous.get(n, state[n]) for n in _KEPT}
    news = keep_newest(event, told["id"], state, before=before, rank=_rank(event))
    return _note(event, told["id"], news)


@on("payments", *(_THIN_PREFIX + kind for kind in _KINDS), schema="payments/thin.subscription")
def thin(event: Event, document: dict[str, Any]) -> str | None:
    """Ask how the subscription stands that a thin event is about."""
    subject = document["related_object"]["id"]
    return _note(event, subject, keep_mention(event, subject, rank=_rank(event)))


@on(
    "payments",
    *("refund.created", "refund.updated", "refund.failed", "charge.refund.updated"),
    schema="payments/refund",
)
def refund(event: Event, document: dict[str, Any]) -> str | None:
    """Keep how a refund stands: a bank may refuse one days after it had succeeded."""
    told = document["data"]["object"]
    state = {name: told.get(name) for name in _KEPT_OF_REFUNDS}
    rank = _PROGRESS.get(told["status"], 1)
    news = keep_newest(event, told["id"], state, rank=rank)
    if news is News.OLD:
        return "A newer event had told how the refund stands."
    if news is News.UNCLEAR:  # of one second and status: no matter which was the later
        settle(event.source, told["id"], event.id, state)
    elif told["status"] == "failed":
        of, why = state["payment_intent"], state["failure_reason"]
        logger.error("Refund %s of %s has failed (%s).", told["id"], of, why)
    return None


def _rank(event: Event) -> int:
    return _RANKS.get(event.kind.rpartition(".")[2], 1)


def _note(event: Event, subject: str, news: News) -> str | None:
    if news is News.UNCLEAR:
        doubt = Doubt(subject=subject, event_id=event.id)
        start(subscription_refresh, doubt, key=key_of(event.id))
        return "It does not tell how the subscription stands now; a run asks for it."
    return "A newer event had told how the subscription stands." if news is News.OLD else None
