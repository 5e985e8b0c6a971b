"""The base of the fakes: partners in memory that keep keys and effects as the real ones do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from integrations.effects import Effect, Problem, audit
from integrations.errors import PartnerError, PartnerRefused, PartnerUnavailable, PartnerUnknown

Result = TypeVar("Result")


@dataclass(slots=True)
class _Failure:
    operation: str
    error: type[PartnerError]
    after_effect: bool
    times: int
    retry_after: float | None


class Fake:
    """A partner in this process, for tests without sockets. Any thread may use it."""

    partner: str
    idempotent = True
    """Whether a repeated key is answered from memory."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self._lock = threading.RLock()
        self._answers: dict[str, tuple[object, object]] = {}
        self._failures: list[_Failure] = []

    def fail_next(
        self,
        operation: str,
        error: type[PartnerError],
        *,
        after_effect: bool = False,
        times: int = 1,
        retry_after: float | None = None,
    ) -> None:
        """Let the next calls of `operation` raise `error`, once the effect happened if told so."""
        with self._lock:
            self._failures.append(_Failure(operation, error, after_effect, times, retry_after))

    def audit(self) -> list[Problem]:
        """What happened more often than it should have."""
        return audit(self.effects)

    def _write(
        self,
        operation: str,
        do: Callable[[], Result],
        *,
        key: str,
        timeout: float,
        asked: object,
    ) -> Result:
        """Run `do` once per key, or fail as scripted. `asked` tells one request from another."""
        with self._lock:
            failure = self._start(operation, timeout)
            result = self._once(operation, do, key, asked)
            if failure is not None:
                raise self._error(failure)
            if isinstance(result, PartnerRefused):
                raise result
            return result  # type: ignore[return-value]

    def _read(self, operation: str, find: Callable[[], Result], *, timeout: float) -> Result:
        with self._lock:
            self._start(operation, timeout)
            return find()

    def _start(self, operation: str, timeout: float) -> _Failure | None:
        """Raise what is scripted to fail before the effect; return what is to fail after it."""
        if timeout <= 0:
            raise PartnerUnavailable(self.partner, operation, "no time was left to ask")
        failure = next((f for f in self._failures if f.operation == operation), None)
        if failure is None:
            return None
        failure.times -= 1
        if failure.times == 0:
            self._failures.remove(failure)
        if not failure.after_effect:
            raise self._error(failure)
        return failure

    def _once(self, operation: str, do: Callable[[], object], key: str, asked: object) -> object:
        known = self._answers.get(key) if self.idempotent else None
        if known is None:
            known = (operation, asked), self._outcome(do)
            self._answers[key] = known
        request, result = known
        if request != (operation, asked):
            why = "this key was first used for another request"
            raise PartnerUnknown(self.partner, operation, why)
        return result

    def _outcome(self, do: Callable[[], object]) -> object:
        try:
            return do()
        except PartnerRefused as refused:
            # A refusal is an answer too: the same key gets it again.
            return refused

    def refusal(self, operation: str, detail: str) -> PartnerRefused:
        return PartnerRefused(self.partner, operation, detail)

    def _error(self, failure: _Failure) -> PartnerError:
        detail = "failed as scripted"
        if issubclass(failure.error, PartnerUnavailable):
            return failure.error(self.partner, failure.operation, detail, failure.retry_after)
        return failure.error(self.partner, failure.operation, detail)

    def _happened(
        self,
        kind: str,
        object_id: str,
        key: str,
        reference: str,
        undoes: int | None = None,
        amount: int | None = None,
    ) -> int:
        """Record an effect, of money with its amount, and return its number."""
        about = (self.partner, kind, object_id, key, reference, undoes)
        number = len(self.effects) + 1
        self.effects.append(Effect(*about, number, time.time(), amount))
        return number

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_fake_{len(self.effects) + 1}"


@dataclass(slots=True)
class Held:
    """Something a fake did and can undo: the answer given for it, and how it stands."""

    answer: Any
    key: str
    reference: str
    effect: int
    in_force: bool = True

    def is_for(self, reference: str, key: str | None) -> bool:
        return self.in_force and self.reference == reference and key in (None, self.key)


class HoldingFake(Fake):
    """A fake whose things are made, undone and found."""

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[str, Held] = {}

    def _hold(
        self, kind: str, answer: Any, key: str, reference: str, amount: int | None = None
    ) -> Any:
        effect = self._happened(kind, answer.id, key, reference, amount=amount)
        self._held[answer.id] = Held(answer, key, reference, effect)
        return answer

    def _undo(self, kind: str, thing_id: str, key: str) -> None:
        held = self._held.get(thing_id)
        if held is not None and held.in_force:
            held.in_force = False
            self._happened(kind, thing_id, key, held.reference, undoes=held.effect)

    def _found(self, sort: type[Result], reference: str, key: str | None) -> Result | None:
        found = [h.answer for h in self._held.values() if h.is_for(reference, key)]
        return next((answer for answer in reversed(found) if isinstance(answer, sort)), None)
