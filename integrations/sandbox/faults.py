"""Which requests go wrong, and how: by header, or by rules that a checker can recompute."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Kind(StrEnum):
    """What goes wrong with one request."""

    REFUSE = "refuse"  # the service says no, for a business reason
    ERROR = (
        "error-500"  # breaks before the effect; ";saved=1" makes Stripe's kind, kept under the key
    )
    UNAVAILABLE = "unavailable-503"  # turned away before the effect
    RATE_LIMIT = "rate-limit-429"  # turned away before the effect, ";retry-after=N" or a date
    QUOTA = "quota-spent"  # the same, with the vendor's own words for the calls of a day
    SLOW = "slow"  # the effect now, the answer ";seconds=N" later
    DROP_BEFORE = "drop-before"  # no effect, and the connection is closed
    DROP_AFTER = "drop-after"  # the effect, and the connection is closed
    GARBAGE = "garbage"  # the effect, and an answer that is no JSON
    HUGE = "huge"  # the effect, and an answer without end
    DRIP = "drip"  # the effect, and an answer of one byte every ";seconds=N"
    LATE = "late"  # the connection is closed, and the effect follows ";seconds=N" later


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind with its parameters, written `kind;name=value;…`."""

    kind: Kind
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read a fault. Raises ValueError for a kind or a form that does not exist."""
        kind, *rest = (part.strip() for part in text.split(";"))
        pairs = (part.partition("=") for part in rest)
        return cls(Kind(kind), {name: value for name, _, value in pairs})

    @property
    def seconds(self) -> float:
        """How slow a slow, dripping or late one is."""
        return float(self.parameters.get("seconds", 1 if self.kind is Kind.DRIP else 5))


@dataclass(slots=True)
class Rule:
    """One fault and the requests it strikes. Empty conditions match everything.

    `times` strikes only the first arrivals of each key (or reference, as `by` says). `probability`
    strikes a share of them, chosen by `struck` alone: the same ones whatever the order of arrival.
    """

    fault: Fault
    service: str = ""
    operation: str = ""
    reference: str = ""
    key_prefix: str = ""
    times: int | None = None
    probability: float = 1.0
    seed: str = ""
    by: Literal["key", "reference"] = "key"
    arrivals: Counter[str] = field(default_factory=Counter)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Rule:
        """Read a rule from JSON. Raises ValueError or TypeError for what no rule has."""
        if data.get("by", "key") not in ("key", "reference"):
            raise ValueError(f"by must be key or reference, not {data['by']!r}")
        return cls(**{**data, "fault": Fault.parse(data["fault"])})

    def strikes(self, service: str, operation: str, key: str, reference: str) -> bool:
        """Whether this arrival is struck; counts it against `times` if it is."""
        token = key if self.by == "key" else reference
        if not (
            self.service in ("", service)
            and self.operation in ("", operation)
            and self.reference in ("", reference)
            and key.startswith(self.key_prefix)
            and struck(self.seed, token, self.probability)
        ):
            return False
        self.arrivals[token] += 1
        return self.times is None or self.arrivals[token] <= self.times


def struck(seed: str, token: str, probability: float) -> bool:
    """Whether a rule of this seed and probability strikes this key or reference.

    Depends on nothing else, so that a checker can work out beforehand what must have gone wrong.
    """
    digest = hashlib.sha256(f"{seed}\0{token}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < probability


class FaultBook:
    """The rules in force; the first one that strikes wins."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        self._rules.append(rule)

    def clear(self) -> None:
        self._rules.clear()

    def pick(
        self, service: str, operation: str, key: str, reference: str, header: str = ""
    ) -> Fault | None:
        """The fault for this arrival: the header's own, else the first rule's."""
        if header:
            return Fault.parse(header)
        for rule in self._rules:
            if rule.strikes(service, operation, key, reference):
                return rule.fault
        return None
