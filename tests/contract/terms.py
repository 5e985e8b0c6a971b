"""What an agreement with a partner consists of, and the terms that it is written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pact import generate, match
from pact.match.matcher import GenericMatcher

from integrations.sandbox.process import RunningSandbox

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
TIMEOUT = 10.0

State = Callable[[], Mapping[str, str]]
"""Makes something true at the partner that the environment names, and tells what it is called."""

StandInState = Callable[[RunningSandbox], Mapping[str, str] | None]
"""Makes something true that only the sandbox can be told to be."""


@dataclass(frozen=True)
class Agreement:
    """One request of ours, and the answer that we rely on.

    Attributes:
        given: the state that the partner must be in.
        use: drives our client at an address and asserts what it makes of the answer.
        body: of the request, and `answer` of the reply: data with matchers, or text.
        also: what our client goes on to ask for, agreed on elsewhere.
    """

    description: str
    given: str
    method: str
    path: object
    use: Callable[[str], None]
    status: int = 200
    answer: object = None
    headers: Mapping[str, object] = field(default_factory=dict)
    query: Mapping[str, object] = field(default_factory=dict)
    body: object = None
    media: str = JSON
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    also: Sequence[Agreement] = ()


@dataclass(frozen=True)
class Partner:
    """A partner and all that we agreed on with it.

    Attributes:
        address_variable: what says where the partner is.
        below: where in the sandbox the partner's address is.
        states: made by our own connector, so at the vendor's too.
        stand_in_states: which only the sandbox can be brought into.
        credentials: values for what requests leave open, from the environment. Raises
            ImproperlyConfigured or Unfit.
    """

    name: str
    address_variable: str
    agreements: Sequence[Agreement]
    states: Mapping[str, State]
    stand_in_states: Mapping[str, Callable[[RunningSandbox], Mapping[str, str] | None]] = field(
        default_factory=dict
    )
    credentials: State = dict
    below: str = ""


class Unfit(Exception):
    """Credentials that must not, or cannot, be used to verify with."""


def from_state(example: str, name: str) -> Any:
    """A text that the provider's state puts in: `example` in the tests of our client."""
    return match.type(example, generator=generate.provider_state(f"${{{name}}}"))


def path_of(example: str, pattern: str, template: str) -> Any:
    """A path in which the provider's state puts what `template` leaves open as `${name}`."""
    inner = generate.provider_state(template)
    return GenericMatcher("regex", example, regex=pattern, generator=inner)


def shaped(example: str, pattern: str) -> Any:
    """A text of this pattern."""
    return match.regex(example, regex=pattern)


def overloaded(service: str) -> Callable[[RunningSandbox], None]:
    """Brings a service of the sandbox into a state in which it turns everybody away for 7 s."""
    return lambda sandbox: sandbox.add_fault("rate-limit-429;retry-after=7", service=service)


def text(example: str) -> Any:
    """Some text."""
    return match.type(example)


def whole(example: int) -> Any:
    """Some whole number."""
    return match.integer(example)


def list_of(thing: object) -> Any:
    """A list of at least one such thing."""
    return match.each_like(thing, min=1)


BEARER: Mapping[str, object] = {
    "Authorization": GenericMatcher(
        "regex",
        "Bearer token-1",
        regex="^Bearer [!-~]+$",
        generator=generate.provider_state("Bearer ${token}"),
    )
}
KEY: Mapping[str, object] = {"Idempotency-Key": from_state("key-1", "key")}
REFERENCE = "order:17"
"""Our reference in the tests of our clients; verified with a new one each time."""


def reference() -> Any:
    """Our reference, as a request brings it."""
    return from_state(REFERENCE, "reference")
