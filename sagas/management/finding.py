"""Finding a run by what a person has at hand: its id or a part of it, or its key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast

from sagas.errors import SagaError, UnknownRun
from sagas.models import Run
from sagas.operate.search import exactly


def find(term: str) -> UUID:
    """The id of the one run that is meant: by its id or a part of it, or by its whole key.

    Of a key all that stands after its last colon will do, in any case. No beginning of one: what
    is found is acted on, and order 104 is not order 1042.

    Raises:
        UnknownRun: there is none.
        SagaError: there are several.
    """
    if _ID.fullmatch(term.lower()):
        return UUID(term)
    found = {run_id for rows in _meant(term) for run_id in rows.values_list("id", flat=True)[:2]}
    if len(found) > 1:
        raise SagaError(f"More than one run has an id or a key like {term!r}; give more of it.")
    if not found:
        raise UnknownRun(
            f"No run has the key {term!r}, nor an id that begins or ends so (with 4 characters or "
            f"more). What is similar: manage.py sagas runs --search {term!r}"
        )
    return found.pop()


_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _meant(term: str) -> Iterator[QuerySet[Run]]:
    runs = Run.objects.order_by()
    if term and "\x00" not in term:
        yield runs.filter(exactly(term))
    text = term.lower()
    if re.fullmatch(r"[0-9a-f-]{4,36}", text):  # looks at every run
        ids = runs.annotate(text=Cast("id", CharField()))
        yield ids.filter(Q(text__startswith=text) | Q(text__endswith=text))
