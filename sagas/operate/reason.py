"""Why a run stands where it does, in words: for lists, pages, the command line, API and log.

Each of them says what a run waits for in these words, and in no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from sagas.define.title import title
from sagas.models import HoldKind
from sagas.operate.expected import Expected, Next, foremost
from sagas.wording import clock

Clock = Callable[[datetime], str]  #: how a time is told


def state_reason(found: Sequence[Expected], now: datetime) -> str:
    """The foremost of what a run waits for, and how much else there is; empty: for nothing."""
    first = foremost(found)
    if first is None:
        return ""
    if len(found) == 1:
        return reason(first, now)
    which = _subject(first) if first.step else ""
    return f"{which}{reason(first, now)} (and {len(found) - 1} more)"


def reason(one: Expected, now: datetime) -> str:
    """One thing that a run waits for. It may tell what strangers wrote, such as a signal's name."""
    return _reason(one, now, partial(clock, now=now))


def sentence(one: Expected, now: datetime, told: Clock = clock) -> str:
    """The same in a sentence, with what waits and all that is known of it."""
    whole = f"{_subject(one)}{_reason(one, now, told)}{_more(one)}."
    return f"T{whole[1:]}" if whole.startswith("the run") else whole


def _reason(one: Expected, now: datetime, told: Clock) -> str:
    if one.what in _BY_A_WORKER and one.at is not None and one.at <= now:
        doubt = "may have happened; " if one.what is Next.FIND_OUT else ""
        return f"{doubt}waits for a free worker since {told(one.at)}{_tries(one)}"
    at = f" at {told(one.at)}" if one.at else ""
    since = f" since {told(one.since)}" if one.since else ""
    match one.what:
        case Next.ANSWER:
            return f"is being carried out by worker {one.worker}{since}{_attempt(one)}"
        case Next.TRY:
            return f"waits for a worker{at}"
        case Next.RETRY:
            return f"tries again{at}{_tries(one)}"
        case Next.FIND_OUT:
            return f"may have happened: that is found out{at}"
        case Next.SIGNAL:
            until = f" until {told(one.at)}" if one.at else ""
            return f"waits for signal {one.signal}{until}"
        case Next.TIME:
            return f"waits until {told(one.at)}" if one.at else "waits"
        case Next.PARTNER:
            return f"waits for {_partner(one)}, which is asked again{at}"
        case Next.HOLD:
            return _held(one, told)
        case Next.NOBODY:
            due = f"is due since {told(one.at)}: " if one.at else ""
            return f"{due}{one.because[:1].lower()}{one.because[1:].removesuffix('.')}"
        case Next.PERSON:
            return f"waits for an operator{since}"


def _subject(one: Expected) -> str:
    """What a reason is about, in front of it; what it names itself comes after a colon."""
    if one.hold is not None and one.hold.kind == HoldKind.RUN:
        return "the run "
    names = one.what is Next.HOLD or (one.what is Next.NOBODY and one.at is None)
    return f"{title(one.step, one.direction) or 'the run'}{':' * names} "


def _more(one: Expected) -> str:
    """What lists have no room for."""
    if one.what is Next.SIGNAL and one.correlation:
        return f" (for {one.correlation})"
    return f" ({one.because})" if one.what is Next.PARTNER and one.because else ""


_BY_A_WORKER = frozenset({Next.TRY, Next.RETRY, Next.FIND_OUT, Next.TIME, Next.PARTNER})


def _held(one: Expected, told: Clock) -> str:
    assert one.hold is not None, "what is held names its hold"
    hold = one.hold
    until = f"until {told(one.at)}" if one.at else f"since {told(hold.placed_at)}"
    if hold.kind == HoldKind.RUN:
        return f"is paused {until}"
    return f"{hold.kind} {hold.target} is held {until}"


def _partner(one: Expected) -> str:
    return f"partner {one.partner}" if one.partner else "its partner"


def _tries(one: Expected) -> str:
    """Which try comes next, and of how many; empty: that tells nothing."""
    of = f" of {one.most}" if one.most is not None else ""
    return f" (attempt {one.attempt}{of})" if one.attempt else ""


def _attempt(one: Expected) -> str:
    return f" (attempt {one.attempt})" if one.attempt > 1 else ""
