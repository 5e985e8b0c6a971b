"""Tokens for the API: whose, until when, who issued them; revoked here, one by one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from sagas.admin.history import HistoryAdmin, moment
from sagas.admin.shown import shown
from sagas.errors import VerbRefused
from sagas.models import ApiToken
from sagas.operate.token import RIGHT, revoke, tokens

_GLYPHS = {"good": "✓", "expired": "·", "revoked": "✕"}


class RevokeForm(ActionForm):
    """The list's choice of an action, and why."""

    reason = forms.CharField(required=False, max_length=1000, label="Why:")


@admin.register(ApiToken)
class ApiTokenAdmin(HistoryAdmin):
    """Tokens, the newest first. What is sent is stored nowhere and cannot be shown."""

    list_display = ("whose", "state", "reason", "issued", "issued_by", "until", "revoked_by")
    search_fields = ("=user",)
    search_help_text = "a user's whole name"
    fields = ("id", "user", "state", "reason", "issued", "issued_by", "until", "revoked_by")
    readonly_fields = fields
    ordering = ("-id",)
    actions: Any = ("revoke",)
    action_form = RevokeForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return tokens()

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RIGHT)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Let the chosen ones count no more."""
        user: Any = request.user
        revoked, why = 0, request.POST.get("reason", "")
        for pk in list(queryset.values_list("pk", flat=True)):
            try:
                revoke(pk, by=user, reason=why)
                revoked += 1
            except (VerbRefused, PermissionDenied) as error:
                messages.error(request, str(error))
        if revoked:
            count = f"{revoked:,} token{'' if revoked == 1 else 's'}"
            messages.success(request, f"Revoked {count}: refused from the next request on.")

    @admin.display(description="user", ordering="user")
    def whose(self, row: ApiToken) -> SafeString:
        return shown(row.user)

    @admin.display(description="state")
    def state(self, row: Any) -> str:
        return f"{_GLYPHS[row.state]} {row.state}"

    @admin.display(description="issued at (UTC)", ordering="issued_at")
    def issued(self, row: ApiToken) -> str:
        return moment(row.issued_at)[:19]

    @admin.display(description="expires at (UTC)", ordering="expires_at")
    def until(self, row: ApiToken) -> str:
        return moment(row.expires_at)[:19]
