"""The tokens that partners gave us: one row for each account of ours at a partner."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import BooleanField, Case, Q, Value, When
from django.db.models.functions import Now

from integrations.oauth.fields import SealedField


class TokenQuerySet(models.QuerySet["Token"]):
    """Questions about tokens."""

    def of(self, partner: str, credential: str) -> TokenQuerySet:
        """The token of that account; it knows whether it is `fresh`, by the database's clock."""
        fresh = Q(access__isnull=False) & (Q(expires_at=None) | Q(expires_at__gt=Now()))
        judged = self.annotate(
            fresh=Case(When(fresh, then=True), default=Value(False), output_field=BooleanField())
        )
        return judged.filter(partner=partner, credential=credential)


class Token(models.Model):
    """An access token, and what it is renewed with.

    `generation` counts the access tokens: whoever finds another one than the partner refused has
    nothing to renew. `attention` is why only a person can go on, empty if nobody is needed.
    """

    partner = models.CharField(max_length=40)
    credential = models.CharField(max_length=255, help_text="our client id at the partner")
    access = SealedField(null=True)
    refresh = SealedField(null=True)
    expires_at = models.DateTimeField(null=True, help_text="it is renewed from then on")
    generation = models.PositiveIntegerField(default=0)
    unanswered_at = models.DateTimeField(
        null=True, help_text="when a refresh token was sent and no answer came"
    )
    attention = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ("partner", "credential")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("partner", "credential"), name="integrations_oauth_one_token"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.partner} {self.credential}"

    @property
    def is_fresh(self) -> bool:
        """Whether the access token may be used, where `of` asked for it."""
        return bool(getattr(self, "fresh", False))
