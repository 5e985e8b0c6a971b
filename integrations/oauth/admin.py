"""Tokens in the admin: that there are some, and whether anything is the matter; never what."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from integrations.oauth.models import Token


@admin.register(Token)
class TokenAdmin(admin.ModelAdmin[Token]):
    """Accounts at partners, to read only. The secrets are neither shown nor opened."""

    list_display = ("partner", "credential", "expires_at", "generation", "attention")
    fields = list_display

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        return False
