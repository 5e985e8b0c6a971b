"""The leads, as our own record of what the CRMs were told."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Stage(models.TextChoices):
    """How far a lead has come."""

    NEW = "new"
    OPPORTUNITY = "opportunity"  # in the hands of the sales people
    NURTURE = "nurture"  # not promising yet: it gets news
    DROPPED = "dropped"  # could not be worked on, and all that was done is undone


class Lead(models.Model):
    """Somebody who asked for an offer. Written by the steps of the lead's run alone."""

    key = models.CharField(max_length=255, unique=True, help_text="the business key of its run")
    name = models.CharField(max_length=100)
    email = models.EmailField()
    company = models.CharField(max_length=100)
    employees = models.PositiveIntegerField()
    budget = models.PositiveIntegerField(help_text="in whole units of the currency")
    points = models.PositiveSmallIntegerField(null=True, help_text="of 100, once it is judged")
    stage = models.CharField(max_length=20, choices=Stage.choices, default=Stage.NEW)
    contact = models.CharField(max_length=255, blank=True, default="", help_text="in HubSpot")
    opportunity = models.CharField(
        max_length=255, blank=True, default="", help_text="in Salesforce"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-created_at",)
        indexes: ClassVar = [models.Index(fields=("-created_at",), name="integrations_leads_last")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(stage__in=Stage.values), name="integrations_leads_stage"
            ),
        ]

    def __str__(self) -> str:
        return self.company
