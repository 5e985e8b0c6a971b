"""The policies' settings: defaults from the literature, and what INTEGRATIONS_RESILIENCE changes.

It is JSON by partner, such as ``{"payments": {"rate": {"per_second": 25}}}``; what is said of
``"*"`` holds for every partner that says nothing else.
"""

from __future__ import annotations

import json
import os
from functools import cached_property, lru_cache
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from integrations.conf import PREFIX, EnvironmentSettings, load

EVERY = "*"
"""In the settings: every partner."""


class _Policy(BaseModel):
    # Inputs stay out of messages, as in integrations.conf.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Timeouts(_Policy):
    """How long a call may take. What a step has left always wins."""

    connect: float = Field(3.0, gt=0)
    """Seconds to reach the partner, for its name, each of its addresses and TLS: room for one lost
    SYN, sent again after 1 s (RFC 6298)."""
    read: float = Field(10.0, gt=0)
    """Seconds of silence between two bytes of an answer: twice what HTTPX waits by default. It cuts
    short the calls of steps that have longer."""
    total: float = Field(30.0, gt=0)
    """Seconds for the whole call with its retry (Polly's default for a total timeout)."""


class Retry(_Policy):
    """Tries within one call; more and later ones are the saga's, and durable."""

    tries: int = Field(2, ge=1, le=2)
    """Google's SRE book, "Handling overload": few, lest layers multiply; the saga is one too."""
    base: float = Field(0.1, gt=0, le=1)
    """Seconds that the pause before the second try is drawn from: full jitter, between 0 and this
    (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015)."""
    longest: float = Field(0.5, gt=0, le=1)
    """Seconds of a partner's Retry-After that are slept; a longer one is a durable delay."""


class Breaker(_Policy):
    """When a partner is left alone (Nygard, "Release It!"), and when it is tried again."""

    window: float = Field(30.0, ge=1)
    """Seconds of calls that are judged (Polly: 30; Hystrix: 10)."""
    minimum: int = Field(20, ge=1)
    """Calls in the window below which nothing is concluded (Hystrix: 20)."""
    failure_rate: float = Field(0.5, gt=0, le=1)
    """Share of failed calls that opens (Hystrix and resilience4j: 50%)."""
    slow_seconds: float = Field(5.0, gt=0)
    """A call that took longer was slow: half of what a step has (resilience4j: 60)."""
    slow_rate: float = Field(0.8, gt=0, le=1)
    """Share of slow calls that opens (resilience4j: 100%, so that one quick answer forbids it)."""
    cooldown: float = Field(5.0, gt=0)
    """Seconds from opening to the first probe (Hystrix and Polly: 5) ..."""
    longest: float = Field(30.0, gt=0)
    """... doubled with each probe that fails, up to this (Envoy ejects a host for 30; resilience4j
    waits 60). A probe is one call of all workers, so that to recover late costs more than it."""

    @model_validator(mode="after")
    def _grows(self) -> Breaker:
        if self.longest < self.cooldown:
            raise ValueError("longest is shorter than cooldown")
        return self


class Bulkhead(_Policy):
    """How many calls all workers make to a partner at a time; null: as many as they like."""

    critical: int | None = Field(25, ge=1)
    """Of calls that a customer waits for or money hangs on (resilience4j: 25)."""
    other: int | None = Field(10, ge=1)
    """Of all others, which so cannot take the places of critical ones (Hystrix: 10)."""


class Rate(_Policy):
    """How often all workers ask a partner, for each of our credentials there."""

    per_second: float | None = Field(None, gt=0)
    """Calls a second; null: no limit, until the partner answers 429."""
    burst: int | None = Field(None, ge=1)
    """Calls that may come at once after a rest; default: a second's worth, since sagas that were
    told to wait come back once a second."""
    pause: float = Field(1.0, gt=0)
    """Seconds without a call after a 429 that does not say how long."""
    longest: float = Field(60.0, gt=0, le=60)
    """Seconds of a 429's Retry-After for which calls wait: of a longer one the partner is held."""

    @model_validator(mode="before")
    @classmethod
    def _one_second(cls, said: Any) -> Any:
        if isinstance(said, dict) and said.get("burst") is None:
            try:
                worth = max(1, round(float(said["per_second"])))
            except (KeyError, TypeError, ValueError, OverflowError):
                return said
            return {**said, "burst": worth}
        return said


class Adaptive(_Policy):
    """Whether the bulkhead's limits follow what the partner can take, and within which bounds."""

    enabled: bool = False
    """Off: a fixed limit is easier to reason about where the partner's capacity is known."""
    least: int = Field(2, ge=1)
    most: int = Field(100, ge=1)
    tolerance: float = Field(2.0, gt=1)
    """How much longer than at rest calls may take (Netflix's Gradient2: 1.5, of an average)."""
    backoff: float = Field(0.9, gt=0, lt=1)
    """What the limit is multiplied with when they take longer (Netflix's AIMDLimit: 0.9)."""
    window: float = Field(30.0, ge=1)
    """Seconds after which the time at rest is measured anew (BBR: 10)."""

    @model_validator(mode="after")
    def _bounds(self) -> Adaptive:
        if self.most < self.least:
            raise ValueError("most is less than least")
        return self


class Policies(_Policy):
    """The settings of one partner's policies."""

    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    bulkhead: Bulkhead = Bulkhead()
    rate: Rate = Rate()
    adaptive: Adaptive = Adaptive()

    @cached_property
    def document(self) -> str:
        """As the scripts in Redis read them."""
        return self.model_dump_json(exclude={"timeouts", "retry"}, exclude_none=True)


def _parsed(said: object) -> object:
    """The variable's JSON. Left to pydantic-settings, a slip in it would be no ValidationError."""
    if not isinstance(said, str):
        return said
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        raise ValueError('is no JSON such as {"payments": {"rate": {"per_second": 25}}}') from None


Differences = dict[str, dict[str, dict[str, Any]]]
"""Values by partner, policy and name."""


class ResilienceSettings(EnvironmentSettings):
    """What differs from the defaults, by partner."""

    resilience: Annotated[Differences, NoDecode, BeforeValidator(_parsed)] = {}

    @field_validator("resilience")
    @classmethod
    def _sound(cls, said: Differences) -> Differences:
        for partner in said:
            try:
                _policies_of(partner, said)
            except ValidationError as error:
                raise ValueError(_complaint(partner, error)) from None
        return said

    def of(self, partner: str) -> Policies:
        """The settings of one partner's policies."""
        return _policies_of(partner, self.resilience)


def policies(partner: str) -> Policies:
    """The settings of one partner's policies.

    Raises:
        ImproperlyConfigured: INTEGRATIONS_RESILIENCE has a name that is unknown or a value that
            makes no sense; it says where and why.
    """
    return _policies(os.environ.get(f"{PREFIX}RESILIENCE", ""), partner)


@lru_cache(maxsize=1024)
def _policies(raw: str, partner: str) -> Policies:
    """Kept by what the variable said, so that it is parsed once."""
    return load(ResilienceSettings).of(partner)


def _policies_of(partner: str, said: Differences) -> Policies:
    return Policies.model_validate(_merged(said.get(EVERY, {}), said.get(partner, {})))


def _merged(
    every: dict[str, dict[str, Any]], partner: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    names = {*every, *partner}
    return {name: {**every.get(name, {}), **partner.get(name, {})} for name in names}


def _complaint(partner: str, error: ValidationError) -> str:
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    found = (([partner, *map(str, problem["loc"])], problem["msg"]) for problem in problems)
    return ", ".join(f"{'.'.join(place)}: {why}" for place, why in found)
