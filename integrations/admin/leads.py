"""Leads in the admin: to read, since they are written by their runs."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from integrations.leads.models import Lead
from integrations.sagas.lead_qualification import lead_qualification
from sagas.admin.panel import SagaPanel


@admin.register(Lead)
class LeadAdmin(SagaPanel):
    """Who asked for an offer, and what became of it."""

    saga_names = (lead_qualification.name,)
    list_display = ("created_at", "company", "stage", "points", "budget", "employees")
    list_filter = ("stage",)
    search_fields = ("=key", "=email", "company")
    date_hierarchy = "created_at"

    def saga_key(self, obj: Lead) -> str:
        return obj.key

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Lead | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Lead | None = None) -> bool:
        return False
