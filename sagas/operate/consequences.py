"""What follows from an action, in sentences: for the command line, the API and a batch's page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sagas.define.outlook import Outlook
from sagas.define.preview import Left, Preview, Undo
from sagas.states import RunStatus
from sagas.wording import stands


def consequences(seen: Outlook) -> list[str]:
    """All that is known of how a run goes on, a sentence for each thing."""
    return [f"The run then {stands(seen.status)}.", *_steps(seen), *_undone(seen)]


def _steps(seen: Outlook) -> Iterator[str]:
    for reason in seen.stopped:
        yield f"It stops again at once: {reason}"
    yield from (f"{what}: {names}." for what, names in changed_steps(seen))


def changed_steps(seen: Outlook) -> list[tuple[str, str]]:
    """What becomes of the run's own steps, each kind with their names."""
    told = (
        ("Done once more, with effects that happen again", seen.again),
        ("Steps that it has from then on", seen.added),
        ("Steps that it has no more", seen.removed),
    )
    return [(what, ", ".join(names)) for what, names in told if names]


def _undone(seen: Outlook) -> Iterator[str]:
    if seen.undo is not None:
        yield from _preview(seen.undo)
        return
    yield "Nothing is undone."
    if seen.status is not RunStatus.SUCCEEDED:
        yield from _left("Stays", seen.stays)


def _preview(undo: Preview) -> Iterator[str]:
    if undo.refusal:
        yield f"Nothing is undone any more. {undo.refusal}"
        yield from _left("Stays", undo.kept)
        return
    yield from _left("To be settled first", undo.first)
    if undo.unless and undo.stages:
        yield f"If {undo.unless} does not happen:"
    for number, stage in enumerate(undo.stages, 1):
        yield f"{number}. Undone: {'; side by side with it '.join(map(_undo, stage))}."
    if not undo.stages:
        yield "There is nothing to undo."
    yield from _left("Not undone", undo.kept)


def _undo(undo: Undo) -> str:
    by = f" by {undo.compensation}" if undo.compensation else ""
    doubt = ", which may not have happened" if undo.doubtful else ""
    return f"{undo.step}{by}{doubt}"


def _left(word: str, items: Iterable[Left]) -> Iterator[str]:
    return (f"{word}: {left.step}, because: {left.why}." for left in items)
