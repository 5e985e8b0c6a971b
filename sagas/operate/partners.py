"""Partners: what the engine knows of them, and what others say in answer to a signal."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sagas.define.mask import masked_error
from sagas.operate import holding
from sagas.operate.standing import Standing
from sagas.signals import Health, PartnerHealth, partner_health
from sagas.states import StepStatus

logger = logging.getLogger("sagas.overview")

_WORST_FIRST = (Health.DOWN, Health.DEGRADED, Health.UNKNOWN, Health.OK)


def partners(at: Standing) -> list[PartnerHealth]:
    """Every partner that steps name or somebody tells of, once; those that do worst come first.

    Of what several say of one partner the worst counts, and all their words are kept.
    A receiver of ``partner_health`` that raises leaves its partners unknown.
    """
    told: dict[str, list[PartnerHealth]] = defaultdict(list)
    for each in (*_told(), *_seen(at)):
        told[each.name].append(each)
    together = map(_together, told.values())
    return sorted(together, key=lambda partner: (_badness(partner), partner.name))


def _told() -> Iterator[PartnerHealth]:
    for receiver, answer in partner_health.send_robust(sender=None):
        if isinstance(answer, Exception):
            why = masked_error(answer)
            logger.warning("%r cannot tell of its partners.", receiver, exc_info=why)
            yield PartnerHealth(_name(receiver), Health.UNKNOWN, "the check itself failed")
        else:
            yield from _each(answer)


def _each(answer: object) -> Iterator[PartnerHealth]:
    answers = answer if isinstance(answer, Iterable) else [answer]
    return (each for each in answers if isinstance(each, PartnerHealth))


def _name(receiver: object) -> str:
    return str(getattr(receiver, "__module__", "") or type(receiver).__name__)


def _together(said: list[PartnerHealth]) -> PartnerHealth:
    worst = min(said, key=_badness)
    return replace(worst, detail="; ".join(each.detail for each in said if each.detail))


def _badness(partner: PartnerHealth) -> int:
    return _WORST_FIRST.index(partner.state)


def _seen(at: Standing) -> Iterator[PartnerHealth]:
    """What the engine's own steps say, of the active runs that were looked at."""
    for name in sorted(holding.partners()):
        groups = [g for g in at.groups if g.definition is not None and g.definition.partner == name]
        retrying = sum(g.count for g in groups if g.status is StepStatus.READY and g.tried)
        unknown = sum(g.count for g in groups if g.status is StepStatus.UNKNOWN)
        state = Health.DEGRADED if retrying or unknown else Health.OK
        yield PartnerHealth(name, state, f"steps: {retrying} retrying, {unknown} unknown")
