"""The way back to the list as one had filtered it: the filter goes along in the addresses."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from sagas.admin.views import fit

PARAMETER = "_changelist_filters"  #: the name that Django's own lists give it


def came_from(request: HttpRequest) -> str:
    """The filter of the list that one came from, as the end of an address; empty: none."""
    return fit(request.GET.get(PARAMETER, ""))


def carried(address: str, back: str) -> str:
    """An address that takes that filter along."""
    if not back:
        return address
    return f"{address}{'&' if '?' in address else '?'}{urlencode({PARAMETER: back})}"


def list_of(back: str) -> str:
    """The address of the list of runs with that filter."""
    runs = reverse("admin:sagas_run_changelist")
    return f"{runs}?{back}" if back else runs
