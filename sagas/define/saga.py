"""A saga's definition: a tree of steps, validated when it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from sagas.define.arguments import (
    ADDRESS,
    BACKLOG,
    FLAG,
    LABEL,
    NAME,
    OPTIONAL_SPAN,
    STEPS,
    TITLE,
    VERSION,
    checked,
    instance,
    refuse,
)
from sagas.define.backoff import FOREVER, FORWARD, Retry
from sagas.define.data import extra_at_door, extra_stored
from sagas.define.redact import place_of
from sagas.define.step import ERRORS, Errors, Kind, Step
from sagas.errors import PayloadInvalid


@dataclass(frozen=True, slots=True)
class Parallel:
    """Branches that run side by side; each is a sequence."""

    branches: tuple[tuple[Node, ...], ...]


Node = Step | Parallel


def parallel(*branches: Step | Parallel | Sequence[Node]) -> Parallel:
    """Run branches side by side and go on when all are done.

    Args:
        branches: at least two, each a step or a list of steps (and further ``parallel`` blocks)
            that come one after the other.
    """
    sequences = [tuple(b) if isinstance(b, list | tuple) else (b,) for b in branches]
    if len(sequences) < 2:
        refuse(
            "sagas.E011",
            "parallel()",
            f"it has {len(sequences)} branches, so nothing runs side by side.",
            "Write parallel(a, b); parallel([a, b], c) runs b after a, and both beside c.",
        )
    return Parallel(tuple(sequences))


@checked("pivot", step=instance(Step, "a step", "Put @pivot above @step, or write pivot(charge)."))
def pivot(step: Step) -> Step:
    """Mark the point of no return: before it a saga undoes itself, after it must finish."""
    return step.as_pivot()


class Definition:
    """A saga: its name, its payload's schema and its steps.

    Args:
        name: lower-case words joined by hyphens; unique together with ``version``.
        payload: the pydantic model of the payload. Fields that it does not have are refused
            when a run is started, unless it says otherwise with ``extra`` in its
            ``model_config``; in what is stored they are passed over.
        steps: steps and ``parallel`` blocks, in order.
        version: raise it when you change the steps while runs are under way, and keep the old
            definition beside the new one; ``sagas.define.fingerprint`` says what is a change.
        errors: what the exceptions of the steps' code mean.
        deadline: how long a run may take before it turns back; ignored after the pivot.
        queue: the Celery queue of the steps that name none, such as one of its own for what
            strangers start, so that no flood of it delays others; default: the app's default queue.
        backlog: how many of its runs may wait for their first step; then no more are started, and
            callers are told to come again. Those that come at the same moment may exceed it. They
            are counted among the newest that wait, ten times as many, of all sagas.
        hop: send every step as a message of its own, instead of carrying on in one worker.
        about: gives, for a business key, the address of the page of what the run is about; the
            run's page in the admin links to it.
        title: gives, for a payload, a short text by which people know the run, such as
            ``2 × mug``. It is made at the start and kept with the run, for everybody who may see
            that: so it is given a copy of the payload with a mark in place of each redacted
            value. It asks no database. Where it fails the run starts, and has no title.

    Raises:
        DefinitionError: the definition breaks a rule; it names the rule and the cure.
    """

    @checked(
        "Saga",
        name=NAME,
        steps=STEPS,
        version=VERSION,
        errors=ERRORS,
        deadline=OPTIONAL_SPAN,
        queue=LABEL,
        backlog=BACKLOG,
        hop=FLAG,
        about=ADDRESS,
        title=TITLE,
    )
    def __init__(
        self,
        name: str,
        *,
        payload: type[BaseModel],
        steps: Sequence[Node],
        version: int = 1,
        errors: Errors | None = None,
        deadline: timedelta | None = None,
        queue: str | None = None,
        backlog: int | None = None,
        hop: bool = False,
        about: Callable[[str], str] | None = None,
        title: Callable[[Any], str] | None = None,
    ) -> None:
        from sagas.define.fingerprint import fingerprint  # these need this module
        from sagas.define.validate import validate

        self.name = name
        self.version = version
        self.payload = payload
        self.errors = errors or Errors()
        self.deadline = deadline
        self.backlog = backlog
        self.hop = hop
        self.about = about
        self.title = title
        self.tree = _resolved(steps, queue)
        validate(self)
        self._at_door = extra_at_door(payload.__pydantic_core_schema__)
        self._stored = extra_stored(payload.__pydantic_core_schema__)
        self.steps = {step.name: step for step in walk(self.tree)}
        self.order = {name: position for position, name in enumerate(self.steps)}
        self.pivot = next((s for s in self.steps.values() if s.kind is Kind.PIVOT), None)
        self.fingerprint = fingerprint(self)
        self.defined()
        for step in self.steps.values():
            step.used_by(name)

    def defined(self) -> None:
        """Called once the definition is found to be sound."""

    def __repr__(self) -> str:
        return f"<Saga {self.name} v{self.version}>"

    def retry_of(self, step: Step) -> Retry:
        """The step's retry budget; after the pivot it has no end."""
        if step.retry is not None:
            return step.retry
        return FOREVER if step.kind is Kind.RETRIABLE and not step.optional else FORWARD

    def errors_of(self, step: Step) -> Errors:
        """What the exceptions of this step's code mean."""
        return step.errors or self.errors

    def validated(
        self, payload: BaseModel | dict[str, Any] | str | bytes, *, by_name: bool | None = None
    ) -> BaseModel:
        """The payload as the saga's model. Fields that it does not have are refused.

        Args:
            by_name: take a field's own name too, where it has an alias; None: the model says.

        Raises:
            PayloadInvalid: it does not fit; every problem is listed with its field.
        """
        try:
            if isinstance(payload, str | bytes):
                return self.payload.model_validate_json(
                    payload, by_name=by_name, extra=self._at_door
                )
            return self.payload.model_validate(payload, by_name=by_name, extra=self._at_door)
        except ValidationError as error:
            told = problems(error), safe_problems(error)
            raise PayloadInvalid(f"saga {self.name!r}", *told) from None

    def plain(self, payload: BaseModel, mode: str = "json") -> dict[str, Any]:
        """A payload as it is stored: by the names of its fields, without what is computed.

        Raises:
            ValueError: something in it has no JSON form.
        """
        return payload.model_dump(mode=mode, by_alias=False, round_trip=True, warnings=False)

    def restored(self, document: str) -> BaseModel:
        """The payload from what was stored, by this code or by code with other fields.

        Raises:
            PayloadInvalid: it does not fit the saga's model, or no longer.
        """
        try:
            return self.payload.model_validate_json(
                document, by_alias=False, by_name=True, extra=self._stored
            )
        except ValidationError as error:
            raise PayloadInvalid(f"saga {self.name!r}", safe_problems(error)) from None


def problems(error: ValidationError) -> list[dict[str, str]]:
    """What is wrong with which field, for whoever gave it: words of validators may quote it."""
    return [
        {"field": ".".join(map(str, item["loc"])), "message": item["msg"]}
        for item in error.errors(include_input=False, include_url=False)
    ]


def safe_problems(error: ValidationError) -> list[dict[str, str]]:
    """The same for the record, without what was given: it may be personal."""
    return [
        {"field": place_of(item["loc"]), "message": _safe_message(item)}
        for item in error.errors(include_url=False)
    ]


def _safe_message(item: ErrorDetails) -> str:
    quotes = item["type"] in _QUOTING or item["type"] not in _PYDANTICS
    return "its validator refuses it" if quotes else item["msg"]


_PYDANTICS = frozenset(get_args(ErrorType))
_QUOTING = frozenset({"value_error", "assertion_error", "union_tag_invalid"})


def walk(nodes: Sequence[Node]) -> Iterator[Step]:
    """All steps of a tree, in the order they are written."""
    for node in nodes:
        if isinstance(node, Parallel):
            for branch in node.branches:
                yield from walk(branch)
        else:
            yield node


def _resolved(nodes: Sequence[Node], queue: str | None) -> tuple[Node, ...]:
    """The tree with each step's kind settled by its place relative to the pivot, and its queue."""
    resolved: list[Node] = []
    passed = False
    for node in nodes:
        resolved.append(_settled(node, passed, queue))
        passed = passed or (isinstance(node, Step) and node.kind is Kind.PIVOT)
    return tuple(resolved)


def _settled(node: Node, passed: bool, queue: str | None) -> Node:
    if isinstance(node, Parallel):
        branches = node.branches
        return Parallel(tuple(tuple(_settled(n, passed, queue) for n in b) for b in branches))
    if not isinstance(node, Step):
        return node
    return replace(node, kind=_kind(node, passed), queue=node.queue or queue)


def _kind(step: Step, passed: bool) -> Kind:
    if step.kind is Kind.PIVOT:
        return step.kind
    if passed:
        return Kind.RETRIABLE
    return Kind.HARMLESS if step.harmless else Kind.COMPENSATABLE
