"""The inbox, and what partners' objects are like by the events about them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class EventStatus(models.TextChoices):
    """What has become of an event."""

    RECEIVED = "received"  # waits for a worker, or for its next try
    DONE = "done"  # its handler and all that it caused are committed
    IGNORED = "ignored"  # nobody handles its kind
    DEAD = "dead"  # given up: a person decides


class WebhookEvent(models.Model):
    """One event of a source, once, however often it was sent."""

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(max_length=40)
    event_id = models.CharField("event id", max_length=200, help_text="the source's name for it")
    kind = models.CharField(max_length=120)
    occurred_at = models.DateTimeField(null=True, blank=True, help_text="by the source's clock")
    received_at = models.DateTimeField(db_default=Now())
    body = models.TextField(help_text="as it was sent: jsonb would refuse some of what JSON may be")
    status = models.CharField(
        max_length=8, choices=EventStatus, db_default=EventStatus.RECEIVED.value
    )
    attempts = models.IntegerField(db_default=0, help_text="claims so far")
    due_at = models.DateTimeField(db_default=Now(), help_text="may be claimed from then on")
    finished_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True, db_default="", help_text="what came of it, or why not")

    class Meta:
        ordering = ("-id",)
        verbose_name = "webhook event"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("source", "event_id"), name="integrations_event_once"),
            models.CheckConstraint(
                condition=Q(status__in=EventStatus.values)
                & (
                    Q(status="received", finished_at__isnull=True)
                    | (~Q(status="received") & Q(finished_at__isnull=False))
                ),
                name="integrations_event_sound",
            ),
            models.CheckConstraint(
                condition=~Q(status="dead", note=""), name="integrations_event_dead_because"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=("due_at", "id"),
                name="integrations_event_due",
                condition=Q(status="received"),
            ),
            models.Index(
                fields=("-id",), name="integrations_event_dead", condition=Q(status="dead")
            ),
        ]
        permissions: ClassVar = [
            ("replay_webhookevent", "Can have webhook events handled again"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.event_id}"


class PartnerObject(models.Model):
    """What an object of a partner's is like, by the newest event that told of it."""

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(max_length=40)
    subject = models.CharField(max_length=200, help_text="the source's name for it")
    state = models.JSONField()
    as_of = models.DateTimeField(help_text="when it became so, by the source's clock")
    rank = models.SmallIntegerField(
        db_default=0, help_text="of two events of one moment the higher is the later"
    )
    told_by = models.CharField(max_length=200, help_text="the event's id")
    before = models.JSONField(
        null=True, blank=True, help_text="its state before all that is known of that moment"
    )
    asked_by = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="the event that tells too little: the source is asked for the object",
    )

    class Meta:
        ordering = ("source", "subject")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("source", "subject"), name="integrations_object_once"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.subject}"
