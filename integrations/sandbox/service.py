"""What a stand-in service is: operations that turn a request into an answer and its effects."""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from integrations.effects import Effect
from integrations.sandbox import describe
from integrations.sandbox.describe import About, Schema


@dataclass(frozen=True, slots=True)
class Request:
    """One request, routed: which operation of which service, on which object, with what."""

    service: str
    operation: str
    method: str
    path: str
    object_id: str
    params: Mapping[str, Any]
    """What the operation takes: from the body, or from the address where there is none."""
    headers: Mapping[str, str]
    query: Mapping[str, Any] = field(default_factory=dict)
    """What stood in the address beside a body."""

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "") if self.writes else ""

    @property
    def address(self) -> str:
        """Where the sandbox was asked."""
        return f"http://{self.headers.get('host', 'localhost')}"

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def fingerprint(self) -> str:
        """What must be equal for two requests to be the same one."""
        return f"{self.path} {sorted(self.params.items(), key=str)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered and what happened. `saved` answers are kept under the idempotency key.

    A body is JSON, or text where the service answers with text; a 204 has none.
    """

    status: int
    body: Mapping[str, Any] | Sequence[Any] | str
    effects: Sequence[Effect] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    saved: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """An operation and the requests that mean it; `(?P<id>…)` in the pattern names its object."""

    operation: str
    method: str
    pattern: re.Pattern[str]
    about: About

    @classmethod
    def make(cls, operation: str, method: str, path: str, about: About) -> Route:
        return cls(operation, method, re.compile(path.replace("{id}", r"(?P<id>[\w-]+)")), about)

    @property
    def path(self) -> str:
        """The path as a template, with `{id}` for the object."""
        return describe.template(self.pattern.pattern)

    @property
    def places(self) -> dict[str, str]:
        """What the template leaves open, and the pattern of each."""
        return describe.places(self.pattern.pattern)

    @property
    def has_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH")

    @property
    def start(self) -> str:
        """What all its paths begin with."""
        return re.split(r"[(\\]", self.pattern.pattern)[0]


class Service(ABC):
    """One stand-in partner. Called by one thread at a time."""

    name: str
    routes: Sequence[Route]
    other_request = (422, "idempotency_key_reused")
    """What a key first used for another request is answered with."""
    idempotent = True
    """Whether a POST with a repeated key is answered from memory."""
    needs_key = True
    """Whether a request that changes something must bring a key."""
    bearer = False
    """Whether a token or a key must be sent as a bearer's."""
    media = describe.JSON
    """How the bodies that it takes are written."""
    own_words = False
    """Whether it says itself what is wrong with most fields; see `About.problem`."""
    invalid = "invalid_request"
    """The code of its error for a request that it cannot read."""
    errors: Schema = describe.record({"error": describe.record({"message": describe.TEXT})})
    """The form of its errors."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers

    @abstractmethod
    def perform(self, request: Request) -> Answer:
        """Do what is asked."""

    @abstractmethod
    def refuse(self, request: Request) -> Answer:
        """Say no for a business reason, with no effect."""

    @abstractmethod
    def error(self, status: int, code: str, message: str) -> Answer:
        """An error body in this service's own form, not kept under the key."""

    def quota_spent(self) -> Answer:
        """What it answers when the calls of a day are used up."""
        return self.error(429, "rate_limit", "Try again later.")

    @abstractmethod
    def reference(self, request: Request) -> str:
        """The business reference that the request is about, "" if none."""

    @abstractmethod
    def clear(self) -> None:
        """Forget every object."""

    def clear_faults(self) -> None:  # noqa: B027 - most have nothing to clear
        """Behave as usual again; objects stay."""

    def effect(
        self,
        request: Request,
        kind: str,
        object_id: str,
        undoes: int | None = None,
        amount: int | None = None,
    ) -> Effect:
        """An effect of `request`, under the next number of the ledger."""
        reference = self.reference(request)
        number = next(self._numbers)
        return Effect(
            self.name, kind, object_id, request.key, reference, undoes, number, amount=amount
        )

    def advance(self, seconds: float) -> Sequence[Effect]:
        """Let time pass; what happens by itself meanwhile."""
        return ()

    def unfit(self, request: Request) -> Answer | None:
        """The answer to parameters that are not what the operation is said to take."""
        key = request.headers.get("idempotency-key")
        if self.idempotent and key is not None and not re.fullmatch(describe.KEY, key):
            return self.error(400, self.invalid, "The Idempotency-Key is no key.")
        about = next((r.about for r in self.routes if r.operation == request.operation), None)
        if about is None:
            return None
        problem = about.problem(request.params, request.query, own_words=self.own_words)
        if problem is None:
            return None
        if problem.is_unknown:
            return self.unknown(problem.where)
        return self.error(400, self.invalid, str(problem))

    def unknown(self, path: Sequence[str]) -> Answer:
        """The answer to a parameter that the operation does not take, or the sandbox not."""
        return self.error(400, self.invalid, f"Unknown parameter: {'.'.join(path)}.")

    def remembers(self, method: str) -> bool:
        """Whether requests of this method are answered from memory by their key."""
        return self.idempotent and method == "POST"

    def turned_away(self, request: Request) -> Answer | None:
        """An answer that needs no look at the key, such as for a missing one."""
        if request.writes and not request.key:
            return self.error(400, "idempotency_key_missing", "Send an Idempotency-Key header.")
        return None

    def route(self, method: str, path: str) -> tuple[Route, str] | None:
        """The route and object that a request means, None if it is none of ours."""
        for route in self.routes:
            match = route.pattern.fullmatch(path)
            if match and route.method == method:
                return route, match.groupdict().get("id", "")
        return None

    def misrouted(self, path: str) -> Answer | None:
        """The answer to a request that is nearly one of ours; None: it is not."""
        methods = {route.method for route in self.routes if route.pattern.fullmatch(path)}
        if methods:
            answer = self.error(405, "method_not_allowed", "Not with this method.")
            return replace(answer, headers={"Allow": ", ".join(sorted(methods))})
        if any(path.startswith(route.start) for route in self.routes):
            return self.error(404, "not_found", "There is nothing here.")
        return None


def new_id(prefix: str) -> str:
    """An id as partners give them: unique, and with the kind of thing in front."""
    return f"{prefix}_{secrets.token_hex(12)}"
