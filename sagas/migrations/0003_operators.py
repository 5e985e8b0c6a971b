"""What operators leave beside the record, and what the console asks of it.

Safe while old code runs: each new column has a default in the database, and what has to wait for the
table of runs gives up after some seconds, rather than let all of them wait behind it. Then run it again.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import sagas.models.operators
import sagas.models.record


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("sagas", "0002_refusals"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Approval",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("run", models.UUIDField()),
                ("saga", models.CharField(max_length=80)),
                ("verb", models.CharField(max_length=32)),
                ("arguments", models.JSONField()),
                ("reason", models.TextField()),
                (
                    "imprint",
                    models.CharField(
                        help_text="of the run as the one who asked saw it", max_length=16
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("approved", "approved"),
                            ("declined", "declined"),
                            ("withdrawn", "withdrawn"),
                            ("failed", "failed"),
                        ],
                        default=sagas.models.operators.ApprovalStatus["OPEN"],
                        max_length=10,
                    ),
                ),
                ("asked_by", models.CharField(max_length=150)),
                (
                    "asked_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("decided_by", models.CharField(blank=True, default="", max_length=150)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "note",
                    models.TextField(blank=True, default="", help_text="of the one who decided"),
                ),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "number",
                    models.BigIntegerField(
                        help_text="without gaps, from 1", primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                ("actor", models.CharField(max_length=150)),
                (
                    "approver",
                    models.CharField(blank=True, help_text="the second person", max_length=150),
                ),
                ("verb", models.CharField(max_length=32)),
                ("run", models.UUIDField(blank=True, null=True)),
                ("saga", models.CharField(blank=True, max_length=80)),
                ("step", models.CharField(blank=True, max_length=80)),
                (
                    "subject",
                    models.CharField(
                        blank=True, help_text="what it was done to, if no run", max_length=220
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("batch", models.UUIDField(blank=True, null=True)),
                ("before", models.JSONField(help_text="what the verb changed, as it was")),
                ("after", models.JSONField(help_text="the same, as it is now")),
                ("details", models.JSONField(help_text="what was asked for")),
                (
                    "previous",
                    models.CharField(help_text="the hash of the entry before", max_length=64),
                ),
                ("hash", models.CharField(max_length=64)),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "ordering": ("-number",),
            },
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=sagas.models.record.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("verb", models.CharField(max_length=32)),
                ("arguments", models.JSONField()),
                ("reason", models.TextField()),
                ("query", models.TextField(blank=True, help_text="the filter that chose the runs")),
                (
                    "matched",
                    models.IntegerField(help_text="how many runs the filter matched, at least"),
                ),
                ("rate", models.FloatField(help_text="items a second at most")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("running", "running"),
                            ("stopped", "stopped"),
                            ("done", "done"),
                        ],
                        max_length=8,
                    ),
                ),
                ("created_by", models.CharField(max_length=150)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "lease_until",
                    models.DateTimeField(
                        blank=True, help_text="then another worker goes on", null=True
                    ),
                ),
                ("stopped_by", models.CharField(blank=True, default="", max_length=150)),
                (
                    "task_id",
                    models.CharField(
                        blank=True, default="", help_text="Celery's, the last", max_length=36
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "batches",
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="BatchItem",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("run", models.UUIDField()),
                ("key", models.CharField(help_text="the run's business key", max_length=200)),
                (
                    "step",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="the step that the trial found",
                        max_length=80,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("ready", "ready"),
                            ("unfit", "unfit"),
                            ("done", "done"),
                            ("asked", "asked"),
                            ("refused", "refused"),
                            ("failed", "failed"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "detail",
                    models.TextField(
                        blank=True, default="", help_text="why not, or how the run stands"
                    ),
                ),
                (
                    "losses",
                    models.SmallIntegerField(
                        db_default=0, default=0, help_text="processes that died at it"
                    ),
                ),
                ("at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="Hold",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("run", "run"),
                            ("saga", "saga"),
                            ("queue", "queue"),
                            ("partner", "partner"),
                        ],
                        max_length=8,
                    ),
                ),
                ("target", models.CharField(help_text="a run's id, or a name", max_length=200)),
                ("reason", models.TextField()),
                ("placed_by", models.CharField(max_length=150)),
                (
                    "placed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("lifted_by", models.CharField(blank=True, default="", max_length=150)),
                ("lifted_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=80)),
                ("query", models.TextField(help_text="as in the list's address")),
                ("owner", models.CharField(max_length=150)),
                ("shared", models.BooleanField(default=False, help_text="others see it too")),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="Scope",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("saga", models.CharField(max_length=80)),
            ],
            options={
                "ordering": ("group", "saga"),
            },
        ),
        migrations.AlterModelOptions(
            name="run",
            options={
                "ordering": ("-id",),
                "permissions": [
                    ("approve_run", "Can consent to what another operator asked for"),
                    ("reveal_run", "Can see redacted fields of runs"),
                ],
            },
        ),
        migrations.AddField(
            model_name="run",
            name="amended",
            field=models.JSONField(
                blank=True, help_text="the payload as an operator changed it", null=True
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="error_group",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="what stopped it, in words that are the same for all that it stopped",
                max_length=200,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="owner",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="who looks after it",
                max_length=150,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="tags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40),
                blank=True,
                db_default=[],
                default=list,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="worker",
            name="processes",
            field=models.IntegerField(blank=True, help_text="of its pool", null=True),
        ),
        migrations.AddField(
            model_name="worker",
            name="queues",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=200),
                blank=True,
                db_default=[],
                default=list,
                size=None,
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="payload",
            field=models.JSONField(help_text="as it was given to start"),
        ),
        migrations.AddIndex(
            model_name="approval",
            index=models.Index(fields=["run"], name="sagas_approval_of_run"),
        ),
        migrations.AddConstraint(
            model_name="approval",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "open")),
                fields=("run", "verb"),
                name="sagas_approval_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="approval",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status", "withdrawn"),
                    models.Q(("decided_by", models.F("asked_by")), _negated=True),
                    _connector="OR",
                ),
                name="sagas_approval_by_another",
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                condition=models.Q(("run__isnull", False)),
                fields=["run", "number"],
                name="sagas_audit_of_run",
            ),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                condition=models.Q(("status", "running")),
                fields=["lease_until"],
                name="sagas_batch_running",
            ),
        ),
        migrations.AddField(
            model_name="batchitem",
            name="batch",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="items",
                to="sagas.batch",
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.UniqueConstraint(
                condition=models.Q(("lifted_at__isnull", True)),
                fields=("kind", "target"),
                name="sagas_hold_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(fields=("owner", "name"), name="sagas_view_name"),
        ),
        migrations.AddField(
            model_name="scope",
            name="group",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="saga_scopes",
                to="auth.group",
            ),
        ),
        migrations.AddIndex(
            model_name="batchitem",
            index=models.Index(fields=["batch", "status", "id"], name="sagas_item_of_batch"),
        ),
        migrations.AddConstraint(
            model_name="batchitem",
            constraint=models.UniqueConstraint(fields=("batch", "run"), name="sagas_item_once"),
        ),
        migrations.AddConstraint(
            model_name="scope",
            constraint=models.UniqueConstraint(fields=("group", "saga"), name="sagas_scope_once"),
        ),
    ]
