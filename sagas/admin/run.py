"""Runs: the list that finds them, and the page of one with everything that happened to it."""

from __future__ import annotations

from django.contrib import admin

from sagas.admin.bulk import BulkPages
from sagas.admin.listing import RunListAdmin
from sagas.admin.run_page.views import RunPages
from sagas.admin.verb_page import VerbPages
from sagas.models import Run


@admin.register(Run)
class RunAdmin(BulkPages, VerbPages, RunPages, RunListAdmin):
    """Finds runs by business key or id, and shows one with everything that happened to it."""
