"""What may be seen of what partners tell, wherever it is shown, logged or reported.

Documents are masked by what is allowed: a value shows only where its source calls the field public
and the value is a number or one word. All others show that they are there. A personal field is one
mark, with all that is in it, whatever it is called inside.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import DatabaseError

from integrations.webhooks.sources import SOURCES
from sagas.conf import conf
from sagas.define.redact import HIDDEN, hidden, is_plain, matcher

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
_ROOT = Path(__file__).resolve().parents[2]


def visible(source: str, document: Any, *, reveal: bool = False, within: bool = True) -> Any:
    """What of a document of that source somebody may see: the mark for what they may not.

    Args:
        reveal: whether they see personal data.
        within: whether they may see runs of the saga that it is about; else they see no value.
    """
    if reveal or document is None:
        return document
    if not within:
        return hidden(document)
    known = SOURCES.get(source)
    public = known.public if known else ()
    personal = matcher({*conf().REDACT, *(known.personal if known else ())})
    try:
        return _masked(document, public, personal)
    except RecursionError:
        return HIDDEN


def field_name(text: object) -> str:
    """A name within a document, or the mark for one that looks like a value, such as an address."""
    return text if isinstance(text, str) and _FIELD.fullmatch(text) else HIDDEN


def reason(error: BaseException) -> str:
    """What went wrong and where, without the error's message: that may repeat what was sent."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = next((f for f in reversed(frames) if _is_ours(f.filename)), frames[-1])
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"


@contextmanager
def without_rows() -> Iterator[None]:
    """Let errors of the database pass without its message: it shows the row that it refused."""
    try:
        yield
    except DatabaseError as error:
        raise type(error)(reason(error)) from None


def _masked(value: Any, public: Collection[str], personal: Callable[[str], bool]) -> Any:
    match value:
        case dict():
            return {
                field_name(name): _field(name, inner, public, personal)
                for name, inner in value.items()
            }
        case list():
            return [_masked(inner, public, personal) for inner in value]
    return None if value is None else HIDDEN


def _field(name: str, value: Any, public: Collection[str], personal: Callable[[str], bool]) -> Any:
    if value is None or (name in public and is_plain(value)):
        return value
    return HIDDEN if personal(name) else _masked(value, public, personal)


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(_ROOT) and "site-packages" not in path.parts
