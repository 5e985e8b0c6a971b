"""What sagas there are: their steps, and the schema of what they are started with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from sagas.define import registry
from sagas.define.backoff import Retry
from sagas.define.saga import Definition, Node, Parallel
from sagas.define.step import Compensation, Kind, Step
from sagas.operate.access import Right, require, within

router = Router(tags=["Sagas"])


class RetryBudget(Schema):
    """How often and how soon a step is tried again. Times are in seconds."""

    attempts: int | None = Field(description="null: until it works")
    base: float
    cap: float
    total: float | None


class Undoing(Schema):
    """How a step is undone."""

    timeout: float
    retry: RetryBudget
    tolerates_nothing: bool = Field(description="also called when the effect is in doubt")


class StepDefinition(Schema):
    """One step."""

    step: str
    kind: Kind
    queue: str | None = Field(description="null: the default queue")
    timeout: float = Field(description="seconds for one attempt")
    retry: RetryBudget
    atomic: bool
    optional: bool = Field(description="its final failure does not stop the run")
    conditional: bool
    waits: bool = Field(description="for a signal or a time")
    verifiable: bool = Field(description="an unknown outcome can be found out")
    compensation: Undoing | None


class ParallelDefinition(Schema):
    """Branches that run side by side; each is a sequence."""

    parallel: list[list[StepDefinition | ParallelDefinition]]


class SagaSummary(Schema):
    """A saga in the list of all."""

    name: str
    version: int
    steps: list[str]


class SagaDefinition(Schema):
    """A saga in full."""

    name: str
    version: int
    fingerprint: str = Field(description="of the structure; a run pins it")
    deadline: float | None = Field(description="seconds until an unfinished run turns back")
    pivot: str | None = Field(description="the point of no return")
    steps: list[StepDefinition | ParallelDefinition]
    payload: dict[str, Any] = Field(description="JSON schema of what a run is started with")


@router.get("/sagas", response=list[SagaSummary], url_name="sagas", operation_id="list_sagas")
def list_sagas(request: HttpRequest) -> list[SagaSummary]:
    """All sagas that this service knows, in every version."""
    require(request.user, Right.READ)
    return [
        SagaSummary(name=saga.name, version=saga.version, steps=list(saga.steps))
        for saga in registry.all_sagas()
        if within(request.user, Right.READ, saga.name)
    ]


@router.get("/sagas/{name}", response=SagaDefinition, url_name="saga", operation_id="read_saga")
def read_saga(request: HttpRequest, name: str) -> SagaDefinition:
    """The newest version of a saga."""
    require(request.user, Right.READ, name)
    saga = registry.get(name)
    return SagaDefinition(
        name=saga.name,
        version=saga.version,
        fingerprint=saga.fingerprint,
        deadline=saga.deadline.total_seconds() if saga.deadline is not None else None,
        pivot=saga.pivot.name if saga.pivot is not None else None,
        steps=_sequence(saga, saga.tree),
        payload=saga.payload.model_json_schema(),
    )


def _sequence(saga: Definition, nodes: Sequence[Node]) -> list[StepDefinition | ParallelDefinition]:
    return [
        ParallelDefinition(parallel=[_sequence(saga, branch) for branch in node.branches])
        if isinstance(node, Parallel)
        else _step(saga, node)
        for node in nodes
    ]


def _step(saga: Definition, step: Step) -> StepDefinition:
    return StepDefinition(
        step=step.name,
        kind=step.kind,
        queue=step.queue,
        timeout=step.timeout,
        retry=_retry(saga.retry_of(step)),
        atomic=step.atomic,
        optional=step.optional,
        conditional=step.when is not None,
        waits=step.waits,
        verifiable=step.verifier is not None,
        compensation=_undoing(step.compensation),
    )


def _undoing(how: Compensation | None) -> Undoing | None:
    if how is None:
        return None
    return Undoing(
        timeout=how.timeout, retry=_retry(how.retry), tolerates_nothing=how.tolerates_nothing
    )


def _retry(retry: Retry) -> RetryBudget:
    return RetryBudget(attempts=retry.attempts, base=retry.base, cap=retry.cap, total=retry.total)
