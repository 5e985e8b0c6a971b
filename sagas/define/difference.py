"""What has changed in a definition since a run was started with it, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from sagas.define.fingerprint import broken_promises, fits, flags, same_structure, structure
from sagas.define.saga import Definition, Node, Parallel, walk
from sagas.define.step import Step


def difference(started: Sequence[str], pinned: str, saga: Definition) -> str:
    """What is no longer as it was when a run was started; empty if the run may go on.

    Args:
        started: the names of the run's forward steps, by position.
        pinned: the run's fingerprint.
        saga: the definition that the code has now.
    """
    now = list(saga.order)
    changes = [*_gone(started, now), *_new(started, now), *_moved(started, now)]
    if not changes and not fits(pinned, saga):
        same = same_structure(pinned, saga)
        changes = list(broken_promises(pinned, saga)) if same else [_hidden(pinned, saga)]
    return "; ".join(changes)


# --- what the run's rows tell --------------------------------------------------------------


def _gone(started: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    return (f"step {name!r} is gone" for name in started if name not in now)


def _new(started: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    for place, name in enumerate(now):
        if name in started:
            continue
        neighbour = f" after {now[place - 1]!r}" if place else ""
        if not neighbour and len(now) > 1:
            neighbour = f" before {now[1]!r}"
        yield f"step {name!r} is new{neighbour}"


def _moved(started: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    """The fewest steps that must have moved, each with one that it has passed and that has not."""
    kept = [name for name in now if name in started]
    order = [started.index(name) for name in kept]
    in_place = _longest_rising(order)
    for place, name in enumerate(kept):
        if place in in_place:
            continue
        before = [other for other in in_place if place < other and order[other] < order[place]]
        after = [other for other in in_place if other < place and order[other] > order[place]]
        where, other = ("before", before[0]) if before else ("after", after[-1])
        yield f"{name!r} now comes {where} {kept[other]!r}"


def _longest_rising(numbers: Sequence[int]) -> tuple[int, ...]:
    """The places of a longest rising series: what need not have moved."""
    best: list[tuple[int, ...]] = []  # for each place the longest series that ends there
    for place, number in enumerate(numbers):
        before = [series for series in best if numbers[series[-1]] < number]
        best.append((*_longest(before), place))
    return _longest(best)


def _longest(series: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The longest one; of several the last, so that what was moved ahead counts as moved."""
    return max(reversed(series), key=lambda one: len(one), default=())


# --- what only the fingerprint tells -------------------------------------------------------


def _hidden(pinned: str, saga: Definition) -> str:
    """The one change that explains the fingerprint, if it was one: what it was is tried out."""
    for words, former in _former(saga):
        if pinned.startswith(former):
            return words
    return (
        "the steps have the same names in the same order, but more than one of these has changed: "
        "the branches, the pivot, or which steps wait, are optional, atomic or idempotent=False"
    )


def _former(saga: Definition) -> Iterator[tuple[str, str]]:
    """What the definition may have been, and in which words it is not so any more."""
    pivot = saga.pivot.name if saga.pivot else None
    for step in saga.steps.values():
        for flag, is_set in flags(step).items():
            words = f"step {step.name!r} {_FLAGS[flag][is_set]}"
            yield words, structure(saga, saga.tree, pivot, (step.name, flag))
    for other in (None, *(node.name for node in saga.tree if isinstance(node, Step))):
        if other != pivot:
            words = f"the pivot is now {_step(pivot)} and was {_step(other)}"
            yield words, structure(saga, saga.tree, other)
    for words, tree in _other_trees(saga):
        yield words, structure(saga, tree, pivot)


_FLAGS = {
    "waits": ("has ceased to wait", "now waits, and did not"),
    "optional": ("is no longer optional", "is now optional"),
    "atomic": ("is no longer atomic", "is now atomic"),
    "once": ("is no longer declared idempotent=False", "is now declared idempotent=False"),
}


def _step(name: str | None) -> str:
    return "none" if name is None else repr(name)


def _other_trees(saga: Definition) -> Iterator[tuple[str, list[Node]]]:
    """One block that was a sequence, or a part of the sequence that was a block."""
    tree = list(saga.tree)
    for place, node in enumerate(tree):
        if isinstance(node, Parallel):
            flat = [inner for branch in node.branches for inner in branch]
            words = f"{_listed([node])} are now side by side, and were in sequence"
            yield words, [*tree[:place], *flat, *tree[place + 1 :]]
    for start, end in combinations(range(len(tree) + 1), 2):
        if end - start > 1:
            block = Parallel(tuple((node,) for node in tree[start:end]))
            words = f"{_listed([block])} are now in sequence, and were side by side"
            yield words, [*tree[:start], block, *tree[end:]]


def _listed(nodes: Sequence[Node]) -> str:
    return ", ".join(repr(step.name) for step in walk(nodes))
