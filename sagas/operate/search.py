"""Search: the runs that a person means by what they have at hand, each kind by an index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

from django.db.models import Q, Value
from django.db.models.functions import Concat, Lower
from django.db.models.lookups import Contains, Exact, StartsWith

from sagas.models.record import key_end
from sagas.operate.selection import with_tag

_ID, _LEAST = 32, 8  # hexadecimal digits; by fewer than eight most runs would be alike


def matching(term: str) -> Q:
    """The condition that a run is meant: by its id or the beginning of it, by its key, or a tag.

    A tag is written as in ``tag:word``. Else: by the beginning of its key, or by what stands after
    a colon in it, in any case; but what stands before the last colon must be written as it is, or
    all in small or capital letters.
    """
    if term.startswith("tag:"):
        return with_tag(term.removeprefix("tag:").strip())
    found = Q(business_key__startswith=term)
    for other in {term.lower(), term.upper(), term.capitalize()} - {term}:
        found |= Q(business_key__startswith=other)
    for text in _named(term):
        found |= _after_a_colon(text)
    if (ids := _range(term)) is not None:
        found |= Q(id__range=ids)
    return found


def exactly(term: str) -> Q:
    """The condition that this is a run's whole key, or all of it after its last colon."""
    return Q(business_key=term) | Q(Exact(key_end(), term.lower()))


def _named(term: str) -> Iterator[str]:
    """A number that is an id may be written without its hyphens."""
    yield term.lower()
    try:
        number = str(UUID(term))
    except ValueError:
        return
    if number != term.lower():
        yield number


def _after_a_colon(text: str) -> Q:
    """The index has what stands after the last colon of a key; the rest is looked at there."""
    end = text.rpartition(":")[2]
    if not end:
        return Q(pk__in=[])
    key = Concat(Value(":"), Lower("business_key"))
    return Q(StartsWith(key_end(), end)) & Q(Contains(key, f":{text}"))


def _range(term: str) -> tuple[UUID, UUID] | None:
    """The ids that begin so; None: it begins none, or too many."""
    digits = term.lower().replace("-", "")
    if not re.fullmatch(rf"[0-9a-f]{{{_LEAST},{_ID}}}", digits):
        return None
    return UUID(digits.ljust(_ID, "0")), UUID(digits.ljust(_ID, "f"))
