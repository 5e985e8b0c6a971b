"""Why a run stands where it does, in a line of words: for lists, pages, the API and the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sagas.define.title import title
from sagas.models import HoldKind
from sagas.operate.expected import Expected, Next, foremost
from sagas.wording import clock


def state_reason(found: Sequence[Expected], now: datetime) -> str:
    """The foremost of what a run waits for, and how much else there is; empty: for nothing."""
    first = foremost(found)
    if first is None:
        return ""
    if len(found) == 1:
        return reason(first, now)
    which = f"{title(first.step, first.direction)} " if first.step else ""
    return f"{which}{reason(first, now)} (and {len(found) - 1} more)"


def reason(one: Expected, now: datetime) -> str:
    """One thing that a run waits for. It may tell what strangers wrote, such as a signal's name."""
    if one.what in _BY_A_WORKER and one.at is not None and one.at <= now:
        doubt = "may have happened; " if one.what is Next.FIND_OUT else ""
        return f"{doubt}waits for a free worker since {clock(one.at, now)}{_tries(one)}"
    match one.what:
        case Next.ANSWER:
            since = f" since {clock(one.since, now)}" if one.since else ""
            return f"is being carried out by worker {one.worker}{since}{_attempt(one)}"
        case Next.TRY:
            return f"waits for a worker{_at(one, now)}"
        case Next.RETRY:
            return f"tries again{_at(one, now)}{_tries(one)}"
        case Next.FIND_OUT:
            return f"may have happened: that is found out{_at(one, now)}"
        case Next.SIGNAL:
            until = f" until {clock(one.at, now)}" if one.at else ""
            return f"waits for signal {one.signal}{until}"
        case Next.TIME:
            return f"waits until {clock(one.at, now)}" if one.at else "waits"
        case Next.PARTNER:
            return f"waits for {_partner(one)}, which is asked again{_at(one, now)}"
        case Next.HOLD:
            return _held(one, now)
        case Next.NOBODY:
            since = f"is due since {clock(one.at, now)}: " if one.at else ""
            return f"{since}{one.because[:1].lower()}{one.because[1:].removesuffix('.')}"
        case Next.PERSON:
            since = f" since {clock(one.since, now)}" if one.since else ""
            return f"waits for an operator{since}"


def tries(one: Expected) -> str:
    """Which try comes next, and of how many; empty: that tells nothing."""
    of = f" of {one.most}" if one.most is not None else ""
    return f"attempt {one.attempt}{of}" if one.attempt else ""


_BY_A_WORKER = frozenset({Next.TRY, Next.RETRY, Next.FIND_OUT, Next.TIME, Next.PARTNER})


def _held(one: Expected, now: datetime) -> str:
    assert one.hold is not None, "what is held names its hold"
    hold = one.hold
    until = f"until {clock(one.at, now)}" if one.at else f"since {clock(hold.placed_at, now)}"
    if hold.kind == HoldKind.RUN:
        return f"is paused {until}"
    return f"{hold.kind} {hold.target} is held {until}"


def _partner(one: Expected) -> str:
    return f"partner {one.partner}" if one.partner else "its partner"


def _tries(one: Expected) -> str:
    told = tries(one)
    return f" ({told})" if told else ""


def _attempt(one: Expected) -> str:
    return f" (attempt {one.attempt})" if one.attempt > 1 else ""


def _at(one: Expected, now: datetime) -> str:
    return f" at {clock(one.at, now)}" if one.at else ""
