"""A state in a word, a shape and a colour: never by colour alone."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.admin.run_page.words import GLYPHS
from sagas.operate.expected import Expected, Next, foremost
from sagas.operate.undone import UNDONE
from sagas.states import RunStatus, StepStatus
from sagas.wording import words

_STATES = frozenset(status.value for status in (*RunStatus, *StepStatus)) | {UNDONE}


def badge(status: str, said: str = "") -> SafeString:
    """A state of a run, or of a step as ``state_of`` gives it.

    The shape is hidden from screen readers, which read the word.

    Args:
        said: what it is called here; empty: as everywhere.
    """
    css = f"saga-{status if status in _STATES else 'other'}"
    return mark(css, GLYPHS.get(status, "?"), words(said or status))


def mark(css: str, glyph: str, said: str) -> SafeString:
    """A state in a word, a shape and a colour, which is that of the class."""
    return format_html(
        '<span class="saga-state {}"><span aria-hidden="true">{}</span> {}</span>',
        *(css, glyph, said),
    )


def kept(state: SafeString, found: Sequence[Expected]) -> SafeString:
    """The badge of a run's state, and another one if something keeps the run from going on."""
    first = foremost(found)
    if first is None or first.what not in _KEPT:
        return state
    return format_html("{} {}", state, mark(*_KEPT[first.what]))


_KEPT = {
    Next.HOLD: ("saga-unknown", "‖", "held"),
    Next.NOBODY: ("saga-failed", "✕", "not taken"),
}
