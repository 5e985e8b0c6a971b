"""Where all workers' calls pass: policies with shared state, asked and told in one step each.

Each of these policies is a file with a part in Lua beside it. The gate joins the parts to two
scripts: one asks every policy whether the call may pass and, only if all let it, takes what they
give; the other tells them all how it ended. So a call costs two round trips to Redis, however many
policies there are, and nothing is taken that a later policy would make useless.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from integrations.call import Call
from integrations.errors import NotAsked, PartnerUnavailable
from integrations.resilience import store
from integrations.resilience.conf import Policies, policies
from integrations.resilience.policy import Ask, Result, means, outcome

LEASE_GRACE = 1.0
"""Seconds beyond its deadline for which a call is believed to be under way."""


@dataclass(frozen=True, slots=True)
class SharedPolicy:
    """One policy of the gate.

    Attributes:
        name: as its part in Lua and the settings call it; the part is the file of that name.
        keys: the names of its keys in Redis, without what `store.name` puts before them.
        refusal: why a call does not pass, in words.
        closed: whether calls wait while Redis is away; each policy's file says why.
    """

    name: str
    keys: Callable[[Call], tuple[str, ...]]
    refusal: Callable[[Call], str] = lambda call: ""
    closed: Callable[[Policies], bool] = lambda settings: False


class Gate:
    """Policies that decide together. Itself a policy."""

    def __init__(self, *policies: SharedPolicy) -> None:
        self._policies = {policy.name: policy for policy in policies}
        self._enter = store.TimedScript(_script(policies, "enter"))
        self._leave = store.TimedScript(_script(policies, "leave"))

    def __call__(self, call: Call, ask: Ask[Result]) -> Result:
        """Ask if all policies let the call pass, and tell them how it ended. Raises NotAsked."""
        settings = policies(call.partner)
        ticket = self._entered(call, settings)
        began = time.monotonic()
        try:
            result = ask(call)
        except BaseException as error:
            self._left(call, settings, ticket, time.monotonic() - began, error)
            raise
        self._left(call, settings, ticket, time.monotonic() - began)
        return result

    def _entered(self, call: Call, settings: Policies) -> _Ticket | None:
        """What the call takes with it; None if Redis is away and the call may do without."""
        id_ = uuid4().hex
        asked = {"id": id_, "lease": max(call.remaining, 0.0) + LEASE_GRACE, **_about(call)}
        try:
            answer = self._enter.run(self._keys(call), _arguments(asked, settings))
        except store.Away:
            self._demand_open(call, settings)
            return None
        denied, wait, generation = answer
        if denied:
            raise NotAsked(
                call.partner, call.operation, self._policies[denied].refusal(call), float(wait)
            )
        return _Ticket(id_, int(generation))

    def _demand_open(self, call: Call, settings: Policies) -> None:
        for policy in self._policies.values():
            if policy.closed(settings):
                detail = f"{policy.refusal(call)}, for its state cannot be reached"
                wait = store.AWAY * random.uniform(1, 2)
                raise NotAsked(call.partner, call.operation, detail, wait)

    def _left(
        self,
        call: Call,
        settings: Policies,
        ticket: _Ticket | None,
        seconds: float,
        error: BaseException | None = None,
    ) -> None:
        if ticket is None:
            return
        told = {
            "id": ticket.id,
            "generation": ticket.generation,
            "outcome": outcome(call, error),
            "seconds": seconds,
            "retry_after": _retry_after(error),
            **_about(call),
        }
        try:
            self._leave.run(self._keys(call), _arguments(told, settings))
        except store.Away:
            return  # leases lapse by themselves, and a window lacks one call

    def _keys(self, call: Call) -> list[str]:
        return [store.name(key) for policy in self._policies.values() for key in policy.keys(call)]


@dataclass(frozen=True, slots=True)
class _Ticket:
    id: str
    generation: int


def pool(call: Call) -> str:
    """The pool that a call belongs to, as the settings name it."""
    return "critical" if call.critical else "other"


def _about(call: Call) -> dict[str, object]:
    return {
        "partner": call.partner,
        "operation": call.operation,
        "pool": pool(call),
        # Redis's own random numbers are the same in every run of a script.
        "luck": random.random(),
    }


def _arguments(said: dict[str, object], settings: Policies) -> tuple[str, str]:
    return json.dumps(said), settings.document


def _retry_after(error: BaseException | None) -> float | None:
    meant = means(error)
    return meant.retry_after if isinstance(meant, PartnerUnavailable) else None


def _script(policies: tuple[SharedPolicy, ...], end: str) -> str:
    """The parts of all policies between the beginning and one of the two ends."""
    names = ", ".join(f"'{policy.name}'" for policy in policies)
    parts = [f"local NAMES = {{{names}}}", store.lua("gate")]
    first = 2  # the first key is the clock's
    for policy in policies:
        count = len(policy.keys(_NOBODY))
        keys = ", ".join(f"KEYS[{number}]" for number in range(first, first + count))
        parts.append(f"keys.{policy.name} = {{{keys}}}")
        parts.append(f"do\n{store.lua(policy.name)}\nend")
        first += count
    return "\n".join([*parts, store.lua(f"gate_{end}")])


_NOBODY = Call("", "", 0.0)
