"""The inbox of webhooks. Two new tables, so that nothing waits for it and old code sees none of it."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PartnerObject",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("source", models.CharField(max_length=40)),
                ("subject", models.CharField(help_text="the source's name for it", max_length=200)),
                ("state", models.JSONField()),
                (
                    "as_of",
                    models.DateTimeField(help_text="when it became so, by the source's clock"),
                ),
                (
                    "rank",
                    models.SmallIntegerField(
                        db_default=0,
                        help_text="of two events of one moment the higher is the later",
                    ),
                ),
                ("told_by", models.CharField(help_text="the event's id", max_length=200)),
            ],
            options={
                "ordering": ("source", "subject"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source", "subject"), name="integrations_object_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("source", models.CharField(max_length=40)),
                (
                    "event_id",
                    models.CharField(
                        help_text="the source's name for it",
                        max_length=200,
                        verbose_name="event id",
                    ),
                ),
                ("kind", models.CharField(max_length=120)),
                (
                    "occurred_at",
                    models.DateTimeField(blank=True, help_text="by the source's clock", null=True),
                ),
                (
                    "received_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "body",
                    models.TextField(
                        help_text="as it was sent: jsonb would refuse some of what JSON may be"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("received", "Received"),
                            ("done", "Done"),
                            ("ignored", "Ignored"),
                            ("dead", "Dead"),
                        ],
                        db_default="received",
                        max_length=8,
                    ),
                ),
                ("attempts", models.IntegerField(db_default=0, help_text="claims so far")),
                (
                    "due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="may be claimed from then on",
                    ),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "note",
                    models.TextField(
                        blank=True, db_default="", help_text="what came of it, or why not"
                    ),
                ),
            ],
            options={
                "verbose_name": "webhook event",
                "ordering": ("-id",),
                "permissions": [("replay_webhookevent", "Can have webhook events handled again")],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "received")),
                        fields=["due_at", "id"],
                        name="integrations_event_due",
                    ),
                    models.Index(
                        condition=models.Q(("status", "dead")),
                        fields=["-id"],
                        name="integrations_event_dead",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source", "event_id"), name="integrations_event_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["received", "done", "ignored", "dead"]),
                            models.Q(
                                models.Q(("finished_at__isnull", True), ("status", "received")),
                                models.Q(
                                    models.Q(("status", "received"), _negated=True),
                                    ("finished_at__isnull", False),
                                ),
                                _connector="OR",
                            ),
                        ),
                        name="integrations_event_sound",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("note", ""), ("status", "dead"), _negated=True),
                        name="integrations_event_dead_because",
                    ),
                ],
            },
        ),
    ]
