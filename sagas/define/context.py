"""What a step's code gets to see: the run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel

PayloadT = TypeVar("PayloadT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ReceivedSignal:
    """The signal that a step waited for.

    Attributes:
        name: the signal's name.
        payload: what it carries: the type that ``wait_for(payload=...)`` declares, else JSON data;
            None if it carries nothing.
        received_at: when it was sent.
    """

    name: str
    payload: Any
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Run(Generic[PayloadT]):
    """The argument of every action, compensation, verify and condition.

    Attributes:
        id: the run's id.
        saga: the saga's name.
        business_key: the key that ``start`` was given.
        payload: the validated payload.
        results: the typed results of finished steps by name; ``None`` where a step was
            skipped, given up as optional, or is not done yet.
        key: the idempotency key to hand to the partner: the same for every attempt of this
            step in this direction.
        attempt: number of this attempt, from 1.
        result: in a compensation or verify, the step's own result, if it is known.
        now: the database's time.
        started_at: when the run was started: no effect of it is older. Bound look-ups by it.
        elapsed: seconds since this step was first claimed.
        signal: the signal that this step waited for, until the step gives its result or waits
            anew; None on the first call, and when the waiting time was up.
        timed_out: whether the step waited for a signal, and the time was up before one came.
    """

    id: UUID
    saga: str
    business_key: str
    payload: PayloadT
    results: Mapping[str, Any]
    key: str
    attempt: int
    result: Any
    now: datetime
    started_at: datetime
    elapsed: float
    clock: Callable[[], float]
    signal: ReceivedSignal | None = None
    timed_out: bool = False

    @property
    def remaining(self) -> float:
        """Seconds left until this attempt's time limit; never negative."""
        return max(0.0, self.clock())


class Results(Mapping[str, Any]):
    """Step results by name, each validated when it is first read."""

    def __init__(self, names: Collection[str], read: Callable[[str], Any]) -> None:
        self._names = names
        self._read = read
        self._seen: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            known = ", ".join(sorted(self._names))
            raise KeyError(f"This saga has no step {name!r}. Its steps are: {known}.")
        if name not in self._seen:
            self._seen[name] = self._read(name)
        return self._seen[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
