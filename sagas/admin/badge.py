"""A state in a word, a shape and a colour: never by colour alone."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.admin.run_page.words import GLYPHS, words
from sagas.states import RunStatus, StepStatus

_STATES = frozenset(status.value for status in (*RunStatus, *StepStatus))


def badge(status: str) -> SafeString:
    """A state of a run or a step. The shape is hidden from screen readers, which read the word."""
    return format_html(
        '<span class="saga-state saga-{}"><span aria-hidden="true">{}</span> {}</span>',
        status if status in _STATES else "other",
        GLYPHS.get(status, "?"),
        words(status),
    )
