"""Finding a run by what a person has at hand: a part of its id."""

from __future__ import annotations

import re
from uuid import UUID

from django.db.models import CharField, Q
from django.db.models.functions import Cast

from sagas.errors import SagaError, UnknownRun
from sagas.models import Run


def find(fragment: str) -> UUID:
    """The id of the one run whose id begins or ends so.

    Raises:
        UnknownRun: there is none.
        SagaError: it is no part of an id, or of several.
    """
    text = fragment.lower()
    if len(text) == 36:
        return UUID(text)
    if not re.fullmatch(r"[0-9a-f-]{4,36}", text):
        raise SagaError(
            f"{fragment!r} is no run's id, nor 4 characters or more of its start or end."
        )
    ids = Run.objects.annotate(text=Cast("id", CharField())).values_list("id", flat=True)
    found = list(ids.filter(Q(text__startswith=text) | Q(text__endswith=text))[:2])
    if not found:
        raise UnknownRun(f"No run's id begins or ends with {fragment!r}.")
    if len(found) > 1:
        raise SagaError(
            f"More than one run's id begins or ends with {fragment!r}; give more of it."
        )
    return found[0]
