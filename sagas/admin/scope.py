"""Scopes: for which sagas the permissions of a group hold."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Field, QuerySet
from django.http import HttpRequest

from sagas.define import registry
from sagas.models import Scope
from sagas.models.operators import ALL_SAGAS
from sagas.operate import audit

_NONE_LEFT = "Members of {} reach no saga through it any more: it has no scope left."


@admin.register(Scope)
class ScopeAdmin(admin.ModelAdmin[Scope]):
    """Says which sagas a group reaches: some, or all. A group without any scope reaches none."""

    list_display = ("group", "reach")
    list_filter = ("group",)
    list_select_related = ("group",)

    def save_model(self, request: HttpRequest, obj: Scope, form: Any, change: bool) -> None:
        """Save it, and note in the audit what it was before and is now."""
        with transaction.atomic():
            before = Scope.objects.select_related("group").filter(pk=obj.pk).first()
            super().save_model(request, obj, form, change)
            _note(request, before, obj)

    def delete_model(self, request: HttpRequest, obj: Scope) -> None:
        """Remove it; say so if the group then reaches nothing."""
        with transaction.atomic():
            _note(request, obj, None)
            super().delete_model(request, obj)
        _warn(request, {obj.group.pk: obj.group.name})

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Scope]) -> None:
        """Remove several, each with its entry."""
        with transaction.atomic():
            rows = list(queryset.select_related("group"))
            for row in rows:
                _note(request, row, None)
            super().delete_queryset(request, queryset)
        _warn(request, {row.group.pk: row.group.name for row in rows})

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """The sagas that this code knows, to choose from, and all of them."""
        if db_field.name != "saga":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        names = sorted({saga.name for saga in registry.all_sagas()})
        choices = [("", "---------"), (_ALL, "All sagas"), *((name, name) for name in names)]
        return _SagaField(choices=choices)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Nothing is chosen in advance, least of all everything."""
        return {"saga": "", **super().get_changeform_initial_data(request)}

    @admin.display(description="reaches", ordering="saga")
    def reach(self, row: Scope) -> str:
        return row.reach


_ALL = "*"  # in the form; no saga is called so


class _SagaField(forms.ChoiceField):
    """A saga, or all of them; one has to be chosen, so that nobody is given all by an oversight."""

    def prepare_value(self, value: Any) -> Any:
        return _ALL if value is ALL_SAGAS else value

    def clean(self, value: Any) -> Any:
        chosen = super().clean(value)
        return ALL_SAGAS if chosen == _ALL else chosen


def _warn(request: HttpRequest, groups: dict[int, str]) -> None:
    left = set(Scope.objects.filter(group__in=groups).values_list("group", flat=True))
    for pk, name in groups.items():
        if pk not in left:
            messages.warning(request, _NONE_LEFT.format(name))


def _note(request: HttpRequest, before: Scope | None, after: Scope | None) -> None:
    """Who may do what is a part of the audit, as what they do is."""
    audit.append(
        actor=request.user,
        verb="scope",
        reason="",
        subject="a group's scope",
        before=_image(before),
        after=_image(after),
    )


def _image(row: Scope | None) -> dict[str, str]:
    return {} if row is None else {"group": row.group.name, "saga": row.reach}
