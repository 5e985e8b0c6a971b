"""The rules that a saga's definition must keep, each with a searchable id and a cure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel
from pydantic.errors import (
    PydanticSchemaGenerationError,
    PydanticUndefinedAnnotation,
    PydanticUserError,
)

from sagas.define.arguments import refuse, shown
from sagas.define.data import silent_beside_lenient
from sagas.define.step import Kind, Step

if TYPE_CHECKING:
    from sagas.define.saga import Definition, Node

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
STEP_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,79}")
_NO_SCHEMA = (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError)


def validate(saga: Definition) -> None:
    """Check a definition against every rule, in order.

    Raises:
        DefinitionError: for the first rule that is broken.
    """
    for rule in RULES:
        for message, hint in rule(saga):
            refuse(rule.__doc__ or "", f"Saga {saga.name!r}", message, hint)


Finding = tuple[str, str]


def _name(saga: Definition) -> Iterator[Finding]:
    """sagas.E001"""
    if len(saga.name) > 80 or not NAME.fullmatch(saga.name):
        yield (
            "the name is not lower-case words joined by hyphens, at most 80 characters.",
            "Name it like 'order-fulfilment'.",
        )


def _payload(saga: Definition) -> Iterator[Finding]:
    """sagas.E002"""
    schema = isinstance(saga.payload, type) and issubclass(saga.payload, BaseModel)
    if not schema or saga.payload is BaseModel:
        yield (
            f"the payload {saga.payload!r} is no schema.",
            "Give a pydantic model class, as in payload=Order.",
        )
        return
    try:
        saga.payload.model_rebuild()
    except PydanticUndefinedAnnotation as error:
        yield (
            f"the payload {saga.payload.__name__} cannot be used: {error.message}.",
            "Import what its fields name at run time, and define it above the Saga.",
        )


def _unknown_fields(saga: Definition) -> Iterator[Finding]:
    """sagas.E022"""
    if silent := silent_beside_lenient(saga.payload.__pydantic_core_schema__):
        yield (
            f"in the payload some model lets unknown fields pass, and {silent} says nothing.",
            f'Say what {silent} does, as in model_config = ConfigDict(extra="forbid").',
        )


def _nodes(saga: Definition) -> Iterator[Finding]:
    """sagas.E003"""
    from sagas.define.saga import walk

    strangers = [n for n in walk(saga.tree) if not isinstance(n, Step)]
    if strangers:
        yield (
            f"{shown(strangers[0])} is not a step.",
            "Put @step above the function and above its other decorators, or use wait_for, "
            "wait_until or parallel; a list of steps belongs into parallel.",
        )
    elif not list(walk(saga.tree)):
        yield "it has no steps.", "Give at least one step."


def _unique(saga: Definition) -> Iterator[Finding]:
    """sagas.E004"""
    for name, count in Counter(s.name for s in _steps(saga)).items():
        if count > 1:
            yield (
                f"the step name {name!r} is used {count} times.",
                "Results are found by name: give each use its own, as in @step(name=...).",
            )
        if not STEP_NAME.fullmatch(name):
            yield (
                f"{name!r} is no name for a step.",
                'Use letters, digits, _ and -, at most 80, as in @step(name="charge-card").',
            )


def _undoable(saga: Definition) -> Iterator[Finding]:
    """sagas.E005"""
    for step in _steps(saga):
        if step.kind is Kind.COMPENSATABLE and step.compensation is None:
            yield (
                f"step {step.name!r} stands before the pivot and cannot be undone.",
                f"Add @{step.name}.compensate above the Saga, or declare @step(harmless=True).",
            )
        if step.harmless and step.compensation is not None:
            yield (
                f"step {step.name!r} is declared harmless and has a compensation.",
                "Keep one of the two.",
            )


def _finishing(saga: Definition) -> Iterator[Finding]:
    """sagas.E006"""
    for step in _steps(saga):
        if step.kind is not Kind.RETRIABLE or step.optional:
            continue
        if step.retry is not None and step.retry.gives_up:
            yield (
                f"step {step.name!r} stands after the pivot and can give up.",
                "Use Retry(attempts=None), or declare it optional=True.",
            )
        if step.expires:
            yield (
                f"step {step.name!r} waits after the pivot and fails when its time is up.",
                'Use wait_for(..., on_timeout="continue").',
            )


def _one_pivot(saga: Definition) -> Iterator[Finding]:
    """sagas.E007"""
    pivots = [s.name for s in _steps(saga) if s.kind is Kind.PIVOT]
    if len(pivots) > 1:
        yield (
            f"it has {len(pivots)} pivots: {', '.join(pivots)}.",
            "There is one point of no return; what follows must be retriable.",
        )


def _plain_pivot(saga: Definition) -> Iterator[Finding]:
    """sagas.E008"""
    top = [node for node in saga.tree if isinstance(node, Step)]
    for step in _steps(saga):
        if step.kind is not Kind.PIVOT:
            continue
        if step not in top:
            yield (
                f"the pivot {step.name!r} is inside a parallel block.",
                "Put it before or after the block.",
            )
        if step.optional or step.when is not None:
            yield (
                f"the pivot {step.name!r} may be left out.",
                "Drop optional= and when=: a saga must know whether it passed its pivot.",
            )


def _annotations(saga: Definition) -> Iterator[Finding]:
    """sagas.E021"""
    for step in _steps(saga):
        try:
            _ = step.returned
        except Exception as error:  # whatever evaluating it raises
            yield (
                f"the return annotation of {shown(step.action)} cannot be read: {error}.",
                "Import what it names at run time, not under TYPE_CHECKING, and define it above "
                "the Saga, at module level; or leave the annotation out.",
            )


def _results(saga: Definition) -> Iterator[Finding]:
    """sagas.E010"""
    for step in _steps(saga):
        try:
            _ = step.stored_extra
        except _NO_SCHEMA:
            yield (
                f"the return annotation of step {step.name!r} is no schema.",
                "Return a pydantic model, a dataclass or plain JSON types; of a Django object, "
                "its primary key. What their fields name must be defined above the Saga.",
            )


def _branches(saga: Definition) -> Iterator[Finding]:
    """sagas.E011"""
    for branch in _all_branches(saga.tree):
        if not branch:
            yield "a parallel block has an empty branch.", "Give each branch at least one step."


RULES: Sequence[Callable[[Definition], Iterator[Finding]]] = (
    _name,
    _payload,
    _unknown_fields,
    _nodes,
    _unique,
    _one_pivot,
    _plain_pivot,
    _undoable,
    _finishing,
    _annotations,
    _results,
    _branches,
)


def _steps(saga: Definition) -> list[Step]:
    from sagas.define.saga import walk

    return list(walk(saga.tree))


def _all_branches(nodes: Sequence[Node]) -> Iterator[Sequence[Node]]:
    for node in nodes:
        if not isinstance(node, Step):
            for branch in node.branches:
                yield branch
                yield from _all_branches(branch)
