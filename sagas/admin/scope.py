"""Scopes: for which sagas the permissions of a group hold."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Field, QuerySet
from django.http import HttpRequest

from sagas.define import registry
from sagas.models import Scope
from sagas.operate import audit


@admin.register(Scope)
class ScopeAdmin(admin.ModelAdmin[Scope]):
    """Restricts groups to sagas. A group without any scope may do what it may to every saga."""

    list_display = ("group", "saga")
    list_filter = ("group",)
    list_select_related = ("group",)

    def save_model(self, request: HttpRequest, obj: Scope, form: Any, change: bool) -> None:
        """Save it, and note in the audit what it was before and is now."""
        with transaction.atomic():
            before = Scope.objects.select_related("group").filter(pk=obj.pk).first()
            super().save_model(request, obj, form, change)
            _note(request, before, obj)

    def delete_model(self, request: HttpRequest, obj: Scope) -> None:
        """Remove it, which widens the group's rights if it was the last."""
        with transaction.atomic():
            _note(request, obj, None)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Scope]) -> None:
        """Remove several, each with its entry."""
        with transaction.atomic():
            for row in queryset.select_related("group"):
                _note(request, row, None)
            super().delete_queryset(request, queryset)

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """The sagas that this code knows, to choose from."""
        if db_field.name != "saga":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        names = sorted({saga.name for saga in registry.all_sagas()})
        return forms.ChoiceField(choices=[(name, name) for name in names])


def _note(request: HttpRequest, before: Scope | None, after: Scope | None) -> None:
    """Who may do what is a part of the audit, as what they do is."""
    audit.append(
        actor=request.user.get_username(),
        verb="scope",
        reason="",
        subject="a group's scope",
        before=_image(before),
        after=_image(after),
    )


def _image(row: Scope | None) -> dict[str, str]:
    return {} if row is None else {"group": row.group.name, "saga": row.saga}
