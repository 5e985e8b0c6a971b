"""What strangers wrote, made fit to be shown: isolated, cut, and without what steers a screen."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

LONGEST = 2000  #: characters of one text on a page
_KEPT = frozenset("\n\t\u200c\u200d")  # joiners are letters of some scripts
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def cleaned(text: object, limit: int = LONGEST) -> str:
    """Plain text, for where no markup can be.

    Control characters, and those that turn the direction of writing, are replaced by marks. What
    is too long is cut, and the text says how much is missing.
    """
    whole = str(text)
    seen = "".join(c if c in _KEPT or _harmless(c) else "\ufffd" for c in whole[:limit])
    missing = len(whole) - limit
    return f"{seen}… ({missing:,} more characters)" if missing > 0 else seen


def line(text: object, limit: int = 80) -> str:
    """The same in one line, for where there is little room."""
    whole = " ".join(str(text)[: 4 * limit].split())
    seen = "".join(c if _harmless(c) else "\ufffd" for c in whole[:limit])
    return f"{seen}…" if len(whole) > limit else seen


def shown(text: object, limit: int = LONGEST) -> SafeString:
    """The same for a page: escaped, and isolated from the direction of the text around it."""
    return format_html("<bdi>{}</bdi>", cleaned(text, limit))


def encoded(text: str) -> str:
    """For the value of a field, which must stay what it is: nothing in the page itself steers."""
    if all(_harmless(c) for c in text):
        return text
    return format_html_join("", "&#{};", ([ord(c)] for c in text))


def as_json(document: Any) -> str:
    """JSON to be read by people."""
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True)


def as_line(document: Any) -> str:
    """JSON in one line."""
    return json.dumps(document, ensure_ascii=False)


def _harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) not in _STEERING
