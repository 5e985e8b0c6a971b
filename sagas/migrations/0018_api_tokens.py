"""Tokens for the API are listed, so that each can be revoked.

Those that were issued before count for 30 days more, as far as they say so themselves; one row stands
for all of them, and can be revoked like any other.

Safe while old code runs: it knows nothing of the new table, takes the tokens that it took before, and
none of the new ones.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.models.functions import Now

import sagas.models.record

EARLIER = UUID(int=0)
_KEPT = timedelta(days=30)


def list_earlier(apps: Any, schema_editor: Any) -> None:
    apps.get_model("sagas", "ApiToken").objects.using(schema_editor.connection.alias).create(
        id=EARLIER,
        user="(several)",
        user_pk="",
        reason="all tokens that were issued before they were listed",
        issued_by="(several)",
        expires_at=Now() + _KEPT,
    )


class Migration(migrations.Migration):
    dependencies = [("sagas", "0017_approval_subject")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="ApiToken",
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
                ("user", models.CharField(help_text="whom it stands for", max_length=150)),
                ("user_pk", models.CharField(max_length=255)),
                ("reason", models.TextField(blank=True, help_text="what it is for")),
                ("issued_by", models.CharField(max_length=150)),
                (
                    "issued_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("expires_at", models.DateTimeField()),
                (
                    "revoked_by",
                    models.CharField(blank=True, db_default="", default="", max_length=150),
                ),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={"ordering": ("-id",), "verbose_name": "API token"},
        ),
        migrations.RunPython(list_earlier, migrations.RunPython.noop),
    ]
