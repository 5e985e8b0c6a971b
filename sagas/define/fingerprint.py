"""May this definition continue a run that was started with another state of it?

A run pins the fingerprint of its saga's definition. The first half of a fingerprint is a hash of
what must be the same when a run goes on:

- the names of the steps, their order, and which of them are parallel branches: the rows of a run
  are found by name, and what comes next is read from the tree;
- which step is the pivot: it decides what turns back and what must finish;
- which steps wait: a signal would count as the result of an action that nobody called;
- which are optional: a failure that was passed over would block the run;
- which are atomic, or declared ``idempotent=False``: both say what a lost attempt may have done.

The second half lists what each step promised to the run, which must still be kept and may be added:

- that it is undone when the run turns back. A step that was harmless may get a compensation; it is
  then called for runs under way too. After the pivot nothing is undone, so nothing is promised;
- that a step which may not be repeated is verified before anything else is done about a doubt.

Everything else may change under a run: the code of the steps, timeouts, retries, queues,
partners, conditions, what exceptions mean, a verify that is added (or removed from a step that may
be repeated), the saga's deadline, ``hop`` and the payload's model, which must go on reading what is
stored.

There is room for the promises of the first 24 steps; those of later ones are part of the hash, so
that there even an added promise counts as a change.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sagas.define.step import Kind, Step

if TYPE_CHECKING:
    from sagas.define.saga import Definition, Node

_BYTES = 6  # of each half: eight characters
_HALF = 8
_UNDONE, _VERIFIED = 0b01, 0b10
_BITS = 2
_ROOM = 8 * _BYTES // _BITS


def fingerprint(saga: Definition) -> str:
    """Sixteen characters: what a run must find again, and what it was promised."""
    pivot = saga.pivot.name if saga.pivot else None
    return structure(saga, saga.tree, pivot) + _packed(_promises(saga))


def fits(pinned: str, saga: Definition) -> bool:
    """Whether a run that pins this fingerprint may go on with this definition."""
    return accepts(saga.fingerprint, pinned)


def accepts(current: str, pinned: str) -> bool:
    """Whether a run that pins one fingerprint may go on with a definition that has the other."""
    if current[:_HALF] != pinned[:_HALF]:
        return False
    return not _bits(pinned) & ~_bits(current)


def same_structure(pinned: str, saga: Definition) -> bool:
    """Whether the steps are what they were, but for what they promise."""
    return pinned[:_HALF] == saga.fingerprint[:_HALF]


def broken_promises(pinned: str, saga: Definition) -> Iterator[str]:
    """What a fingerprint of the same structure promised and the definition does not, in words."""
    before = _bits(pinned)
    for place, step in enumerate(list(saga.steps.values())[:_ROOM]):
        lost = (before >> (_BITS * place)) & ~_promise(step)
        if lost & _UNDONE:
            yield f"step {step.name!r} has lost its compensation"
        if lost & _VERIFIED:
            yield f"step {step.name!r}, which may not be repeated, has lost its verify"


def promised_undo(pinned: str, position: int) -> bool | None:
    """Whether the step at that position could be undone; None: a fingerprint has no room for it."""
    if position >= _ROOM:
        return None
    before = int.from_bytes(urlsafe_b64decode(pinned[_HALF:]), "little")
    return bool((before >> (_BITS * position)) & _UNDONE)


def flags(step: Step) -> Mapping[str, bool]:
    """What must stay as it is of a step by itself."""
    return {
        "waits": step.waits,
        "optional": step.optional,
        "atomic": step.atomic,
        "once": not step.idempotent,
    }


def structure(
    saga: Definition,
    tree: Sequence[Node],
    pivot: str | None,
    flipped: tuple[str, str] = ("", ""),
) -> str:
    """The first half of a fingerprint: of the saga, or of one that is almost the saga.

    Args:
        tree: its steps, in this order and these branches.
        pivot: the name of its pivot.
        flipped: a step's name and one of its flags, to be taken for the opposite.
    """
    shape = list(_shape(tree, pivot, flipped))
    text = json.dumps([shape, _promises(saga)[_ROOM:]], separators=(",", ":"))
    return _text(hashlib.sha256(text.encode()).digest()[:_BYTES])


def _shape(nodes: Sequence[Node], pivot: str | None, flipped: tuple[str, str]) -> Iterator[Any]:
    for node in nodes:
        if isinstance(node, Step):
            yield _must_stay(node, node.name == pivot, flipped)
        else:
            yield [list(_shape(branch, pivot, flipped)) for branch in node.branches]


def _must_stay(step: Step, is_pivot: bool, flipped: tuple[str, str]) -> str:
    words = [flag for flag, on in flags(step).items() if on is not (flipped == (step.name, flag))]
    return ":".join([step.name, *words, *(["pivot"] if is_pivot else [])])


def _promises(saga: Definition) -> list[int]:
    return [_promise(step) for step in saga.steps.values()]


def _promise(step: Step) -> int:
    undone = _UNDONE if step.kind is Kind.COMPENSATABLE else 0
    verified = _VERIFIED if not step.idempotent and step.verifier is not None else 0
    return undone | verified


def _packed(promises: Sequence[int]) -> str:
    bits = sum(promise << (_BITS * place) for place, promise in enumerate(promises[:_ROOM]))
    return _text(bits.to_bytes(_BYTES, "little"))


def _bits(pinned: str) -> int:
    return int.from_bytes(urlsafe_b64decode(pinned[_HALF:]), "little")


def _text(half: bytes) -> str:
    return urlsafe_b64encode(half).decode()
