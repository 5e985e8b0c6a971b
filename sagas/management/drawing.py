"""A saga drawn in plain text: its steps in order, branches as a tree, the pivot marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from sagas.define.backoff import Retry
from sagas.define.saga import Definition, Node
from sagas.define.step import Compensation, Kind, Step
from sagas.management.text import WIDTH, cut, duration, wrapped

_MARKS = {Kind.COMPENSATABLE: "○", Kind.HARMLESS: "◌", Kind.PIVOT: "◆", Kind.RETRIABLE: "●"}
_LEGEND = "○ can be undone   ◌ nothing to undo   ◆ point of no return   ● must succeed in the end"


def draw(saga: Definition) -> str:
    """A saga in at most 100 columns of text."""
    lines = [*_title(saga), "", *_sequence(saga, saga.tree, WIDTH), "", _LEGEND]
    return "\n".join(line.rstrip() for line in lines)


def _title(saga: Definition) -> Iterator[str]:
    yield f"{saga.name}, version {saga.version}"
    yield from wrapped(f"started with: {', '.join(_fields(saga)) or 'nothing'}", WIDTH)
    if saga.deadline is not None:
        yield f"turns back unless it is done within {_length(saga.deadline)}"
    if saga.hop:
        yield "every step is a message of its own"


def _fields(saga: Definition) -> Iterator[str]:
    for name, field in saga.payload.model_fields.items():
        yield name if field.is_required() else f"{name} (optional)"


def _sequence(saga: Definition, nodes: Sequence[Node], width: int) -> Iterator[str]:
    for place, node in enumerate(nodes):
        if place:
            yield "│"
        spine = "│ " if place < len(nodes) - 1 else "  "
        head, *rest = _node(saga, node, width - 2)
        yield head
        yield from (spine + line for line in rest)


def _node(saga: Definition, node: Node, width: int) -> Iterator[str]:
    if isinstance(node, Step):
        yield from _step(saga, node, width)
        return
    yield "╥ side by side"
    for place, branch in enumerate(node.branches):
        yield from _branch(saga, branch, width, last=place == len(node.branches) - 1)


def _branch(saga: Definition, nodes: Sequence[Node], width: int, *, last: bool) -> Iterator[str]:
    head, *rest = _sequence(saga, nodes, width - 3)
    yield ("╙─ " if last else "╟─ ") + head
    yield from (("   " if last else "║  ") + line for line in rest)
    if not last:
        yield "║"


def _step(saga: Definition, step: Step, width: int) -> Iterator[str]:
    yield cut(f"{_MARKS[step.kind]} {step.name}{_turning_point(step)}", width)
    for line in _facts(saga, step):
        yield from (f"  {part}" for part in wrapped(line, width - 2))


def _turning_point(step: Step) -> str:
    return "   ═══ point of no return ═══" if step.kind is Kind.PIVOT else ""


def _facts(saga: Definition, step: Step) -> Iterator[str]:
    if step.when is not None:
        yield f"only if {_name(step.when)}"
    if step.compensation is not None and step.kind is Kind.COMPENSATABLE:
        yield _undo(step.compensation)
    if step.verifier is not None:
        yield f"verify {_name(step.verifier)}"
    yield _wait(step) if step.waits else ", ".join(_manner(saga, step))


def _undo(how: Compensation) -> str:
    doubt = ", also when it is in doubt" if how.tolerates_nothing else ""
    return f"undo {_name(how.action)}: {_tries(how.retry, how.timeout)}{doubt}"


def _wait(step: Step) -> str:
    turning = "; if that comes too late, the run turns back" if step.expires else ""
    return f"waits for a signal or a time, holding no worker{turning}"


def _manner(saga: Definition, step: Step) -> Iterator[str]:
    if step.queue is not None:
        yield f"queue {step.queue}"
    yield _tries(saga.retry_of(step), step.timeout)
    if step.atomic:
        yield "commits with its outcome"
    if not step.idempotent and step.verifier is None:
        yield "never repeated when in doubt"
    if step.optional:
        yield "optional: giving up does not stop the run"


def _tries(retry: Retry, timeout: float) -> str:
    of, ever = f"of {duration(timeout)}", retry.attempts is None
    tries = f"tries {of} until it works" if ever else f"{retry.attempts} tries {of}"
    tries = f"1 try {of}" if retry.attempts == 1 else tries
    return tries if retry.total is None else f"{tries}, none after {duration(retry.total)}"


def _name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "(unnamed)" if name == "<lambda>" else name


def _length(time: timedelta) -> str:
    return duration(time.total_seconds())
