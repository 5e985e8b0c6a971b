"""Scopes: for which sagas the permissions of a group hold."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest

from sagas.define import registry
from sagas.models import Scope


@admin.register(Scope)
class ScopeAdmin(admin.ModelAdmin[Scope]):
    """Restricts groups to sagas. A group without any scope may do what it may to every saga."""

    list_display = ("group", "saga")
    list_filter = ("group",)
    list_select_related = ("group",)

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """The sagas that this code knows, to choose from."""
        if db_field.name != "saga":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        names = sorted({saga.name for saga in registry.all_sagas()})
        return forms.ChoiceField(choices=[(name, name) for name in names])
