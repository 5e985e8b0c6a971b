"""The policies around every call to a partner, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from integrations.call import Call
from integrations.errors import PartnerError
from integrations.resilience.adaptive import ADAPTIVE
from integrations.resilience.breaker import BREAKER
from integrations.resilience.bulkhead import BULKHEAD
from integrations.resilience.deadline import in_time
from integrations.resilience.gate import Gate
from integrations.resilience.policy import Answered, Ask, Policy
from integrations.resilience.quota import hold_while_spent
from integrations.resilience.rate_limit import RATE_LIMIT
from integrations.resilience.retry import try_again

Result = TypeVar("Result")
Judge = Callable[[Result], PartnerError | None]

GATE = Gate(BREAKER, BULKHEAD, RATE_LIMIT, ADAPTIVE)
"""What all workers share, asked in one step: an open breaker takes no place, where no place is free
no token is spent, and where no token is left no place is taken."""

POLICIES: Sequence[Policy[Any]] = (in_time, try_again, GATE, hold_while_spent)
"""From the outside: the time is for both tries, and each try passes the gate and counts there; what
it says of a quota is heard first."""


def guarded(call: Call, ask: Ask[Result], *, judge: Judge[Result] | None = None) -> Result:
    """Ask a partner under all policies.

    Args:
        ask: makes the call to the partner, be it with our own client or with a vendor's SDK. It is
            given the call, with the time that it has, and raises PartnerError; it may be asked
            twice if the call changes nothing or is keyed.
        judge: what an answer that `ask` returns amounts to, such as a reply of status 503; None: a
            good one. It is returned all the same, for the caller to read.

    Raises:
        NotAsked: a policy forbids to ask now.
        QuotaSpent: so the answer says, be it returned or raised; the partner is held.
        PartnerError: as `ask` does.
    """
    asked: Ask[Result] = partial(_judged, ask, judge)
    for policy in reversed(POLICIES):
        asked = partial(_under, policy, asked)
    try:
        return asked(call)
    except Answered as answered:
        return cast(Result, answered.answer)


def _under(policy: Policy[Result], ask: Ask[Result], call: Call) -> Result:
    return policy(call, ask)


def _judged(ask: Ask[Result], judge: Judge[Result] | None, call: Call) -> Result:
    answer = ask(call)
    error = judge(answer) if judge else None
    if error is not None:
        raise Answered(error, answer)
    return answer
